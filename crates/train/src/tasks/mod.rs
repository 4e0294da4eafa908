//! The tasks by which vision-language models are judged: those that a model is fine-tuned for, and
//! those that a pre-trained one is asked as it is.

mod chunks;
pub mod classification;
pub mod contrast;
pub mod examples;
pub mod fine_tuned;
pub mod shown;
pub mod weak_grounding;

use anyhow::{Result, ensure};
use weft_data::dataset;
use weft_data::tasks::{TaskData, expressions_of};
use weft_eval::TaskResult;

pub use examples::Examples;
pub use fine_tuned::{Evaluated, TaskEvaluation, best, evaluate_task, has_labels};

use crate::inference::Inference;
use crate::recipe::Recipe;

/// Stands behind the name of a task of pre-trained models in the results of one that was fine-tuned for it.
pub const FINE_TUNED: &str = ", fine-tuned";

/// What the results of a model of the fine-tuning recipe `recipe` in its own task are called.
pub fn own_task(recipe: &Recipe) -> String {
    match recipe.task() {
        Some(task) => examples::name_of(task).into(),
        None if recipe.data.expressions => format!("weak_grounding{FINE_TUNED}"),
        None => format!("retrieval{FINE_TUNED}"),
    }
}

/// The splits of the data that such a model is asked in its own task.
///
/// # Errors
///
/// When the data cannot be read.
pub fn own_splits(recipe: &Recipe) -> Result<Vec<String>> {
    Ok(match recipe.task() {
        Some(task) => Examples::open(task, recipe, None)?.splits(),
        None if recipe.data.expressions => {
            expressions_of(&recipe.data)?.splits.into_keys().collect()
        }
        None => dataset::open(&recipe.data)?.splits.into_keys().collect(),
    })
}

/// Fails where the model sees a detector's regions: of what is drawn on the spot there are none.
fn needs_patches(recipe: &Recipe) -> Result<()> {
    ensure!(
        recipe.patch_grid().is_some(),
        "scenes are drawn on the spot and have no regions of a detector, which the model sees"
    );
    Ok(())
}

/// Examples in all splits: what the budget of unusable ones is a fraction of, however small a split is.
fn total<T>(data: &TaskData<T>) -> usize {
    data.splits.values().map(Vec::len).sum()
}

/// A result of `model` without figures yet.
pub(crate) fn result(
    model: &Inference,
    task: &str,
    split: &str,
    checkpoint: &str,
    n: usize,
) -> TaskResult {
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
