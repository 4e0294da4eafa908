//! VQAv2 (Goyal et al., "Making the V in VQA Matter", CVPR 2017): questions and annotations in two
//! JSON files per subset of COCO.
//!
//! | file | field | meaning |
//! | --- | --- | --- |
//! | `*_questions.json` | `data_subtype` | `train2014`, `val2014`, `test2015`, `test-dev2015` |
//! | | `questions` | `question_id`, `image_id`, `question` |
//! | `*_annotations.json` | `annotations` | `question_id`, `answer_type`, `answers` (`[{answer}]`) |
//!
//! A subset without an annotation file is a test split whose answers are kept secret. The key of a
//! question is its `question_id`, its kind the `answer_type` by which accuracy is published
//! (`yes/no`, `number`, `other`), `unknown` where there are no annotations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::{
    Checked, Fault, Gathering, Lenient, Pictures, Place, name, read_json, text, twice,
};
use super::{Question, TaskData, TaskSource};
use crate::error::{Cause, DataError};

pub(super) const LOOKED_FOR: &str = "VQAv2 questions (*questions.json, with *annotations.json of the \
     same subset unless it is a test)";

const QUESTION: &str = "{\"question_id\": number, \"image_id\": number, \"question\": text}";
const ANNOTATION: &str = "{\"question_id\": number, \"answers\": [{\"answer\": text}]}";

#[derive(Deserialize)]
struct QuestionFile {
    data_subtype: Option<String>,
    questions: Vec<Lenient<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    question_id: u64,
    image_id: u64,
    question: String,
}

#[derive(Deserialize)]
struct AnnotationFile {
    annotations: Vec<Lenient<Annotation>>,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: u64,
    image_id: Option<u64>,
    answer_type: Option<String>,
    answers: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    answer: String,
}

/// The question files of the source.
pub(super) fn question_files(place: &Place) -> Result<Vec<PathBuf>, DataError> {
    place.files(|name| name.ends_with("questions.json") && name != "questions.json")
}

pub(super) fn open(source: &TaskSource, place: &Place) -> Result<TaskData<Question>, DataError> {
    let mut pictures = source.pictures(place)?;
    let mut gathering = Gathering::new();
    for path in question_files(place)? {
        read_subset(&path, &mut pictures, &mut gathering)?;
    }
    gathering.finish(source, LOOKED_FOR)
}

fn read_subset(
    path: &Path,
    pictures: &mut Pictures,
    gathering: &mut Gathering<Question>,
) -> Result<(), DataError> {
    let file: QuestionFile = read_json(path, &format!("{{\"questions\": [{QUESTION}]}}"))?;
    let subset = file.data_subtype.unwrap_or_else(|| subset_of(&name(path)));
    let split = split_of(&subset);
    let mut annotations = match annotation_file(path, &subset) {
        Some(path) => Some(read_annotations(&path, gathering)?),
        None => None,
    };
    for (index, entry) in file.questions.into_iter().enumerate() {
        let origin = format!("{}: questions[{index}]", path.display());
        let entry = match entry.good(QUESTION) {
            Ok(entry) => entry,
            Err(fault) => {
                gathering.add(split, "", origin, Err(fault));
                continue;
            }
        };
        let key = entry.question_id.to_string();
        if gathering.has(split, &key) {
            // Its answers were the first one's.
            gathering.add(split, &key, origin, Err(twice(split, &key)));
            continue;
        }
        let annotation = annotations.as_mut().map(|by_id| by_id.remove(&entry.question_id));
        let question = question(&key, entry, annotation, &subset, pictures);
        gathering.add(split, &key, origin, question);
    }
    let Some(left) = annotations else {
        gathering.note(&format!("subsets without answers, as {split}"), 1);
        return Ok(());
    };
    let mut left: Vec<(u64, String)> =
        left.into_iter().map(|(id, (_, origin))| (id, origin)).collect();
    left.sort();
    for (id, origin) in left {
        let detail = format!("answers to question {id}, which is not in {}", path.display());
        gathering.fault(origin, Fault::new(Cause::UnknownReference, detail));
    }
    Ok(())
}

