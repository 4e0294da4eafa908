//! The codebook of a run that predicts codes of patches.

use std::time::Instant;

use anyhow::{Context, Result};
use weft_data::codebook::{Codebook, PatchSample};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;

use crate::checkpoint::Checkpoint;
use crate::recipe::Recipe;

/// Patches that a codebook is learned from: some dozens for each of 512 codes.
const PATCHES: usize = 20_000;

/// The codebook of a new run over `records`, with a line that says where it is from; none where the
/// recipe predicts no codes. `pipeline` is that of evaluation.
///
/// # Errors
///
/// Where too few patches differ, or the checkpoint that the run starts from has a codebook that cannot
/// be read.
pub fn begin(
    recipe: &Recipe,
    records: &[Record],
    pipeline: &Pipeline,
) -> Result<Option<(Codebook, String)>> {
    let Some(size) = recipe.codebook() else { return Ok(None) };
    if let Some(inherited) = inherited(recipe).context("start.checkpoint")? {
        return Ok(Some((inherited, "codebook from the checkpoint".into())));
    }
    let standardized = standardizes(recipe);
    learn(size, standardized, records, pipeline).context("codebook of patches").map(Some)
}

fn learn(
    (codes, width): (usize, usize),
    standardized: bool,
    records: &[Record],
    pipeline: &Pipeline,
) -> Result<(Codebook, String)> {
    let begun = Instant::now();
    let patches = PatchSample { patches: PATCHES, standardized }.take(records, pipeline);
    let (codebook, learned) = Codebook::learn(&patches, width, codes, pipeline.seed)?;
    let line = format!(
        "codebook: {codes} codes of {} patches in {} rounds and {:.1} s, mean squared error of a pixel \
         {:.4}",
        learned.patches,
        learned.rounds,
        begun.elapsed().as_secs_f64(),
        learned.distortion
    );
    Ok((codebook, line))
}

/// The codebook of the checkpoint that the recipe starts from, where it is one of the same patches: the
/// head that was trained knows its codes.
fn inherited(recipe: &Recipe) -> Result<Option<Codebook>> {
    let Some(path) = &recipe.start.checkpoint else { return Ok(None) };
    let (_, checkpoint) = Checkpoint::locate(path)?;
    let theirs = checkpoint.recipe()?;
    let kind = |recipe: &Recipe| (recipe.codebook(), standardizes(recipe));
    if kind(&theirs) == kind(recipe) { checkpoint.codebook(&theirs) } else { Ok(None) }
}

fn standardizes(recipe: &Recipe) -> bool {
    recipe.objectives.mim.as_ref().is_some_and(|mim| mim.standardize_target)
}
