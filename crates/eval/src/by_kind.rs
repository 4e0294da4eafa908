//! The mean of a score over examples, in all and per kind of example.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::EvalError;

/// The mean score of some examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// How many examples.
    pub n: usize,
    /// Sum of their scores, each from 0 to 1.
    pub sum: f64,
}

impl Mean {
    fn add(&mut self, score: f64) {
        self.n += 1;
        self.sum += score;
    }

    /// The mean in percent; NaN of no examples.
    pub fn percent(&self) -> f64 {
        100.0 * self.sum / self.n as f64
    }
}

/// Mean scores in percent: over all examples and over those of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByKind {
    pub all: Mean,
    pub kinds: BTreeMap<String, Mean>,
}

impl ByKind {
    /// From the kind and the score (0 to 1) of each example.
    ///
    /// # Errors
    /// No examples, or a score that is not from 0 to 1.
    pub fn of<'a>(scores: impl IntoIterator<Item = (&'a str, f64)>) -> Result<Self, EvalError> {
        let mut by_kind = ByKind { all: Mean::default(), kinds: BTreeMap::new() };
        for (kind, score) in scores {
            if !(0.0..=1.0).contains(&score) {
                return Err(EvalError::Score { kind: kind.to_owned(), score });
            }
            by_kind.all.add(score);
            by_kind.kinds.entry(kind.to_owned()).or_default().add(score);
        }
        if by_kind.all.n == 0 {
            return Err(EvalError::NoExamples);
        }
        Ok(by_kind)
    }

    /// The mean over all examples, in percent.
    pub fn percent(&self) -> f64 {
        self.all.percent()
    }

    /// The mean over kinds of each kind's mean, in percent: every kind counts alike. Kinds of fewer
    /// than `at_least` examples are left out; absent where none has as many.
    pub fn macro_percent(&self, at_least: usize) -> Option<f64> {
        let kinds = self.kinds.values().filter(|mean| mean.n >= at_least.max(1));
        let means: Vec<f64> = kinds.map(Mean::percent).collect();
        (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
    }
}
