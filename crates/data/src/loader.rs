//! Batches for a training run: prepared ahead on several threads, the same on every number of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{BadRecord, DataError, Ledger};
use crate::ordered::Ordered;
use crate::pipeline::{Item, Pipeline, Pixels, shuffled_partners};
use crate::random::addressed;
use crate::record::Record;

/// How many records are tried in place of a bad one.
const REPLACEMENTS: usize = 64;
/// How many of these must not be in the batch already. A data set hardly larger than a batch may
/// have no other.
const DISTINCT_REPLACEMENTS: usize = 32;

/// How records are put into batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    pub batch_size: usize,
    /// How many records of one picture stand behind one another, at least 1. At 1 no record is kept
    /// beside another.
    pub per_picture: usize,
    /// Number of threads, at least 1.
    pub workers: usize,
    /// Number of batches that are prepared or waiting at a time, at least 1. More workers than
    /// that have nothing to do.
    pub queue: usize,
    pub seed: u64,
    /// Fraction of the records that may be bad before the run ends with an error.
    pub bad_budget: f64,
}

/// An endless iterator over batches.
///
/// Each epoch takes the records in another order and drops those that fill no batch. The batch
/// for a step is a function of the records, the pipeline, `batch_size`, `seed` and the step alone.
/// A record that turns out bad is counted in the ledger, once, and another takes its place. The
/// iterator ends after an error.
pub struct Loader {
    batches: Ordered<Built>,
    ledger: Ledger,
    /// How many of its first ones the budget is not of.
    opened: usize,
    records: usize,
    steps_per_epoch: u64,
    bad_budget: f64,
    failed: bool,
}

impl Loader {
    /// Starts preparing batches, the first one for step `first_step`.
    pub fn new(
        records: Arc<Vec<Record>>,
        pipeline: Arc<Pipeline>,
        config: LoaderConfig,
        first_step: u64,
    ) -> Result<Self, DataError> {
        pipeline.check()?;
        let count = records.len();
        if config.batch_size == 0 || config.batch_size > count {
            return Err(DataError::Config(format!(
                "batch_size {}: expected 1 to {count}, the number of records",
                config.batch_size
            )));
        }
        if config.per_picture == 0 {
            return Err(DataError::Config("per_picture 0: expected at least 1".into()));
        }
        if config.workers == 0 || config.queue == 0 {
            return Err(DataError::Config(format!(
                "workers {}, queue {}: expected at least 1 of each",
                config.workers, config.queue
            )));
        }
        let steps_per_epoch = (count / config.batch_size) as u64;
        let partners = pipeline.shuffle_pairs.then(|| shuffled_partners(count, pipeline.seed));
        let together = by_picture(&records, config.per_picture);
        let builder = Builder {
            together,
            per_picture: config.per_picture,
            records,
            partners,
            pipeline,
            batch_size: config.batch_size,
            steps_per_epoch,
            seed: config.seed,
            orders: Mutex::default(),
        };
        let job = move |step, stop: &AtomicBool| builder.build(step, stop);
        let batches = Ordered::start(config.workers, config.queue, first_step, job)
            .map_err(|error| DataError::Worker(format!("cannot start a thread: {error}")))?;
        Ok(Loader {
            batches,
            ledger: Ledger::default(),
            opened: 0,
            records: count,
            steps_per_epoch,
            bad_budget: config.bad_budget,
            failed: false,
        })
    }

    /// The same loader with the bad records that were met before it, of which `opened` were found when the data
    /// set was opened: those were held against the budget there, among all of its rows, and the others count here.
    pub fn with_ledger(mut self, ledger: Ledger, opened: usize) -> Self {
        (self.ledger, self.opened) = (ledger, opened);
        self
    }

    /// Batches of one pass over the records.
    pub fn steps_per_epoch(&self) -> u64 {
        self.steps_per_epoch
    }

    /// The bad records met so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How long `next` has waited for batches in all. What remains near zero is fast enough.
    pub fn wait(&self) -> Duration {
        self.batches.waited()
    }

    fn take(&mut self) -> Result<Batch, DataError> {
        let built = self.batches.next().map_err(DataError::Worker)?;
        // Only here, in the order of the steps: a worker that is ahead must not end the run early.
        for bad in built.bad {
            self.ledger.record(bad);
        }
        self.ledger.check_after(self.opened, self.bad_budget, self.records)?;
        built.batch
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.take();
        self.failed = batch.is_err();
        Some(batch)
    }
}

/// A batch, and the bad records that were met on the way to it.
struct Built {
    batch: Result<Batch, DataError>,
    bad: Vec<BadRecord>,
}

/// A batch in the making.
struct Drawn {
    items: Vec<Item>,
    pixels: Pixels,
    bad: Vec<BadRecord>,
}

