//! A trained model as folders that others load.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use weft_data::tokenizer::Tokenizer;
use weft_model::folder::write_model;
use weft_model::published::{PublishedError, export_text, export_vision};

use crate::checkpoint::Checkpoint;
use crate::run_dir::folder_atomically;

const VISION: &str = "vision";
const TEXT: &str = "text";
const WHOLE: &str = "model";

/// What was written, and what could not be.
pub struct Exported {
    /// Folders in the one that was asked for.
    pub folders: Vec<&'static str>,
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
    folder_atomically(out, |out| write_all(checkpoint, out, device))
}

fn write_all(checkpoint: &Checkpoint, out: &Path, device: &Device) -> Result<Exported> {
    let recipe = checkpoint.recipe()?;
    let tokenizer = checkpoint.tokenizer()?;
    let preprocess = checkpoint.preprocess()?.to_hf()?;
    let vocab_size = tokenizer.vocab_size();
    let device = device.clone().without_autodiff();
    let mut model = recipe.model.init(vocab_size, recipe.seed, &device)?;
    checkpoint.load_model(&mut model)?;

    let [vision, text, whole] = [VISION, TEXT, WHOLE].map(|part| out.join(part));
    let mut exported = Exported { folders: vec![], left_out: vec![] };
    let backbone = &model.backbone;
    if exported.takes(VISION, export_vision(&backbone.vision, &recipe.model.vision, &vision))? {
        write_preprocess(&vision, &preprocess)?;
    }
    let sizes = &recipe.model.text;
    if exported.takes(TEXT, export_text(&backbone.text, sizes, vocab_size, &text))? {
        write_tokenizer(&text, &tokenizer)?;
    }
    write_model(&model, &recipe.model, vocab_size, &whole)?;
    write_preprocess(&whole, &preprocess)?;
    write_tokenizer(&whole, &tokenizer)?;
    exported.folders.push(WHOLE);
    Ok(exported)
}

impl Exported {
    /// Whether a part was written.
    fn takes(&mut self, part: &'static str, result: Result<(), PublishedError>) -> Result<bool> {
        match result {
            Ok(()) => {
                self.folders.push(part);
                Ok(true)
            }
            Err(PublishedError::Sizes { source, .. }) => {
                self.left_out.push(source.to_string());
                Ok(false)
            }
            Err(other) => Err(other.into()),
        }
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
