//! MIM: masked image modelling with momentum visual features as targets.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use weft_kernels::mean;

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::{Target, rows, yes};
use crate::views::{ImageView, TextView, Views};

/// The `[objectives.mim]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MimConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// Standardise each target token (our choice, as for MRM).
    #[serde(default = "yes")]
    pub standardize_target: bool,
}

/// `mean_i |p_i - t_i|_1 / width` over masked patches (MAMO, section 3.3, the explicit target of the
/// picture).
///
/// # Shapes
///
/// - `prediction`, `target`: `[masked patches, width]`
/// - output: `[1]`
pub fn mim_loss(prediction: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    mean((prediction - target).abs())
}

/// The objective: from (masked picture, caption), the online network predicts what the momentum
/// image encoder, before any fusion, makes of the clean picture.
pub struct Mim(pub MimConfig);

impl Objective for Mim {
    fn name(&self) -> &'static str {
        "mim"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (model, batch) = (views.model(), views.batch());
        let patches = batch.masked_patches.clone();
        let features = views.momentum_image();
        let [_, positions, _] = features.dims();
        // The class token stands before the patches and has no place among them.
        let target = rows(features.narrow(1, 1, positions - 1), patches.clone());
        let target = Target::new(target, self.0.standardize_target);
        let image = views.fused(ImageView::Masked, TextView::Clean).image;
        Loss {
            name: self.name(),
            figures: vec![("mim_spread", target.spread)],
            value: mim_loss(model.heads.mim.forward(rows(image, patches)), target.features),
        }
    }
}
