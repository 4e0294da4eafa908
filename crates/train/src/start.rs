//! Models that start from published encoders.

use anyhow::{Context, Result};
use weft_model::Model;
use weft_model::published::{Coverage, start_text, start_vision};

use crate::recipe::Recipe;

/// `model` with the parts that the recipe takes from published encoders, and what was taken.
pub fn from_published(
    recipe: &Recipe,
    mut model: Model,
    vocab_size: usize,
) -> Result<(Model, Vec<String>)> {
    let device = model.temperature.val().device();
    let mut lines = Vec::new();
    if let Some(folder) = &recipe.vision.init {
        let sizes = &recipe.model.vision;
        let (vision, coverage) = start_vision(model.backbone.vision, sizes, folder, &device)
            .context("vision.init")?;
        model.backbone.vision = vision;
        lines.push(format!("image encoder from {}:\n{}", folder.display(), shown(&coverage)));
    }
    if let Some(folder) = &recipe.text.init {
        let (text, fusion) = (model.backbone.text, model.backbone.fusion);
        let sizes = &recipe.model;
        let started = start_text(
            (text, &sizes.text),
            (fusion, &sizes.fusion),
            vocab_size,
            folder,
            &device,
        )
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

fn shown(coverage: &Coverage) -> String {
    coverage.to_string().trim_end().lines().map(|line| format!("    {line}\n")).collect()
}