/// Annotations by question, with where they stand.
type Annotations = HashMap<u64, (Annotation, String)>;

fn read_annotations(
    path: &Path,
    gathering: &mut Gathering<Question>,
) -> Result<Annotations, DataError> {
    let file: AnnotationFile = read_json(path, &format!("{{\"annotations\": [{ANNOTATION}]}}"))?;
    let mut by_id = Annotations::new();
    for (index, annotation) in file.annotations.into_iter().enumerate() {
        let origin = format!("{}: annotations[{index}]", path.display());
        match annotation.good(ANNOTATION) {
            Ok(annotation) if by_id.contains_key(&annotation.question_id) => {
                let detail = format!("question {} has answers already", annotation.question_id);
                gathering.fault(origin, Fault::new(Cause::DuplicateKey, detail));
            }
            Ok(annotation) => _ = by_id.insert(annotation.question_id, (annotation, origin)),
            Err(fault) => gathering.fault(origin, fault),
        }
    }
    Ok(by_id)
}

/// `annotation`: absent where the subset has no annotation file, `Some(None)` where it has one
/// without this question.
fn question(
    key: &str,
    entry: Entry,
    annotation: Option<Option<(Annotation, String)>>,
    subset: &str,
    pictures: &mut Pictures,
) -> Checked<Question> {
    let text = text(&entry.question, "question")?;
    let missing = |detail: &str| Err(Fault::new(Cause::MissingAnswer, detail));
    let (answers, kind) = match annotation {
        None => (vec![], None),
        Some(None) => return missing(&format!("question {key} is not in the annotation file")),
        Some(Some((annotation, origin))) => {
            if annotation.image_id.is_some_and(|id| id != entry.image_id) {
                let detail = format!(
                    "question {key} is about picture {}, its answers ({origin}) about another",
                    entry.image_id
                );
                return Err(Fault::new(Cause::UnknownReference, detail));
            }
            let answers = annotation.answers.into_iter().map(|given| given.answer);
            (answers.collect::<Vec<_>>(), annotation.answer_type)
        }
    };
    if kind.is_some() && answers.is_empty() {
        return missing(&format!("question {key} has an empty list of answers"));
    }
    let picture = pictures.find(&picture_names(subset, entry.image_id))?;
    let kind = kind.unwrap_or_else(|| "unknown".into());
    Ok(Question { key: key.into(), picture, text, answers, kind })
}

/// What a picture may be called: COCO's name, in the subset's folder or not, or the bare number.
fn picture_names(subset: &str, id: u64) -> Vec<String> {
    // The questions of test-dev are about some of the pictures of test.
    let folder = subset.replace("test-dev", "test");
    let coco = format!("COCO_{folder}_{id:012}.jpg");
    vec![
        format!("{folder}/{coco}"),
        coco,
        format!("{folder}/{id:012}.jpg"),
        format!("{id:012}.jpg"),
        format!("{id}.jpg"),
        format!("{id}.png"),
    ]
}

/// `train2014` of `v2_OpenEnded_mscoco_train2014_questions.json`.
fn subset_of(name: &str) -> String {
    let stem = name.trim_end_matches("questions.json").trim_end_matches('_');
    stem.rsplit('_').next().unwrap_or(stem).to_owned()
}

/// The split's name without the year.
fn split_of(subset: &str) -> &str {
    subset.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// `v2_mscoco_train2014_annotations.json` beside the questions.
fn annotation_file(questions: &Path, subset: &str) -> Option<PathBuf> {
    let folder = questions.parent().unwrap_or(Path::new("")).to_path_buf();
    let place = Place { folder, file: None };
    let tail = format!("{subset}_annotations.json");
    let is_it = |name: &str| name == tail || name.ends_with(&format!("_{tail}"));
    place.files(is_it).ok()?.into_iter().next()
}
