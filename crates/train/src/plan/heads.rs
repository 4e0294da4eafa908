//! What the objectives' own heads cost, on top of the encoders' passes.

use weft_objectives::Objectives;

use super::{Cost, stack};
use crate::recipe::Recipe;

/// The heads of `objectives` that cost more than next to nothing, by name: those of MLM, MRM, MIM and MCR. ITC,
/// ITM and WPG compare a few vectors of a pair.
pub(super) fn heads(
    recipe: &Recipe,
    objectives: &Objectives,
    vocab_size: usize,
) -> Vec<(&'static str, Cost)> {
    let (model, mask) = (&recipe.model, &recipe.mask);
    let patches = model.vision.grid().patches();
    let (fused, text) = (model.fusion.transformer.width, model.text.transformer.width);
    let image = model.vision.transformer.width;
    let hidden_patches = mask.image_ratio * patches as f64;
    let hidden_words = mask.text_ratio * model.text.longest() as f64;
    // A layer to the embeddings' width, and all embeddings.
    let words =
        |of: f64, width: usize, rows: usize| linear(of, width, text).plus(linear(of, text, rows));
    let predictor =
        |of: f64, output: usize| linear(of, fused, 2 * fused).plus(linear(of, 2 * fused, output));

    let mut costs = Vec::new();
    if objectives.mlm.is_some() {
        costs.push(("MLM", words(hidden_words, fused, vocab_size)));
    }
    if objectives.mrm.is_some() {
        costs.push(("MRM", predictor(hidden_patches + hidden_words, fused)));
    }
    if objectives.mim.is_some() {
        costs.push((
            "MIM",
            match model.mim_head.filter(|head| head.depth > 0) {
                Some(head) => {
                    let depth = head.depth;
                    let blocks =
                        weft_nn::TransformerConfig { depth, ..model.fusion.transformer.clone() };
                    stack(&blocks, patches).plus(linear(hidden_patches, fused, head.output))
                }
                None => predictor(hidden_patches, model.mim_head.map_or(image, |head| head.output)),
            },
        ));
    }
    if let (Some(mcr), Some(concepts)) = (&objectives.mcr, &recipe.concepts) {
        let rows = vocab_size + concepts.most;
        let phrases = words(mask.text_ratio * concepts.room as f64, text, rows);
        let tags = concepts
            .tags
            .as_ref()
            .map_or(0.0, |tags| mask.tag_ratio * (1.0 - tags.drop) * tags.most as f64);
        let tags = words(tags, image, rows);
        let wanted = |cost: Cost, wanted: bool| if wanted { cost } else { Cost::default() };
        let recovers = mcr.recover;
        let both = wanted(phrases, recovers.phrases()).plus(wanted(tags, recovers.tags()));
        costs.push(("MCR", both));
    }
    costs
}

/// A linear map of `rows` rows; what goes in and what comes out is kept, but for logits, which are not.
fn linear(rows: f64, from: usize, to: usize) -> Cost {
    let kept = rows * from as f64;
    Cost { operations: super::linear(rows, from as f64, to as f64), kept, checkpointed: kept }
}
