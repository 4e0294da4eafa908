//! Why a package cannot be got.

use std::path::{Path, PathBuf};

use weft_weights::WeightsError;

use super::NAMES;

/// Why a package cannot be got or found.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: std::io::Error },
    /// No manifest has this name.
    #[error("no package is called {name:?}; known are {}", NAMES.join(", "))]
    Unknown { name: String },
    /// A manifest that does not hold what it should.
    #[error("manifest of the package {name:?}: {detail}")]
    Manifest { name: String, detail: String },
    /// Nothing says where the cache is.
    #[error("no folder to keep packages in: set WEFT_CACHE, or {home} as systems do")]
    NoCache { home: &'static str },
    /// The package was not got, or is damaged.
    #[error("{folder}: {detail}; get the package with `weft data get {name}`")]
    NotThere { name: String, folder: PathBuf, detail: String },
    /// The client is not there, or did not bring the file.
    #[error("the package {name} cannot be fetched: {detail}\n{by_hand}")]
    Client { name: String, detail: String, by_hand: String },
    /// A file is another than the manifest names.
    #[error("{path}: expected {expected}, found {found}")]
    Differs { path: PathBuf, expected: String, found: String },
    /// The package's file is not an archive with the files that the manifest names.
    #[error("{path}: {detail}")]
    Archive { path: PathBuf, detail: String },
    /// A model that cannot be converted.
    #[error("{path}: {detail}")]
    Convert { path: PathBuf, detail: String },
    /// Weights that cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl PackageError {
    pub(super) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |error| PackageError::Io { path, error }
    }
}
