//! The tasks by which vision-language models are judged: those that a model is fine-tuned for, and
//! those that a pre-trained one is asked as it is.

pub mod classification;
pub mod contrast;
pub mod examples;
pub mod fine_tuned;
pub mod shown;
pub mod weak_grounding;

use anyhow::{Result, ensure};
use weft_eval::TaskResult;

pub use examples::Examples;
pub use fine_tuned::{Evaluated, TaskEvaluation, best, evaluate_task, has_labels};

use crate::inference::Inference;
use crate::recipe::Recipe;

/// Fails where the model sees a detector's regions: of what is drawn on the spot there are none.
fn needs_patches(recipe: &Recipe) -> Result<()> {
    ensure!(
        recipe.patch_grid().is_some(),
        "scenes are drawn on the spot and have no regions of a detector, which the model sees"
    );
    Ok(())
}

/// A result of `model` without figures yet.
fn result(model: &Inference, task: &str, split: &str, checkpoint: &str, n: usize) -> TaskResult {
    TaskResult {
        task: task.into(),
        split: split.into(),
        n,
        metrics: Default::default(),
        recipe: model.recipe.name.clone(),
        checkpoint: checkpoint.into(),
        seed: model.recipe.seed,
        seconds: 0.0,
    }
}
