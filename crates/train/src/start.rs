//! Models that start from a checkpoint or from published encoders.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use weft_data::packages;
use weft_data::preprocess::Preprocess;
use weft_model::published::{Coverage, start_text, start_vision};
use weft_model::{Model, ModelConfig};

use crate::checkpoint::Checkpoint;
use crate::parameters::Parameters;
use crate::recipe::Recipe;

/// `model` with what the recipe takes from a checkpoint or from published encoders, and what was
/// taken.
pub fn start(recipe: &Recipe, model: Model, vocab_size: usize) -> Result<(Model, Vec<String>)> {
    match &recipe.start.checkpoint {
        Some(path) if !recipe.start.parts.is_empty() => {
            parts_of_checkpoint(recipe, model, vocab_size, path).context("start.checkpoint")
        }
        Some(path) => from_checkpoint(recipe, model, vocab_size, path).context("start.checkpoint"),
        None => from_published(recipe, model, vocab_size),
    }
}

/// `model` with the parts that the recipe names of a checkpoint's.
fn parts_of_checkpoint(
    recipe: &Recipe,
    mut model: Model,
    vocab_size: usize,
    path: &Path,
) -> Result<(Model, Vec<String>)> {
    let (_, checkpoint) = Checkpoint::locate(path)?;
    let device = model.temperature.val().device();
    let mut theirs = checkpoint.recipe()?.model.init(vocab_size, recipe.seed, &device)?;
    checkpoint.load_model(&mut theirs)?;
    let theirs = Parameters::take(&mut theirs);
    let mut ours = Parameters::take(&mut model);
    let mut lines = Vec::new();
    for part in &recipe.start.parts {
        let copied = ours.copy(part, &theirs).with_context(|| path.display().to_string())?;
        lines.push(format!("{part}: {copied} parameters from {}", checkpoint.path().display()));
    }
    ours.put(&mut model);
    Ok((model, lines))
}

/// The model of a checkpoint with the task head of `model`, and with its head of MIM where that
/// predicts something else.
fn from_checkpoint(
    recipe: &Recipe,
    model: Model,
    vocab_size: usize,
    path: &Path,
) -> Result<(Model, Vec<String>)> {
    let (_, checkpoint) = Checkpoint::locate(path)?;
    let theirs = checkpoint.recipe()?.model;
    let sizes = |config: &ModelConfig| ModelConfig { task: None, mim_head: None, ..config.clone() };
    ensure!(
        sizes(&theirs) == sizes(&recipe.model),
        "{}: [model] is not the recipe's",
        checkpoint.path().display()
    );
    let device = model.temperature.val().device();
    let mut started = theirs.init(vocab_size, recipe.seed, &device)?;
    checkpoint.load_model(&mut started)?;
    started.heads.task = model.heads.task;
    started.heads.region = model.heads.region;
    if theirs.mim_head != recipe.model.mim_head {
        started.heads.mim = model.heads.mim;
        started.heads.mim_blocks = model.heads.mim_blocks;
    }
    Ok((started, vec![format!("model from {}", checkpoint.path().display())]))
}

/// `model` with the parts that the recipe takes from published encoders, and what was taken.
fn from_published(
    recipe: &Recipe,
    mut model: Model,
    vocab_size: usize,
) -> Result<(Model, Vec<String>)> {
    let device = model.temperature.val().device();
    let mut lines = Vec::new();
    if let Some(path) = &recipe.vision.init {
        let folder = &packages::resolve(path).context("vision.init")?;
        let sizes = &recipe.model.vision;
        let (vision, coverage) =
            start_vision(model.backbone.vision, sizes, folder, &device).context("vision.init")?;
        model.backbone.vision = vision;
        lines.extend(other_preprocessing(&recipe.preprocessing(), folder)?);
        lines.push(format!("image encoder from {}:\n{}", folder.display(), shown(&coverage)));
    }
    if let Some(path) = &recipe.text.init {
        let folder = &packages::resolve(path).context("text.init")?;
        let (text, fusion) = (model.backbone.text, model.backbone.fusion);
        let sizes = &recipe.model;
        let joint = fusion.zip(sizes.fusion.as_joint());
        let started = start_text((text, &sizes.text), joint, vocab_size, folder, &device)
            .context("text.init")?;
        model.backbone.text = started.text;
        model.backbone.fusion = started.fusion;
        let coverage = shown(&started.coverage);
        lines.push(format!("text encoder from {}:\n{coverage}", folder.display()));
        lines.push(match started.fusion_from {
            Ok(layer) => format!("fusion encoder from its layers {layer} and above"),
            Err(reason) => format!("fusion encoder starts anew: {reason}"),
        });
    }
    Ok((model, lines))
}

/// A note where the published encoder was trained on pixels of another mean or deviation.
fn other_preprocessing(ours: &Preprocess, folder: &Path) -> Result<Option<String>> {
    let path = folder.join("preprocessor_config.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let theirs = Preprocess::from_hf(&text).with_context(|| path.display().to_string())?;
    Ok((ours.mean != theirs.mean || ours.std != theirs.std).then(|| {
        format!(
            "note: preprocess.mean {:?} and std {:?} are not the published encoder's, {:?} and {:?}",
            ours.mean, ours.std, theirs.mean, theirs.std
        )
    }))
}

fn shown(coverage: &Coverage) -> String {
    coverage.to_string().trim_end().lines().map(|line| format!("    {line}\n")).collect()
}
