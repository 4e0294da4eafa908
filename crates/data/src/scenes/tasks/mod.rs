//! The scenes as examples of the tasks by which models are judged.
//!
//! Example `i` of a split is a function of (seed, split, i). The words of an example are chosen
//! before the scene is, or its answer before its words, so that answers are balanced within each
//! kind; a scene that does not serve is passed over for another one of the same split.

pub mod contrasts;
pub mod expressions;
pub mod hypotheses;
pub mod labelled;
pub mod pairs;
pub mod questions;

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::split::Split;
use super::{NAME, Scenes};
use crate::error::{DataError, Ledger};
use crate::random::addressed;
use crate::tasks::TaskData;

/// Scenes tried for one example.
const ATTEMPTS: u64 = 400;
/// Scenes beyond those of the data set begin here: the first attempt takes one of the data set's.
const BEYOND: u64 = 1 << 32;

/// One try at one example.
pub(crate) struct Attempt<'a> {
    pub scenes: &'a Scenes,
    pub split: Split,
    /// Number of the example.
    pub example: u64,
    /// The scene to make it of.
    pub scene: u64,
    pub rng: ChaCha8Rng,
}

impl Attempt<'_> {
    /// The example's key.
    pub fn key(&self, task: &str) -> String {
        format!("{NAME}-{task}-{}-{:07}", self.split.name(), self.example)
    }

    /// Chance that is the same in all attempts at examples with this number.
    pub fn shared_rng(&self, number: u64, purpose: &str) -> ChaCha8Rng {
        addressed(self.scenes.config.seed, number, self.split.name(), purpose)
    }
}

/// Makes `per_scene` examples for each scene of the configuration.
///
/// # Errors
///
/// Where [`ATTEMPTS`] scenes do not give one of the examples.
pub(crate) fn collect<T: Send>(
    scenes: &Scenes,
    task: &str,
    per_scene: usize,
    make: impl Fn(Attempt) -> Option<T> + Sync,
) -> Result<TaskData<T>, DataError> {
    let mut splits = BTreeMap::new();
    for &split in Split::ALL {
        let count = (scenes.config.count(split) * per_scene) as u64;
        let examples: Result<Vec<T>, DataError> = (0..count)
            .into_par_iter()
            .map(|example| {
                let tried = (0..ATTEMPTS).find_map(|attempt| {
                    let seed = scenes.config.seed;
                    let address = format!("{}-{attempt}", split.name());
                    let scene = match attempt {
                        0 => example / per_scene as u64,
                        _ => BEYOND + example * ATTEMPTS + attempt,
                    };
                    let rng = addressed(seed, example, &address, task);
                    make(Attempt { scenes, split, example, scene, rng })
                });
                tried.ok_or_else(|| {
                    DataError::Config(format!(
                        "scenes: {ATTEMPTS} scenes of {} do not give example {example} of {task}; \
                         expected sprites that give one",
                        split.name()
                    ))
                })
            })
            .collect();
        splits.insert(split.name().to_string(), examples?);
    }
    let name = format!("{NAME} ({task})");
    Ok(TaskData { name, splits, ledger: Ledger::default(), notes: BTreeMap::new() })
}
