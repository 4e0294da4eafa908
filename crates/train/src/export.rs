//! A trained model as folders that others load.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use weft_data::tokenizer::Tokenizer;
use weft_model::folder::write_model;
use weft_model::published::{PublishedError, export_text, export_vision};

use crate::checkpoint::Checkpoint;

/// What was written, and what could not be.
pub struct Exported {
    pub folders: Vec<PathBuf>,
    /// Encoders that the reference library has no class for, and why.
    pub left_out: Vec<String>,
}

/// Writes into `out`, which must not exist or be empty: `vision` and `text`, the encoders under the
/// reference library's own architectures, and `model`, the whole model under weft's own; each with
/// the tokenizer or the preprocessing that belongs to it.
///
/// # Errors
///
/// Where the checkpoint cannot be read, `out` holds something, or a file cannot be written.
pub fn export(checkpoint: &Checkpoint, out: &Path, device: &Device) -> Result<Exported> {
    let occupied = out.exists() && std::fs::read_dir(out)?.next().is_some();
    ensure!(!occupied, "{}: there is something already", out.display());
    let recipe = checkpoint.recipe()?;
    let tokenizer = checkpoint.tokenizer()?;
    let preprocess = checkpoint.preprocess()?.to_hf()?;
    let vocab_size = tokenizer.vocab_size();
    let device = device.clone().without_autodiff();
    let mut model = recipe.model.init(vocab_size, recipe.seed, &device)?;
    checkpoint.load_model(&mut model)?;

    let [vision, text, whole] = ["vision", "text", "model"].map(|part| out.join(part));
    let mut exported = Exported { folders: vec![], left_out: vec![] };
    let backbone = &model.backbone;
    if exported.takes(&vision, export_vision(&backbone.vision, &recipe.model.vision, &vision))? {
        write_preprocess(&vision, &preprocess)?;
    }
    let sizes = &recipe.model.text;
    if exported.takes(&text, export_text(&backbone.text, sizes, vocab_size, &text))? {
        write_tokenizer(&text, &tokenizer)?;
    }
    write_model(&model, &recipe.model, vocab_size, &whole)?;
    write_preprocess(&whole, &preprocess)?;
    write_tokenizer(&whole, &tokenizer)?;
    exported.folders.push(whole);
    Ok(exported)
}

impl Exported {
    /// Whether a part was written.
    fn takes(&mut self, folder: &Path, result: Result<(), PublishedError>) -> Result<bool> {
        match result {
            Ok(()) => self.folders.push(folder.into()),
            Err(PublishedError::Sizes { source, .. }) => self.left_out.push(source.to_string()),
            Err(other) => return Err(other.into()),
        }
        Ok(self.folders.iter().any(|written| written == folder))
    }
}

fn write_preprocess(folder: &Path, preprocess: &str) -> Result<()> {
    let path = folder.join("preprocessor_config.json");
    std::fs::write(&path, preprocess).with_context(|| path.display().to_string())
}

/// `tokenizer.json`, and what makes the reference library take it as it is.
fn write_tokenizer(folder: &Path, tokenizer: &Tokenizer) -> Result<()> {
    tokenizer.save(&folder.join("tokenizer.json"))?;
    let token = |id| tokenizer.token(id);
    let config = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": token(tokenizer.pad_id()),
        "cls_token": token(tokenizer.cls_id()),
        "sep_token": token(tokenizer.sep_id()),
        "mask_token": tokenizer.try_mask_id().ok().and_then(token),
    });
    let path = folder.join("tokenizer_config.json");
    std::fs::write(&path, format!("{config:#}\n")).with_context(|| path.display().to_string())
}
