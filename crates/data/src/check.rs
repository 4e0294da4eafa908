//! Every picture of a data set decoded once, so that nobody learns of a broken one from a run that stops.

use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::error::BadRecord;
use crate::record::Record;

/// Decodes all pictures, and returns those that cannot be used, in the order of their records.
pub fn check_pictures(dataset: &Dataset) -> Vec<BadRecord> {
    let records: Vec<&Record> = dataset.splits.values().flatten().collect();
    records.into_par_iter().filter_map(|record| broken(record).err()).collect()
}

/// Fails where a picture of `record` is broken: the first, or of two the second.
fn broken(record: &Record) -> Result<(), BadRecord> {
    [Some(&record.picture), record.other.as_ref()].into_iter().flatten().try_for_each(|picture| {
        let origin = format!("{} ({})", picture.origin(), record.key);
        picture.decode(&origin, Vec::new()).map(|_| ())
    })
}
