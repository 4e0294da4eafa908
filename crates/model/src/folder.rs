//! A whole model as a folder: its sizes beside its weights.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::model::Model;
use crate::weights::{self, WeightsError};

/// What `model_type` says in the `config.json` of a weft model.
pub const MODEL_TYPE: &str = "weft";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

#[derive(Serialize, Deserialize)]
struct FolderConfig {
    architectures: Vec<String>,
    model_type: String,
    weft_version: String,
    vocab_size: usize,
    model: ModelConfig,
}

/// Writes `config.json` and `model.safetensors`, whose tensors go by the paths of our parameters.
///
/// # Errors
///
/// Where a file cannot be written.
pub fn write_model(
    model: &Model,
    sizes: &ModelConfig,
    vocab_size: usize,
    folder: &Path,
) -> Result<(), WeightsError> {
    std::fs::create_dir_all(folder).map_err(|error| fail(folder, error))?;
    weights::save(model, &folder.join(WEIGHTS))?;
    let config = FolderConfig {
        architectures: vec!["WeftModel".into()],
        model_type: MODEL_TYPE.into(),
        weft_version: env!("CARGO_PKG_VERSION").into(),
        vocab_size,
        model: sizes.clone(),
    };
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(&config).map_err(|error| fail(&path, error))?;
    std::fs::write(&path, text + "\n").map_err(|error| fail(&path, error))
}

/// Reads what [`write_model`] wrote: the model, its sizes and its vocabulary's size.
///
/// # Errors
///
/// Where a file is missing or damaged, or a tensor is missing, left over or of another shape.
pub fn read_model(
    folder: &Path,
    device: &Device,
) -> Result<(Model, ModelConfig, usize), WeightsError> {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|error| fail(&path, error))?;
    let config: FolderConfig = serde_json::from_str(&text).map_err(|error| fail(&path, error))?;
    let FolderConfig { model: sizes, vocab_size, .. } = config;
    let mut model = sizes.init(vocab_size, 0, device).map_err(|error| fail(&path, error))?;
    weights::load(&mut model, &folder.join(WEIGHTS))?;
    Ok((model, sizes, vocab_size))
}

fn fail(path: &Path, problem: impl ToString) -> WeightsError {
    WeightsError { path: path.into(), problem: problem.to_string() }
}
