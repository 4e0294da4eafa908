//! Two streams that attend to one another: METER's fusion encoder, and BridgeTower's.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::{linear, normal};
use weft_nn::{
    AttentionMask, ConfigError, LayerNorm, LayerNormConfig, Linear, Memory, Pooler,
    TransformerBlock, TransformerConfig,
};

use crate::bridge::{Bridge, BridgeKind};

/// Sizes of a [`CoAttentionFusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoAttentionConfig {
    /// How the encoders' upper layers enter, one per fusion layer (BridgeTower); without it the last
    /// ones alone do (METER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeKind>,
    /// Whether all layers of an encoder pass through one projection, or each through its own.
    #[serde(default = "yes")]
    pub share_projections: bool,
    /// Of the norms in front of the first layer and in the bridges.
    pub norm_epsilon: f64,
    /// One stream. Each block attends to the other stream, so `memory_width` is the width.
    pub transformer: TransformerConfig,
}

fn yes() -> bool {
    true
}

impl CoAttentionConfig {
    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const PART: &str = "model.fusion.transformer";
        if self.transformer.memory_width != Some(self.transformer.width) {
            return Err(ConfigError::new(PART, "memory_width must be the width"));
        }
        self.transformer.validate(PART)
    }

    /// `image_width` and `text_width` are the encoders'.
    pub fn init(
        &self,
        image_width: usize,
        text_width: usize,
        device: &Device,
    ) -> CoAttentionFusion {
        let TransformerConfig { width, depth, .. } = self.transformer;
        let norm = LayerNormConfig { width, epsilon: self.norm_epsilon };
        let projections = if self.bridge.is_some() && !self.share_projections { depth } else { 1 };
        let project = |from| (0..projections).map(|_| linear(from, width, device)).collect();
        let blocks = || (0..depth).map(|i| self.transformer.init_block(i, device)).collect();
        let bridges = || match self.bridge {
            Some(kind) => (1..depth).map(|_| Bridge::new(kind, &norm, device)).collect(),
            None => vec![],
        };
        let first_norm = || self.bridge.map(|_| norm.init(device));
        CoAttentionFusion {
            text_projection: project(text_width),
            image_projection: project(image_width),
            modality: normal().init([2, width], device),
            text_norm: first_norm(),
            image_norm: first_norm(),
            text_blocks: blocks(),
            image_blocks: blocks(),
            text_bridges: bridges(),
            image_bridges: bridges(),
            text_pooler: Pooler::new(width, width, device),
            image_pooler: Pooler::new(width, width, device),
        }
    }
}

/// Co-attention (METER, Dou et al. 2022): in each layer, words attend to words and then
/// to patches, patches to patches and then to words, both from the states before the layer. With
/// bridges, layer `l` reads the `l`-th of the encoders' upper layers as well (BridgeTower, Xu et al.
/// 2023).
#[derive(Module, Debug)]
pub struct CoAttentionFusion {
    /// One for all layers, or one per layer.
    pub text_projection: Vec<Linear>,
    pub image_projection: Vec<Linear>,
    /// Added to words (row 0) and patches (row 1), `[2, width]`.
    pub modality: Param<Tensor<2>>,
    /// In front of the first layer, where the others have bridges.
    pub text_norm: Option<LayerNorm>,
    pub image_norm: Option<LayerNorm>,
    pub text_blocks: Vec<TransformerBlock>,
    pub image_blocks: Vec<TransformerBlock>,
    /// Of the second layer and those after it.
    pub text_bridges: Vec<Bridge>,
    pub image_bridges: Vec<Bridge>,
    pub text_pooler: Pooler,
    pub image_pooler: Pooler,
}

/// Both streams after a layer.
#[derive(Debug, Clone)]
pub struct Streams {
    /// `[batch, words, width]`
    pub text: Tensor<3>,
    /// `[batch, patches, width]`
    pub image: Tensor<3>,
}

impl CoAttentionFusion {
    /// Both streams after each layer.
    ///
    /// # Shapes
    ///
    /// - `text`: the text encoder's upper layers, `[batch, words, text_width]`: as many as there are
    ///   fusion layers with bridges, else the last one
    /// - `image`: the same of the image encoder, `[batch, patches, image_width]`
    /// - `padding`: of the words
    ///
    /// # Panics
    ///
    /// If the number of layers is another.
    pub fn forward(
        &self,
        text: &[Tensor<3>],
        image: &[Tensor<3>],
        padding: Option<&AttentionMask>,
    ) -> Vec<Streams> {
        let expected = 1 + self.text_bridges.len();
        assert_eq!(text.len(), expected, "layers of the text encoder");
        assert_eq!(image.len(), expected, "layers of the image encoder");
        let mut states: Vec<Streams> = Vec::with_capacity(self.text_blocks.len());
        for layer in 0..self.text_blocks.len() {
            let input = match states.last() {
                None => self.first(text[0].clone(), image[0].clone()),
                Some(last) if self.text_bridges.is_empty() => last.clone(),
                Some(last) => Streams {
                    text: self.text_bridges[layer - 1]
                        .forward(self.project_text(text[layer].clone(), layer), last.text.clone()),
                    image: self.image_bridges[layer - 1].forward(
                        self.project_image(image[layer].clone(), layer),
                        last.image.clone(),
                    ),
                },
            };
            states.push(self.layer(layer, input, padding));
        }
        states
    }

    /// A vector of each stream, beside one another.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, 2 width]`, text first
    pub fn pool(&self, streams: &Streams) -> Tensor<2> {
        let text = self.text_pooler.forward(streams.text.clone());
        Tensor::cat(vec![text, self.image_pooler.forward(streams.image.clone())], 1)
    }

    /// A layer of the image encoder in the fusion encoder's width, marked as image.
    pub fn project_image(&self, x: Tensor<3>, layer: usize) -> Tensor<3> {
        self.project(&self.image_projection, x, layer, 1)
    }

    fn project_text(&self, x: Tensor<3>, layer: usize) -> Tensor<3> {
        self.project(&self.text_projection, x, layer, 0)
    }

    fn project(
        &self,
        projections: &[Linear],
        x: Tensor<3>,
        layer: usize,
        modality: usize,
    ) -> Tensor<3> {
        let projection = projections.get(layer).unwrap_or(&projections[0]);
        projection.forward(x) + self.modality.val().narrow(0, modality, 1).unsqueeze::<3>()
    }

    fn first(&self, text: Tensor<3>, image: Tensor<3>) -> Streams {
        let norm = |norm: &Option<LayerNorm>, x| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        Streams {
            text: norm(&self.text_norm, self.project_text(text, 0)),
            image: norm(&self.image_norm, self.project_image(image, 0)),
        }
    }

    fn layer(&self, layer: usize, x: Streams, padding: Option<&AttentionMask>) -> Streams {
        let words = Memory { tokens: x.text.clone(), mask: padding.cloned() };
        let patches = Memory { tokens: x.image.clone(), mask: None };
        Streams {
            text: self.text_blocks[layer].forward_with_memory(x.text, padding, &patches),
            image: self.image_blocks[layer].forward_with_memory(x.image, None, &words),
        }
    }
}
