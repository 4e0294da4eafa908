//! What can be wrong with a published model.

use std::path::PathBuf;

use weft_nn::ConfigError;
use weft_weights::WeightsError;

/// A published model that cannot be read, or inputs that do not fit it.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file that is not there or not JSON.
    #[error("{path}: {detail}")]
    File { path: PathBuf, detail: String },
    /// A value of `config.json`.
    #[error("{path}: {key}: {detail}")]
    Config { path: PathBuf, key: String, detail: String },
    /// Sizes that no model can have.
    #[error("{path}: {source}")]
    Sizes { path: PathBuf, source: ConfigError },
    /// Tensors that the model needs and the file lacks.
    #[error("{path}: {} missing: {}", tensors(.missing.len()), listed(.missing))]
    Missing { path: PathBuf, missing: Vec<String> },
    /// A tensor of another shape.
    #[error("{path}: tensor {tensor}: expected {expected:?}, found {found:?}")]
    Shape { path: PathBuf, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    /// A part of a recipe that computes something else than the published one.
    #[error("{path} does not fit: {}", .differences.join("; "))]
    Disagrees { path: PathBuf, differences: Vec<String> },
    /// An input of the forward pass.
    #[error("input {name}: {detail}")]
    Input { name: String, detail: String },
}

fn tensors(count: usize) -> String {
    if count == 1 { "1 tensor".into() } else { format!("{count} tensors") }
}

/// The first few of `names`.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
