//! Grounding: where in a picture the thing is that a phrase refers to.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;

/// Keeps the division by an empty area finite.
const EPSILON: f64 = 1e-7;

/// The `[objectives.grounding]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundingConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// The rectangle that the head's four numbers stand for.
///
/// # Shapes
///
/// - `output`: column and row of the centre, width and height, as fractions of the picture's,
///   `[batch, 4]`
/// - output: left, top, width and height, `[batch, 4]`
pub fn regions_of(output: Tensor<2>) -> Tensor<2> {
    let (centre, size) = (output.clone().narrow(1, 0, 2), output.narrow(1, 2, 2));
    Tensor::cat(vec![centre - size.clone() * 0.5, size], 1)
}

/// `mean_i |c_i - c*_i|_1 + 1 - GIoU(b_i, b*_i)` with `c` the centre, width and height of the
/// rectangle `b` (X-VLM, section 3.2; Rezatofighi et al. 2019, algorithm 1).
///
/// # Shapes
///
/// - `regions`, `truth`: left, top, width and height, `[batch, 4]`
/// - output: `[1]`
pub fn grounding_loss(regions: Tensor<2>, truth: Tensor<2>) -> Tensor<1> {
    let distance = (centred(regions.clone()) - centred(truth.clone())).abs().sum_dim(1).mean();
    let Overlap { generalised, .. } = overlap(regions, truth);
    distance + (generalised.neg() + 1.0).mean()
}

/// Centre, width and height.
fn centred(regions: Tensor<2>) -> Tensor<2> {
    let (corner, size) = (regions.clone().narrow(1, 0, 2), regions.narrow(1, 2, 2));
    Tensor::cat(vec![corner + size.clone() * 0.5, size], 1)
}

/// How far rectangles are the same, each `[batch, 1]`.
struct Overlap {
    /// Intersection over union.
    iou: Tensor<2>,
    /// GIoU: the same less the share of the smallest rectangle around both that neither covers.
    generalised: Tensor<2>,
}

fn overlap(a: Tensor<2>, b: Tensor<2>) -> Overlap {
    let corners = |x: Tensor<2>| {
        let (low, size) = (x.clone().narrow(1, 0, 2), x.narrow(1, 2, 2));
        (low.clone(), low + size)
    };
    let area = |size: Tensor<2>| size.clone().narrow(1, 0, 1) * size.narrow(1, 1, 1);
    let ((a_low, a_high), (b_low, b_high)) = (corners(a), corners(b));
    let common = a_high.clone().min_pair(b_high.clone()) - a_low.clone().max_pair(b_low.clone());
    let around = a_high.clone().max_pair(b_high.clone()) - a_low.clone().min_pair(b_low.clone());
    let intersection = area(common.clamp_min(0.0));
    let union = area(a_high - a_low) + area(b_high - b_low) - intersection.clone();
    let around = area(around);
    let iou = intersection / (union.clone() + EPSILON);
    let generalised = iou.clone() - (around.clone() - union) / (around + EPSILON);
    Overlap { iou, generalised }
}

/// The objective.
pub struct Grounding(pub GroundingConfig);

impl Objective for Grounding {
    fn name(&self) -> &'static str {
        "grounding"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (regions, truth) = (regions_of(views.task_output()), views.regions());
        let found = overlap(regions.clone().inner(), truth.clone()).iou.greater_equal_elem(0.5);
        let value = grounding_loss(regions, truth);
        Loss {
            name: self.name(),
            value,
            figures: vec![("grounding_accuracy", found.float().mean())],
        }
    }
}
