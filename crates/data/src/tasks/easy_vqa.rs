//! easy-VQA (Victor Zhou, 2019): drawn shapes of 64 x 64 pixels and questions about them, as the
//! package `easy-vqa` ships them. `weft data get easy-vqa` brings it.
//!
//! `train/questions.json` and `test/questions.json` are arrays of `[question, answer, image_id]`,
//! pictures are `{split}/images/{image_id}.png`, `answers.txt` lists the answers. A question has no
//! number of its own: its key is `{split}/{place in the file}`.
//!
//! The package has no `val`; it is cut from `train` by picture. Nor does it have kinds of
//! questions; they are told from the text (all questions come from 24 templates): `colour`,
//! `shape`, `presence` ("is there a ...") and `absence` ("is there not a ...").

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::{Checked, Fault, Gathering, Lenient, Pictures, Place, read_json, text};
use super::{Question, TaskData, TaskSource};
use crate::error::{Cause, DataError};

/// The name by which the package is asked for.
pub const NAME: &str = "easy-vqa";

pub(super) const LOOKED_FOR: &str = "easy-VQA (train/questions.json, test/questions.json)";

const SPLITS: [&str; 2] = ["train", "test"];
const ENTRY: &str = "[question, answer, image_id]";

#[derive(Deserialize)]
struct Entry(String, String, u64);

/// Whether the folder is that of the package.
pub(super) fn is_here(folder: &Path) -> bool {
    SPLITS.iter().any(|split| question_file(folder, split).is_file())
}

fn question_file(folder: &Path, split: &str) -> PathBuf {
    folder.join(split).join("questions.json")
}

pub(super) fn open(source: &TaskSource, place: &Place) -> Result<TaskData<Question>, DataError> {
    let answers = known_answers(&place.folder)?;
    let mut pictures = source.pictures(place)?;
    let mut gathering = Gathering::new();
    for official in SPLITS {
        let path = question_file(&place.folder, official);
        if !path.is_file() {
            gathering.note(&format!("splits without a file: {official}"), 1);
            continue;
        }
        let entries: Vec<Lenient<Entry>> = read_json(&path, &format!("[{ENTRY}]"))?;
        for (index, entry) in entries.into_iter().enumerate() {
            let key = format!("{official}/{index}");
            let origin = format!("{}: [{index}]", path.display());
            let checked = entry.good(ENTRY);
            let split = match &checked {
                Ok(Entry(.., id)) if official == "train" && source.is_val(&id.to_string()) => "val",
                _ => official,
            };
            let question = checked
                .and_then(|entry| question(&key, official, entry, answers.as_ref(), &mut pictures));
            gathering.add(split, &key, origin, question);
        }
    }
    gathering.finish(source, LOOKED_FOR)
}

/// The answers that there are, where the package lists them.
fn known_answers(folder: &Path) -> Result<Option<HashSet<String>>, DataError> {
    let path = folder.join("answers.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| DataError::io(&path, error))?;
    Ok(Some(text.lines().map(|line| line.trim().to_owned()).collect()))
}

fn question(
    key: &str,
    split: &str,
    Entry(question, answer, id): Entry,
    known: Option<&HashSet<String>>,
    pictures: &mut Pictures,
) -> Checked<Question> {
    let text = text(&question, "question")?;
    let answer = answer.trim().to_owned();
    if answer.is_empty() {
        return Err(Fault::new(Cause::MissingAnswer, format!("\"{text}\" has no answer")));
    }
    if known.is_some_and(|known| !known.contains(&answer)) {
        let detail = format!("\"{answer}\" is not in answers.txt");
        return Err(Fault::new(Cause::UnknownAnswer, detail));
    }
    let picture = pictures.find(&[format!("{split}/images/{id}.png")])?;
    let kind = kind(&text).to_owned();
    Ok(Question { key: key.into(), picture, text, answers: vec![answer], kind })
}

/// What a question of one of the templates asks for.
fn kind(question: &str) -> &'static str {
    let words: Vec<&str> = question.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    if has("what") {
        if has("color") { "colour" } else { "shape" }
    } else if has("not") || has("no") {
        "absence"
    } else {
        "presence"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_the_templates() {
        for (question, expected) in [
            ("what is the color of the triangle?", "colour"),
            ("what color is the shape?", "colour"),
            ("what is the blue shape?", "shape"),
            ("what shape does the image contain?", "shape"),
            ("is a red shape present?", "presence"),
            ("does the image contain a circle?", "presence"),
            ("is no circle present?", "absence"),
            ("does the image not contain a gray shape?", "absence"),
            ("is there not a teal shape in the image?", "absence"),
        ] {
            assert_eq!(kind(question), expected, "{question}");
        }
    }
}
