//! SNLI-VE (Xie et al., "Visual Entailment", 2019): sentences of SNLI about pictures of Flickr30k,
//! one JSON object per line.
//!
//! `Flickr30K_ID` names the picture (without `.jpg`), `sentence2` is the hypothesis, `gold_label`
//! is `entailment`, `neutral` or `contradiction`, `pairID` the key. `sentence1` (the caption that
//! SNLI started from) and `captionID` are not read: the picture stands in their place.
//!
//! Splits: `snli_ve_train.jsonl` is `train`, `snli_ve_dev.jsonl` is `val`, `snli_ve_test.jsonl` is
//! `test`. A label `-`, with which SNLI marks that its annotators did not agree, is counted as
//! unknown.

use std::path::Path;

use serde::Deserialize;

use super::source::{Checked, Fault, Gathering, Pictures, name, read_json_lines, text};
use super::{Entailment, Hypothesis, TaskData, TaskSource};
use crate::error::{Cause, DataError};

const LOOKED_FOR: &str =
    "SNLI-VE hypotheses (snli_ve_train.jsonl, snli_ve_dev.jsonl, snli_ve_test.jsonl)";
const LINE: &str = "{\"Flickr30K_ID\": text, \"sentence2\": text, \"gold_label\": text, \
     \"pairID\": text}";

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the format's own names")]
struct Line {
    Flickr30K_ID: String,
    sentence2: String,
    gold_label: String,
    pairID: String,
}

pub(super) fn open(source: &TaskSource) -> Result<TaskData<Hypothesis>, DataError> {
    let place = source.place(LOOKED_FOR)?;
    let files = place.files(|name| split_of(name).is_some())?;
    source.gather(&place, LOOKED_FOR, files, read_split)
}

fn read_split(
    path: &Path,
    pictures: &mut Pictures,
    gathering: &mut Gathering<Hypothesis>,
) -> Result<(), DataError> {
    let split = split_of(&name(path)).expect("only such files are read");
    for (origin, line) in read_json_lines::<Line>(path, LINE)? {
        let key = line.as_ref().map(|line| line.pairID.clone()).unwrap_or_default();
        gathering.add(split, &key, origin, line.and_then(|line| hypothesis(line, pictures)));
    }
    Ok(())
}

/// The split of a file, told from its name.
fn split_of(name: &str) -> Option<&'static str> {
    match name.strip_prefix("snli_ve_")?.strip_suffix(".jsonl")? {
        "train" => Some("train"),
        "dev" => Some("val"),
        "test" => Some("test"),
        _ => None,
    }
}

fn hypothesis(line: Line, pictures: &mut Pictures) -> Checked<Hypothesis> {
    let text = text(&line.sentence2, "hypothesis")?;
    let label = match line.gold_label.as_str() {
        "entailment" => Entailment::Entailment,
        "neutral" => Entailment::Neutral,
        "contradiction" => Entailment::Contradiction,
        other => {
            let detail = format!("expected entailment, neutral or contradiction, found {other:?}");
            return Err(Fault::new(Cause::UnknownLabel, detail));
        }
    };
    let file = format!("{}.jpg", line.Flickr30K_ID.trim_end_matches(".jpg"));
    let folders = ["flickr30k-images", "flickr30k_images", "images"];
    let below = folders.iter().map(|folder| format!("{folder}/{file}"));
    let names: Vec<String> = [file.clone()].into_iter().chain(below).collect();
    let picture = pictures.find(&names)?;
    Ok(Hypothesis { key: line.pairID, picture, text, label })
}
