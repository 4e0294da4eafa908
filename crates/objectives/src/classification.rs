//! What tasks with classes share.

use burn::tensor::{Int, Tensor};
use weft_kernels::cross_entropy_soft;

use crate::objective::Loss;
use crate::views::Views;

/// The mean score of the classes with the largest logits: accuracy where one class is right and the
/// others score 0, `[1]`.
///
/// # Shapes
///
/// - `logits`, `scores`: `[batch, classes]`
pub fn mean_score(logits: Tensor<2>, scores: Tensor<2>) -> Tensor<1> {
    let chosen: Tensor<2, Int> = logits.argmax(1);
    scores.gather(1, chosen).mean()
}

/// The cross-entropy of a task one of whose classes is right, `name`, with its accuracy, `figure`.
pub(crate) fn one_right_class(views: &mut Views, name: &'static str, figure: &'static str) -> Loss {
    let (logits, truth) = (views.task_output(), views.class_scores());
    let accuracy = mean_score(logits.clone().inner(), truth.clone());
    Loss { name, value: cross_entropy_soft(logits, truth), figures: vec![(figure, accuracy)] }
}
