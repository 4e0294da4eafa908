//! MRM: masked representation modelling.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use weft_kernels::mean;

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::{Target, rows, yes};
use crate::views::Views;

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
        let batch = views.batch();
        let patches = batch.masked_patches.clone();
        let tokens = batch.masked_rows.clone();
        let projector = &views.heads().mrm;

        let target = views.momentum_fused();
        let standardized = self.0.standardize_target;
        let image_target = Target::new(rows(target.image, patches.clone()), standardized);
        let text_target = Target::new(rows(target.text, tokens.clone()), standardized);
        let image = views.fused_patches();
        let text = views.fused_words();
        Loss {
            name: self.name(),
            figures: vec![
                ("mrm_image_spread", image_target.spread),
                ("mrm_text_spread", text_target.spread),
            ],
            value: mrm_loss(
                projector.forward(rows(image, patches)),
                image_target.features,
                projector.forward(rows(text, tokens)),
                text_target.features,
            ),
        }
    }
}