/// Makes the batch for any step.
struct Builder {
    records: Arc<Vec<Record>>,
    /// Records of each picture, where some are kept together.
    together: Vec<Vec<usize>>,
    per_picture: usize,
    /// Whose captions each record gets, where not its own.
    partners: Option<Vec<usize>>,
    pipeline: Arc<Pipeline>,
    batch_size: usize,
    steps_per_epoch: u64,
    seed: u64,
    /// The orders of the latest epochs: workers may be in two of them at a time.
    orders: Mutex<BTreeMap<u64, Arc<Vec<usize>>>>,
}

impl Builder {
    fn build(&self, step: u64, stop: &AtomicBool) -> Option<Built> {
        let epoch = step / self.steps_per_epoch;
        let first = (step % self.steps_per_epoch) as usize * self.batch_size;
        let order = self.order(epoch);
        let chosen = &order[first..first + self.batch_size];
        let mut taken: HashSet<usize> = chosen.iter().copied().collect();
        let size = self.pipeline.preprocess.size;
        let mut drawn = Drawn {
            items: Vec::with_capacity(chosen.len()),
            pixels: Pixels {
                images: Vec::with_capacity(chosen.len() * 3 * size * size),
                ..Pixels::default()
            },
            bad: Vec::new(),
        };
        for &index in chosen {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let found = self.draw(index, epoch, &mut drawn)
                || self.draw_replacement(index, epoch, &mut taken, &mut drawn);
            if !found {
                let problem = format!(
                    "{REPLACEMENTS} records were tried in place of {}, which cannot be used, and \
                     none of them can be used either",
                    self.records[index].key
                );
                return Some(Built { batch: Err(DataError::Budget(problem)), bad: drawn.bad });
            }
        }
        let batch = self.pipeline.collate(drawn.items, drawn.pixels, step, epoch);
        Some(Built { batch: Ok(batch), bad: drawn.bad })
    }

    /// Adds the record `index` to what was drawn; whether it could be used.
    fn draw(&self, index: usize, epoch: u64, drawn: &mut Drawn) -> bool {
        let caption_of = self.partners.as_ref().map_or(index, |partners| partners[index]);
        let (record, caption_of) = (&self.records[index], &self.records[caption_of]);
        let Drawn { items, pixels, bad } = drawn;
        match self.pipeline.item(record, caption_of, epoch, pixels) {
            Ok(item) => items.push(item),
            Err(record) => {
                bad.push(record);
                return false;
            }
        }
        true
    }

    /// Adds what takes the place of the bad record `index`; whether anything could.
    fn draw_replacement(
        &self,
        index: usize,
        epoch: u64,
        taken: &mut HashSet<usize>,
        drawn: &mut Drawn,
    ) -> bool {
        let key = &self.records[index].key;
        for attempt in 0..REPLACEMENTS {
            let purpose = format!("replacement-{attempt}");
            let mut rng = addressed(self.seed, epoch, key, &purpose);
            let other = rng.random_range(0..self.records.len());
            let is_new = taken.insert(other);
            if !is_new && attempt < DISTINCT_REPLACEMENTS {
                continue;
            }
            if self.draw(other, epoch, drawn) {
                return true;
            }
        }
        false
    }

    /// The order of the records in `epoch`.
    fn order(&self, epoch: u64) -> Arc<Vec<usize>> {
        const KEPT: usize = 2;
        // A panic elsewhere leaves complete orders behind.
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.entry(epoch).or_insert_with(|| {
            let mut random = addressed(self.seed, epoch, "", "order");
            if self.together.is_empty() {
                let mut order: Vec<usize> = (0..self.records.len()).collect();
                order.shuffle(&mut random);
                return Arc::new(order);
            }
            let mut together = self.together.clone();
            together.iter_mut().for_each(|records| records.shuffle(&mut random));
            let mut parts: Vec<&[usize]> =
                together.iter().flat_map(|records| records.chunks(self.per_picture)).collect();
            parts.shuffle(&mut random);
            Arc::new(parts.concat())
        });
        let order = order.clone();
        while orders.len() > KEPT {
            orders.pop_first();
        }
        order
    }
}

/// The numbers of the records of each picture, in the order of the records; nothing where none is to
/// be kept beside another. Only neighbours are compared: data sets list a picture's questions in one
/// place.
fn by_picture(records: &[Record], per_picture: usize) -> Vec<Vec<usize>> {
    if per_picture == 1 {
        return Vec::new();
    }
    let numbers: Vec<usize> = (0..records.len()).collect();
    let is_same = |a: &usize, b: &usize| records[*a].picture.is_same(&records[*b].picture);
    numbers.chunk_by(is_same).map(<[usize]>::to_vec).collect()
}
