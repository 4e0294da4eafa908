//! Every picture of a data set decoded once, so that nobody learns of a broken one from a run that stops.

use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::error::{BadRecord, Ledger};
use crate::record::Record;

/// Decodes all pictures, and returns those that cannot be used, in the order of their records.
pub fn check_pictures(dataset: &Dataset) -> Ledger {
    let mut ledger = Ledger::default();
    for records in dataset.splits.values() {
        let bad: Vec<BadRecord> = records.par_iter().filter_map(|it| broken(it).err()).collect();
        bad.into_iter().for_each(|bad| _ = ledger.record(bad));
    }
    ledger
}

/// Fails where a picture of `record` is broken: the first, or of two the second.
fn broken(record: &Record) -> Result<(), BadRecord> {
    [Some(&record.picture), record.other.as_ref()].into_iter().flatten().try_for_each(|picture| {
        let origin = format!("{} ({})", picture.origin(), record.key);
        picture.decode(&origin, Vec::new()).map(|_| ())
    })
}
