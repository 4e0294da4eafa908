//! ITM: image-text matching with hard negatives.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::cross_entropy;

use crate::negatives::Hardness;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;

/// The `[objectives.itm]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItmConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// Which wrong partners are taken.
    #[serde(default)]
    pub negatives: Hardness,
    /// Wrong pairs for each right one: 2, a wrong picture and a wrong caption, or 1 of the two.
    #[serde(default = "two")]
    pub per_pair: usize,
}

fn two() -> usize {
    2
}

/// Cross-entropy of (no match, match) over the matching pairs and the negatives (ALBEF, equation 4).
///
/// # Shapes
///
/// - `positives`: `[batch, 2]`, logits of matching pairs
/// - `negatives`: `[negatives, 2]`, logits of pairs that do not match
/// - output: `[1]`
pub fn itm_loss(positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
    let labels = labels(&positives, &negatives);
    cross_entropy(Tensor::cat(vec![positives, negatives], 0), labels)
}

fn labels(positives: &Tensor<2>, negatives: &Tensor<2>) -> Tensor<1, Int> {
    let ([matching, _], [others, _]) = (positives.dims(), negatives.dims());
    let device = positives.device();
    Tensor::cat(vec![Tensor::ones([matching], &device), Tensor::zeros([others], &device)], 0)
}

/// The objective: a wrong picture for each caption and a wrong caption for each picture, or one of the two
/// for each pair. A batch whose captions are all equal has no wrong pairs, and teaches nothing.
pub struct Itm(pub ItmConfig);

impl Objective for Itm {
    fn name(&self) -> &'static str {
        "itm"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        if !views.batch().captions_differ() {
            return Loss { name: self.name(), value: views.nothing(), figures: Vec::new() };
        }
        let head = &views.heads().itm;
        let positives = head.forward(views.fused_class());
        let negatives = head.forward(views.negatives(self.0.negatives, self.0.per_pair));
        let (inner_positives, inner_negatives) =
            (positives.clone().inner(), negatives.clone().inner());
        let truth = labels(&inner_positives, &inner_negatives);
        let logits = Tensor::cat(vec![inner_positives, inner_negatives], 0);
        let [pairs, _] = logits.dims();
        let accuracy = logits.argmax(1).reshape([pairs]).equal(truth).float().mean();
        Loss {
            name: self.name(),
            value: itm_loss(positives, negatives),
            figures: vec![("itm_accuracy", accuracy)],
        }
    }
}
