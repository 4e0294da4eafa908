//! What a recipe gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The `[expected]` table: what was measured with this recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The seeds of the runs.
    pub seeds: Vec<u64>,
    /// Seconds of a run alone on the machine.
    pub seconds: f64,
    pub machine: String,
    /// `"<split>.<metric>"` to what the runs gave.
    pub metrics: BTreeMap<String, Measured>,
}

/// One metric over several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// How far below `min` a run may fall and still be as expected: two standard errors of a split
    /// of this size.
    pub tolerance: f64,
}
