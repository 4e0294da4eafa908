//! What can be wrong with a stored vocabulary.

/// Why a vocabulary cannot be read.
///
/// Names come from the file, so messages show them escaped. Positions count from 0.
#[derive(Debug, thiserror::Error)]
pub enum ConceptError {
    /// It is no JSON, or of another shape.
    #[error("no concept vocabulary: {0}")]
    Json(#[from] serde_json::Error),
    #[error("concept {index} has an empty name")]
    EmptyName { index: usize },
    /// No caption's concept could ever be found under the name.
    #[error("concept {index} is named {name:?}, expected {expected:?}: lower case, single spaces")]
    NotCanonical { index: usize, name: String, expected: String },
    #[error("concepts {first} and {second} are both named {name:?}")]
    Twins { first: usize, second: usize, name: String },
}
