//! NLVR2 (Suhr et al., "A Corpus for Reasoning About Natural Language Grounded in Photographs", ACL
//! 2019): statements about two photographs, one JSON object per line.
//!
//! `identifier` is `{split}-{set}-{pair}-{sentence}`, `sentence` the statement, `label` `"True"` or
//! `"False"`. The pictures are `{split}-{set}-{pair}-img0.png` (left) and `-img1.png` (right); for
//! `train` they may lie in folders by `directory`. Pairs with the same set and sentence form the
//! group that consistency is about: the identifier without its pair, as the official evaluation has
//! it.
//!
//! Splits: `train.json` is `train`, `dev.json` is `val`, `test1.json` is `test`, `test2.json` is
//! `test2`. A label may be missing, as in a test that is kept secret.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::source::{Checked, Fault, Gathering, Pictures, name, read_json_lines, text};
use super::{PairStatement, TaskData, TaskSource};
use crate::error::{Cause, DataError};

const LOOKED_FOR: &str =
    "NLVR2 statements (train.json, dev.json, test1.json or test2.json, one object a line)";
const LINE: &str = "{\"identifier\": \"split-set-pair-sentence\", \
     \"sentence\": text, \"label\": \"True\" or \"False\"}";

#[derive(Deserialize)]
struct Line {
    identifier: String,
    sentence: String,
    label: Option<Value>,
    directory: Option<u64>,
}

pub(super) fn open(source: &TaskSource) -> Result<TaskData<PairStatement>, DataError> {
    let place = source.place(LOOKED_FOR)?;
    let files = place.files(|name| split_of(name).is_some())?;
    source.gather(&place, LOOKED_FOR, files, read_split)
}

/// The split of a file, told from its name.
fn split_of(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(".json").or(name.strip_suffix(".jsonl"))?;
    match stem {
        "train" => Some("train"),
        "dev" => Some("val"),
        "test1" | "test" => Some("test"),
        "test2" => Some("test2"),
        _ => None,
    }
}

fn read_split(
    path: &Path,
    pictures: &mut Pictures,
    gathering: &mut Gathering<PairStatement>,
) -> Result<(), DataError> {
    let split = split_of(&name(path)).expect("only such files are read");
    for (origin, line) in read_json_lines::<Line>(path, LINE)? {
        let key = line.as_ref().map(|line| line.identifier.clone()).unwrap_or_default();
        gathering.add(split, &key, origin, line.and_then(|line| statement(line, pictures)));
    }
    Ok(())
}

fn statement(line: Line, pictures: &mut Pictures) -> Checked<PairStatement> {
    let malformed = |detail: String| Fault::new(Cause::MalformedRecord, detail);
    let parts: Vec<&str> = line.identifier.split('-').collect();
    let [split, set, pair, sentence] = parts[..] else {
        let found = &line.identifier;
        return Err(malformed(format!("identifier {found:?}: expected split-set-pair-sentence")));
    };
    let text = text(&line.sentence, "statement")?;
    let label = match &line.label {
        None | Some(Value::Null) => None,
        Some(label) => Some(truth(label).ok_or_else(|| {
            Fault::new(Cause::UnknownLabel, format!("expected True or False, found {label}"))
        })?),
    };
    let mut side = |side: usize| {
        let file = format!("{split}-{set}-{pair}-img{side}.png");
        pictures.find(&picture_names(split, line.directory, &file)).map_err(|fault| {
            let which = ["left", "right"][side];
            Fault::new(fault.cause, format!("the {which} of the two pictures: {}", fault.detail))
        })
    };
    let pictures = [side(0)?, side(1)?];
    let group = format!("{split}-{set}--{sentence}");
    Ok(PairStatement { key: line.identifier.clone(), pictures, text, label, group })
}

fn picture_names(split: &str, directory: Option<u64>, file: &str) -> Vec<String> {
    let mut names =
        vec![file.to_owned(), format!("{split}/{file}"), format!("images/{split}/{file}")];
    if let Some(directory) = directory {
        names.push(format!("{directory}/{file}"));
        names.push(format!("{split}/{directory}/{file}"));
        names.push(format!("images/{split}/{directory}/{file}"));
    }
    names
}

/// `"True"`, `"False"` in any case, or JSON's own.
fn truth(label: &Value) -> Option<bool> {
    match label {
        Value::Bool(label) => Some(*label),
        Value::String(label) => match label.to_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
