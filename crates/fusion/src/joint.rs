//! MAMO's fusion encoder: self-attention over patches and words together.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::{linear, normal};
use weft_nn::{AttentionMask, ConfigError, Linear, TransformerConfig, TransformerStack};

use crate::fused::{Fused, Levels, Part};

/// What the fused class token starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassToken {
    /// A learned token alone; the image encoder's class token stays outside.
    #[default]
    Learned,
    /// A learned token plus the image encoder's class token, so that the first layer already has a
    /// summary of the picture to compare words with.
    Image,
}

/// Sizes of a [`JointFusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointFusionConfig {
    #[serde(default)]
    pub class_token: ClassToken,
    pub transformer: TransformerConfig,
}

impl JointFusionConfig {
    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.transformer.validate("model.fusion.transformer")
    }

    /// `image_width` and `text_width` are the encoders'.
    pub fn init(&self, image_width: usize, text_width: usize, device: &Device) -> JointFusion {
        let width = self.transformer.width;
        let projection = |from| (from != width).then(|| linear(from, width, device));
        JointFusion {
            class_token: normal().init([1, 1, width], device),
            image_projection: projection(image_width),
            text_projection: projection(text_width),
            stack: self.transformer.init(device),
            class_from: self.class_token,
        }
    }
}

/// A transformer over `[CLS; patches; words]`, so that every patch and every word has a fused output
/// (MAMO, section 3.1; that it is a concatenation is our reading of its figure). The image encoder's
/// class token is no token of its own here, and no position is added at this depth: both are our
/// reading, too; where the fused class token starts is a switch, [`ClassToken`].
#[derive(Module, Debug)]
pub struct JointFusion {
    pub class_token: Param<Tensor<3>>,
    /// Only where the widths differ.
    pub image_projection: Option<Linear>,
    pub text_projection: Option<Linear>,
    pub stack: TransformerStack,
    #[module(skip)]
    class_from: ClassToken,
}

impl JointFusion {
    /// # Shapes
    ///
    /// - `image`: the image encoder's output, `[batch, 1 + patches, image_width]`
    /// - `text`: the text encoder's output, `[batch, tokens, text_width]`
    /// - `padding`: of the text
    pub fn forward(&self, image: &Levels, text: &Levels, padding: &AttentionMask) -> Fused {
        let (x, padding, patches) = self.join(image, text, padding);
        split(self.stack.forward(x, Some(&padding)), patches)
    }

    /// One part of what [`forward`](Self::forward) gives: the last layer computes no other.
    pub fn forward_part(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
        part: Part,
    ) -> Tensor<3> {
        let (x, padding, patches) = self.join(image, text, padding);
        let [_, positions, _] = x.dims();
        let rows = match part {
            Part::Class => 0..1,
            Part::Image => 1..1 + patches,
            Part::Text => 1 + patches..positions,
        };
        self.stack.forward_rows(x, Some(&padding), rows)
    }

    /// As [`forward`](Self::forward), with the attention weights of each layer from words to
    /// patches, `[batch, heads, tokens, patches]`.
    pub fn forward_with_weights(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<Tensor<4>>) {
        let [_, tokens, _] = text.output().dims();
        let (x, padding, patches) = self.join(image, text, padding);
        let (x, weights) = self.stack.forward_with_weights(x, Some(&padding));
        let words_to_patches =
            weights.into_iter().map(|layer| words_to_patches(layer, tokens, patches)).collect();
        (split(x, patches), words_to_patches)
    }

    /// How much each patch matters through each word for a score of the fused pair: the attention
    /// weights from words to patches in `layer`, times their gradient where it is positive, averaged
    /// over heads (Grad-CAM as ALBEF has it, section 6.5; there of cross-attention, here of the block
    /// of words and patches, which is our reading for this encoder).
    ///
    /// # Shapes
    ///
    /// - `image`, `text`, `padding`: as [`forward`](Self::forward), off the tape
    /// - `score`: from the fused pairs to one number for each, `[batch]`
    /// - output: `[batch, tokens, patches]`
    ///
    /// # Panics
    ///
    /// Without such a layer, or where the score does not depend on the pair.
    pub fn grad_cam(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
        layer: usize,
        score: impl FnOnce(Fused) -> Tensor<1>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = text.output().dims();
        let (x, padding, patches) = self.join(image, text, padding);
        let positions = 1 + patches + tokens;
        let heads = self.stack.blocks[layer].attention.heads();
        let shape = [batch, heads, positions, positions];
        let probe = Tensor::zeros(shape, &x.device().autodiff()).require_grad();
        let (x, weights) = self.stack.forward_probed(x, Some(&padding), layer, probe.clone());
        // Pairs do not meet, so the gradient of the sum is that of each pair's own score.
        let gradients = score(split(x, patches)).sum().backward();
        let gradient = probe.grad(&gradients).expect("the score depends on every layer");
        let cam = weights.inner() * gradient.clamp_min(0.0);
        words_to_patches(cam, tokens, patches).mean_dim(1).reshape([batch, tokens, patches])
    }

    fn join(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
    ) -> (Tensor<3>, AttentionMask, usize) {
        let seen = image.padding().cloned();
        let (image, text) = (image.output(), text.output());
        let [batch, positions, _] = image.dims();
        let patches = positions - 1;
        let device = image.device();
        let image = project(&self.image_projection, image);
        let text = project(&self.text_projection, text);
        let class = self.class_token.val();
        let [_, _, width] = class.dims();
        let class = match self.class_from {
            ClassToken::Learned => class.expand([batch, 1, width]),
            ClassToken::Image => class + image.clone().narrow(1, 0, 1),
        };
        let x = Tensor::cat(vec![class, image.narrow(1, 1, patches), text], 1);
        // The fused class token stands where the image encoder's was.
        let padding = match seen {
            Some(of_image) => of_image.before(padding),
            None => padding.behind(1 + patches, &device),
        };
        (x, padding, patches)
    }
}

/// The rows of words and the columns of patches of attention over `[CLS; patches; words]`.
fn words_to_patches(weights: Tensor<4>, tokens: usize, patches: usize) -> Tensor<4> {
    weights.narrow(2, 1 + patches, tokens).narrow(3, 1, patches)
}

fn project(projection: &Option<Linear>, x: Tensor<3>) -> Tensor<3> {
    match projection {
        Some(projection) => projection.forward(x),
        None => x,
    }
}

fn split(x: Tensor<3>, patches: usize) -> Fused {
    let [batch, positions, width] = x.dims();
    let tokens = positions - 1 - patches;
    Fused {
        class: x.clone().narrow(1, 0, 1).reshape([batch, width]),
        image: x.clone().narrow(1, 1, patches),
        text: x.narrow(1, 1 + patches, tokens),
    }
}
