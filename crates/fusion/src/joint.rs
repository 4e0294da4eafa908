//! MAMO's fusion encoder: self-attention over patches and words together.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::{linear, normal};
use weft_nn::{
    AttentionMask, ConfigError, Linear, Pooler, TransformerConfig, TransformerStack, first_token,
};

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
    /// No token of its own: the class is the caption's first token, through a tanh layer (MVPTR's release, and
    /// BERT's pooler).
    Text,
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
            class_token: (self.class_token != ClassToken::Text)
                .then(|| normal().init([1, 1, width], device)),
            pooler: (self.class_token == ClassToken::Text)
                .then(|| Pooler::new(width, width, device)),
            image_projection: projection(image_width),
            text_projection: projection(text_width),
            stack: self.transformer.init(device),
            class_from: self.class_token,
        }
    }
}

/// A transformer over `[CLS; patches; words]`, or without a class token of its own over `[patches; words]`, so that every patch and every word has a fused output
/// (MAMO, section 3.1; that it is a concatenation is our reading of its figure). The image encoder's
/// class token is no token of its own here, and no position is added at this depth: both are our
/// reading, too; where the fused class token starts is a switch, [`ClassToken`].
#[derive(Module, Debug)]
pub struct JointFusion {
    /// Where the class has a token of its own.
    pub class_token: Option<Param<Tensor<3>>>,
    /// Where it is the caption's first one.
    pub pooler: Option<Pooler>,
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
        let Joined { x, padding, places } = self.join(image, text, padding);
        self.split(self.stack.forward(x, Some(&padding)), &places)
    }

    /// One part of what [`forward`](Self::forward) gives: the last layer computes no other.
    pub fn forward_part(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
        part: Part,
    ) -> Tensor<3> {
        let Joined { x, padding, places } = self.join(image, text, padding);
        let rows = match part {
            Part::Class => places.class..places.class + 1,
            Part::Image => places.image,
            Part::Text => places.text,
        };
        let found = self.stack.forward_rows(x, Some(&padding), rows);
        match (part, &self.pooler) {
            (Part::Class, Some(pooler)) => pooler.forward(found).unsqueeze_dim(1),
            _ => found,
        }
    }

    /// As [`forward`](Self::forward), with the attention weights of each layer from words to
    /// patches, `[batch, heads, tokens, patches]`.
    pub fn forward_with_weights(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<Tensor<4>>) {
        let Joined { x, padding, places } = self.join(image, text, padding);
        let (x, weights) = self.stack.forward_with_weights(x, Some(&padding));
        let weights = weights.into_iter().map(|layer| places.words_to_patches(layer)).collect();
        (self.split(x, &places), weights)
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
        let Joined { x, padding, places } = self.join(image, text, padding);
        let [batch, positions, _] = x.dims();
        let heads = self.stack.blocks[layer].attention.heads();
        let shape = [batch, heads, positions, positions];
        let probe = Tensor::zeros(shape, &x.device().autodiff()).require_grad();
        let (x, weights) = self.stack.forward_probed(x, Some(&padding), layer, probe.clone());
        // Pairs do not meet, so the gradient of the sum is that of each pair's own score.
        let gradients = score(self.split(x, &places)).sum().backward();
        let gradient = probe.grad(&gradients).expect("the score depends on every layer");
        let cam = weights.inner() * gradient.clamp_min(0.0);
        let (tokens, patches) = (places.text.len(), places.image.len());
        places.words_to_patches(cam).mean_dim(1).reshape([batch, tokens, patches])
    }

    fn join(&self, image: &Levels, text: &Levels, padding: &AttentionMask) -> Joined {
        let hidden = image.padding().map(AttentionMask::bias);
        let (image, text) = (image.output(), text.output());
        let ([batch, positions, _], [_, tokens, _]) = (image.dims(), text.dims());
        let (patches, device) = (positions - 1, image.device());
        let image = project(&self.image_projection, image);
        let text = project(&self.text_projection, text);
        let class = self.class_token.as_ref().map(|token| {
            let [_, _, width] = token.dims();
            match self.class_from {
                ClassToken::Image => token.val() + image.clone().narrow(1, 0, 1),
                _ => token.val().expand([batch, 1, width]),
            }
        });
        let front = usize::from(class.is_some());
        let padding = match hidden {
            // A fused class token stands where the image encoder's was.
            Some(bias) => {
                let of_image = bias.narrow(3, 1 - front, front + patches);
                AttentionMask::from_bias(of_image).before(padding)
            }
            None => padding.behind(front + patches, &device),
        };
        let parts = class.into_iter().chain([image.narrow(1, 1, patches), text]);
        let behind = front + patches;
        let class = if self.pooler.is_some() { behind } else { 0 };
        Joined {
            x: Tensor::cat(parts.collect(), 1),
            padding,
            places: Places { class, image: front..behind, text: behind..behind + tokens },
        }
    }

    fn split(&self, x: Tensor<3>, places: &Places) -> Fused {
        let part = |rows: &Range<usize>| x.clone().narrow(1, rows.start, rows.len());
        let class = part(&(places.class..places.class + 1));
        Fused {
            class: match &self.pooler {
                Some(pooler) => pooler.forward(class),
                None => first_token(class),
            },
            image: part(&places.image),
            text: part(&places.text),
        }
    }
}

/// A pair as the transformer takes it.
struct Joined {
    /// `[batch, positions, width]`
    x: Tensor<3>,
    padding: AttentionMask,
    places: Places,
}

/// Which positions are what.
struct Places {
    class: usize,
    image: Range<usize>,
    text: Range<usize>,
}

impl Places {
    /// The rows of words and the columns of patches of attention, `[batch, heads, words, patches]`.
    fn words_to_patches(&self, weights: Tensor<4>) -> Tensor<4> {
        let rows = weights.narrow(2, self.text.start, self.text.len());
        rows.narrow(3, self.image.start, self.image.len())
    }
}

fn project(projection: &Option<Linear>, x: Tensor<3>) -> Tensor<3> {
    match projection {
        Some(projection) => projection.forward(x),
        None => x,
    }
}
