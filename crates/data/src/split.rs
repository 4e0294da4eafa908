//! Which split a record is in.

use std::collections::BTreeMap;

use rand::Rng;

use crate::dataset::SourceConfig;
use crate::random::addressed;
use crate::record::Record;

type Splits = (BTreeMap<String, Vec<Record>>, BTreeMap<String, u64>);

const TRAIN: &str = "train";
const NAMES: [&str; 3] = [TRAIN, "val", "test"];

/// Splits by a hash of each record's key, so that a record stays where it is when others come or
/// go. Returns the splits and the notes on them.
pub(crate) fn by_key(records: Vec<Record>, config: &SourceConfig) -> Splits {
    let mut names: Vec<String> =
        records.iter().map(|record| choose(&record.key, config).to_string()).collect();
    // Chance can leave a handful of records without any to train on.
    let moved = !names.iter().any(|name| name == TRAIN);
    if moved {
        names.fill(TRAIN.into());
    }
    let count = names.len() as u64;
    let (splits, mut notes) = by_name(records, names);
    if moved {
        notes.insert("all records in train, for want of others there".into(), count);
    }
    (splits, notes)
}

/// Splits by the names that stand beside the records, as the data set has them: a file of a test set is
/// nothing to train on.
pub(crate) fn by_name(records: Vec<Record>, names: Vec<String>) -> Splits {
    let mut splits: BTreeMap<String, Vec<Record>> =
        NAMES.iter().map(|name| (name.to_string(), vec![])).collect();
    let mut notes = BTreeMap::new();
    for (record, name) in records.into_iter().zip(names) {
        splits.entry(name).or_default().push(record);
    }
    for (name, records) in &splits {
        if records.is_empty() {
            notes.insert(format!("records in {name}, which is empty"), 0);
        }
    }
    (splits, notes)
}

fn choose(key: &str, config: &SourceConfig) -> &'static str {
    let draw = addressed(config.split_seed, 0, key, "split").next_u64() as f64 / u64::MAX as f64;
    if draw < config.test_fraction {
        "test"
    } else if draw < config.test_fraction + config.val_fraction {
        "val"
    } else {
        TRAIN
    }
}
