//! Phrases that refer to something in a picture as the picture's captions, without their rectangles: what
//! weakly supervised grounding learns from (ALBEF, section 6.5).

use std::collections::{BTreeMap, HashMap};

use super::{Expression, TaskData, open_expressions};
use crate::dataset::{Dataset, SourceConfig};
use crate::error::DataError;
use crate::record::{Record, name};
use crate::scenes;

/// How far back in the list a picture is looked for that is drawn and has no name: the phrases of a scene stand
/// behind one another, with now and then one of another scene between them.
const NEAR: usize = 2 * scenes::EXAMPLES_PER_SCENE;

/// The phrases of `scenes`, or of RefCOCO's files.
///
/// # Errors
///
/// Where the files cannot be read as these, or too many phrases cannot be used.
pub fn expressions_of(config: &SourceConfig) -> Result<TaskData<Expression>, DataError> {
    if config.source == scenes::NAME {
        return scenes::expressions(&config.scenes, scenes::EXAMPLES_PER_SCENE);
    }
    open_expressions(&config.of_tasks())
}

/// The same as pictures with captions.
pub(crate) fn open(config: &SourceConfig) -> Result<Dataset, DataError> {
    // A detector's regions are put to the records, as to those of other sources.
    let without_regions = SourceConfig { regions: None, ..config.clone() };
    let TaskData { name, splits, ledger, notes } = expressions_of(&without_regions)?;
    let splits: BTreeMap<_, _> =
        splits.into_iter().map(|(split, phrases)| (split, records(phrases))).collect();
    Ok(Dataset { name, splits, ledger, notes })
}

/// A record for each picture, in the order of their first phrases, whose keys they have: two phrases of a picture must not be
/// one another's wrong pairs in a batch.
fn records(phrases: Vec<Expression>) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut places = HashMap::new();
    for Expression { key, picture, text, .. } in phrases {
        let mut before = records.iter().rev().take(NEAR);
        let name = name(&key, &picture);
        let at = match before.position(|record| record.picture.is_same(&picture)) {
            Some(back) => records.len() - 1 - back,
            None => *places.entry(name).or_insert(records.len()),
        };
        match records.get_mut(at) {
            Some(record) => record.captions.push(text),
            None => records.push(Record::new(key, vec![text], picture)),
        }
    }
    records
}
