//! MIM: masked image modelling, with one of three targets.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::{cross_entropy, mean};
use weft_model::MimHeadConfig;
use weft_vision::VitConfig;

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::{Target, rows, scaled, yes};
use crate::views::Views;

/// What is predicted of a hidden patch (MAMO, Table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MimTarget {
    /// What the momentum image encoder makes of it: the paper's choice.
    #[default]
    Features,
    /// Its pixels (SimMIM, Xie et al. 2022).
    Pixels,
    /// Its code in a codebook of patches. MAMO takes DALL-E's discrete VAE, as BEiT does; ours is
    /// k-means over patches of the training pictures, a small stand-in.
    Tokens,
}

/// The `[objectives.mim]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MimConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// What is predicted, `features`, `pixels` or `tokens`.
    #[serde(default)]
    pub target: MimTarget,
    /// Standardise what is predicted of each patch: its features (our choice, as for MRM), or its
    /// pixels (the normalised pixels of MAE, He et al. 2022), of which the codes are made, too.
    #[serde(default = "yes")]
    pub standardize_target: bool,
    /// Codes of the codebook, where codes are predicted.
    #[serde(default = "small_codebook")]
    pub codes: usize,
    /// Transformer blocks of the head, which see all patches; 0 for an MLP.
    #[serde(default)]
    pub head_depth: usize,
}

fn small_codebook() -> usize {
    512
}

impl MimConfig {
    /// The head that the target needs, for a model with this image encoder; `None` for the one that a
    /// model has by itself.
    pub fn head(&self, vision: &VitConfig) -> Option<MimHeadConfig> {
        let output = match self.target {
            MimTarget::Features => vision.transformer.width,
            MimTarget::Pixels => patch_width(vision),
            MimTarget::Tokens => self.codes,
        };
        let by_itself = self.target == MimTarget::Features && self.head_depth == 0;
        (!by_itself).then_some(MimHeadConfig { depth: self.head_depth, output })
    }

    /// Size of the codebook that the target needs: how many codes, and of how many numbers each.
    pub fn codebook(&self, vision: &VitConfig) -> Option<(usize, usize)> {
        (self.target == MimTarget::Tokens).then(|| (self.codes, patch_width(vision)))
    }

    /// Whether the target is the momentum image encoder's.
    pub fn needs_momentum(&self) -> bool {
        self.target == MimTarget::Features
    }
}

/// Numbers of a patch: each of its pixels in three colours.
fn patch_width(vision: &VitConfig) -> usize {
    vision.patch_numbers()
}

/// `mean_i |p_i - t_i|_1 / width` over masked patches (MAMO, section 3.3, the explicit target of the
/// picture; SimMIM, section 3.4, for pixels).
///
/// # Shapes
///
/// - `prediction`, `target`: `[masked patches, width]`
/// - output: `[1]`
pub fn mim_loss(prediction: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    mean((prediction - target).abs())
}

/// `-mean_i log softmax(l_i)[c_i]` over masked patches (BEiT, Bao et al. 2022, section 2.3).
///
/// # Shapes
///
/// - `logits`: `[masked patches, codes]`
/// - `codes`: `[masked patches]`
/// - output: `[1]`
pub fn mim_token_loss(logits: Tensor<2>, codes: Tensor<1, Int>) -> Tensor<1> {
    cross_entropy(logits, codes)
}

/// The objective: from (masked picture, caption), the online network predicts what the masked patches
/// are.
pub struct Mim(pub MimConfig);

impl Mim {
    /// What the momentum image encoder, before any fusion, makes of the clean picture.
    fn features(&self, views: &mut Views) -> Target {
        let features = views.momentum_image();
        let [_, positions, _] = features.dims();
        // The class token stands before the patches and has no place among them.
        let patches = features.narrow(1, 1, positions - 1);
        Target::new(rows(patches, views.batch().masked_patches.clone()), self.0.standardize_target)
    }

    /// The pixels of the clean picture.
    fn pixels(&self, views: &Views) -> Tensor<2> {
        let batch = views.batch();
        let hidden = rows(views.patch_pixels(), batch.masked_patches.clone());
        scaled(hidden, self.0.standardize_target)
    }
}

/// What the head makes of the masked patches, `[masked patches, output]`.
fn prediction(views: &mut Views) -> Tensor<2> {
    let heads = views.heads();
    let image = heads.mim_patches(views.fused_patches());
    heads.mim_prediction(rows(image, views.batch().masked_patches.clone()))
}

impl Objective for Mim {
    fn name(&self) -> &'static str {
        "mim"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (value, figures) = match self.0.target {
            MimTarget::Features => {
                let target = self.features(views);
                let value = mim_loss(prediction(views), target.features);
                (value, vec![("mim_spread", target.spread)])
            }
            MimTarget::Pixels => {
                let pixels = self.pixels(views);
                (mim_loss(prediction(views), pixels), vec![])
            }
            MimTarget::Tokens => {
                let codes = views.codebook().nearest(self.pixels(views));
                let logits = prediction(views);
                let right = accuracy(logits.clone().inner(), codes.clone());
                (mim_token_loss(logits, codes), vec![("mim_accuracy", right)])
            }
        };
        Loss { name: self.name(), value, figures }
    }
}

/// Fraction of the rows whose largest logit is their code's, `[1]`.
fn accuracy(logits: Tensor<2>, codes: Tensor<1, Int>) -> Tensor<1> {
    let [items, _] = logits.dims();
    logits.argmax(1).reshape([items]).equal(codes).float().mean()
}
