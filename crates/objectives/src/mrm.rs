//! MRM: masked representation modelling.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use weft_kernels::{mean, standardize};

use crate::mlm::rows;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::{ImageView, TextView, Views};

/// Keeps the division by a token's deviation finite.
const EPSILON: f64 = 1e-6;

/// The `[objectives.mrm]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MrmConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// Standardise each target token. Our choice: the scale of a target that learns is free, and
    /// a loss that shrinks with it says nothing.
    #[serde(default = "yes")]
    pub standardize_target: bool,
}

fn yes() -> bool {
    true
}

/// `mean_i |p_i - t_i|^2 / width` over masked positions, for the picture and for the caption, added
/// up (MAMO, section 3.2, the implicit target; that the square is averaged over the width is our
/// reading).
///
/// # Shapes
///
/// - `image`, `image_target`: `[masked patches, width]`; prediction and target
/// - `text`, `text_target`: `[masked tokens, width]`
/// - output: `[1]`
pub fn mrm_loss(
    image: Tensor<2>,
    image_target: Tensor<2>,
    text: Tensor<2>,
    text_target: Tensor<2>,
) -> Tensor<1> {
    let squared = |prediction: Tensor<2>, target: Tensor<2>| mean((prediction - target).square());
    squared(image, image_target) + squared(text, text_target)
}

/// Mean over dimensions of the standard deviation over tokens: near 0 when all targets are alike,
/// that is when the representation has collapsed and the loss is small for nothing.
///
/// # Shapes
///
/// - `target`: `[tokens, width]`
/// - output: `[1]`
pub fn target_spread(target: Tensor<2>) -> Tensor<1> {
    let centred = target.clone() - target.mean_dim(0);
    centred.square().mean_dim(0).sqrt().mean()
}

/// The objective: the online network predicts, from (masked picture, caption) and (picture, masked
/// caption), what the momentum network fuses from the clean pair. The projector stands on the online
/// side only, and no gradient passes the target.
pub struct Mrm(pub MrmConfig);

impl Objective for Mrm {
    fn name(&self) -> &'static str {
        "mrm"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (model, batch) = (views.model(), views.batch());
        let patches = batch.image_mask.masked_rows(&batch.images.device());
        let tokens = batch.masked_rows.clone();
        let projector = &model.heads.mrm;

        let target = views.momentum_fused();
        let image_target = self.target(rows(target.image, patches.clone()));
        let text_target = self.target(rows(target.text, tokens.clone()));
        let image = views.fused(ImageView::Masked, TextView::Clean).image;
        let text = views.fused(ImageView::Clean, TextView::Masked).text;
        Loss {
            name: self.name(),
            figures: vec![
                ("mrm_image_spread", target_spread(image_target.clone())),
                ("mrm_text_spread", target_spread(text_target.clone())),
            ],
            value: mrm_loss(
                projector.forward(rows(image, patches)),
                image_target,
                projector.forward(rows(text, tokens)),
                text_target,
            ),
        }
    }
}

impl Mrm {
    fn target(&self, target: Tensor<2>) -> Tensor<2> {
        if self.0.standardize_target { standardize(target, EPSILON) } else { target }
    }
}
