//! What can be wrong with a weights file.

use std::path::{Path, PathBuf};

/// Why weights cannot be read or written.
///
/// Names of tensors come from the file, so messages show them escaped.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The operating system refused: a missing file, a full disk.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// Nothing of a known format is there.
    #[error("{path}: found no weights; looked for {looked_for}")]
    NotFound { path: PathBuf, looked_for: String },
    /// A file as a whole is not what it should be.
    #[error("{path}: {detail}")]
    File { path: PathBuf, detail: String },
    /// One tensor of a file is not what it should be.
    #[error("{path}: tensor {tensor:?}: {detail}")]
    Tensor { path: PathBuf, tensor: String, detail: String },
    /// A pickle wants something of Python that tensors have no need of.
    #[error(
        "{path}: refused to import {global}: only what tensors need is read; if you trust the \
         file, load it in Python and save its state_dict() alone"
    )]
    Refused { path: PathBuf, global: String },
    /// The file holds no tensor of this name.
    #[error("{path}: holds no tensor {tensor:?}")]
    Missing { path: PathBuf, tensor: String },
    /// The tensor holds the other kind of numbers.
    #[error("tensor {tensor:?}: expected {expected}, found {found}")]
    Kind { tensor: String, expected: &'static str, found: &'static str },
}

impl WeightsError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        WeightsError::Io { path: path.into(), source }
    }

    pub(crate) fn file(path: &Path, detail: impl ToString) -> Self {
        WeightsError::File { path: path.into(), detail: detail.to_string() }
    }

    pub(crate) fn tensor(path: &Path, tensor: &str, detail: impl ToString) -> Self {
        WeightsError::Tensor {
            path: path.into(),
            tensor: tensor.into(),
            detail: detail.to_string(),
        }
    }

    pub(crate) fn missing(path: &Path, tensor: &str) -> Self {
        WeightsError::Missing { path: path.into(), tensor: tensor.into() }
    }
}
