//! Weights in and out, as safetensors named by the path of each parameter.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn_store::{ModuleSnapshot, SafetensorsStore};

/// Weights that cannot be written or do not fit.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct WeightsError {
    pub path: PathBuf,
    pub problem: String,
}

/// Writes every parameter of `module` to `path`.
pub fn save<M: Module>(module: &M, path: &Path) -> Result<(), WeightsError> {
    // One entry of metadata: several would stand in the order of a hash map, and equal weights
    // would not be equal files.
    let mut store =
        SafetensorsStore::from_file(path).overwrite(true).clear_metadata().metadata("format", "pt");
    readable(path, || module.save_into(&mut store)).map_err(|error| fail(path, error.to_string()))
}

/// Makes the file `path` by `write`, with the permissions of any new file: those who write safetensors write a
/// temporary file and rename it, and that is its owner's alone.
///
/// # Errors
///
/// Those of `write`, or of the file system.
pub fn readable<E: Display>(
    path: &Path,
    write: impl FnOnce() -> Result<(), E>,
) -> std::io::Result<()> {
    let permissions = std::fs::File::create(path)?.metadata()?.permissions();
    write().map_err(|error| std::io::Error::other(error.to_string()))?;
    std::fs::set_permissions(path, permissions)
}

/// Reads every parameter of `module` from `path`. A parameter that is missing, left over or of
/// another shape is an error that names it.
pub fn load<M: Module>(module: &mut M, path: &Path) -> Result<(), WeightsError> {
    let mut store = SafetensorsStore::from_file(path);
    let result = module.load_from(&mut store).map_err(|error| fail(path, error.to_string()))?;
    let listed = |what: &str, names: &[String]| {
        let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        fail(path, format!("{} parameters {what}: {shown}", names.len()))
    };
    if !result.unused.is_empty() {
        return Err(listed("that the model does not have", &result.unused));
    }
    if !result.is_success() || !result.missing.is_empty() {
        return Err(fail(path, result.to_string()));
    }
    Ok(())
}

fn fail(path: &Path, problem: String) -> WeightsError {
    WeightsError { path: path.to_path_buf(), problem }
}
