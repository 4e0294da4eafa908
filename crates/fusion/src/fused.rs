//! What a fusion encoder makes of pairs, and what it is given.

use burn::tensor::{Int, Tensor};
use weft_nn::AttentionMask;

/// The fused representation of a batch of pairs.
#[derive(Debug, Clone)]
pub struct Fused {
    /// `[batch, class_width]`
    pub class: Tensor<2>,
    /// `[batch, patches, width]`
    pub image: Tensor<3>,
    /// `[batch, tokens, width]`
    pub text: Tensor<3>,
}

/// What of fused pairs somebody asks for. The last layer of the fusion encoder need not compute the
/// rest: matching reads the class, masked words the words, masked patches the patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `[batch, 1, class_width]`
    Class,
    /// `[batch, patches, width]`
    Image,
    /// `[batch, tokens, width]`
    Text,
}

impl Fused {
    /// A part of it, in the shape that [`Part`] says.
    pub fn part(&self, part: Part) -> Tensor<3> {
        match part {
            Part::Class => self.class.clone().unsqueeze_dim(1),
            Part::Image => self.image.clone(),
            Part::Text => self.text.clone(),
        }
    }
}

/// The upper layers of a uni-modal encoder, the lowest first: as many as the fusion encoder reads.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Each `[batch, tokens, width]`.
    layers: Vec<Tensor<3>>,
    /// Hides tokens that are none, where some are; of captions the padding is handed on by itself.
    padding: Option<AttentionMask>,
}

impl Levels {
    /// # Panics
    ///
    /// Without a layer.
    pub fn new(layers: Vec<Tensor<3>>) -> Self {
        assert!(!layers.is_empty(), "an encoder has an output");
        Self { layers, padding: None }
    }

    /// The same with tokens that are hidden, `[batch, 1, 1, tokens]`.
    pub fn with_padding(self, padding: Option<AttentionMask>) -> Self {
        Self { padding, ..self }
    }

    /// Hides tokens that are none, `[batch, 1, 1, tokens]`; nothing where all are some.
    pub fn padding(&self) -> Option<&AttentionMask> {
        self.padding.as_ref()
    }

    /// The encoder's output, `[batch, tokens, width]`.
    pub fn output(&self) -> Tensor<3> {
        self.layers[self.layers.len() - 1].clone()
    }

    pub fn layers(&self) -> &[Tensor<3>] {
        &self.layers
    }

    /// The same layers of the examples `rows`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let padding = self.padding.as_ref().map(|padding| padding.select(rows));
        self.map(|layer| layer.select(0, rows.clone())).with_padding(padding)
    }

    /// The examples of `parts` behind one another.
    ///
    /// # Panics
    ///
    /// Without parts, or where they have not as many layers.
    pub fn cat(parts: Vec<Self>) -> Self {
        let count = parts[0].layers.len();
        let layer =
            |at: usize| Tensor::cat(parts.iter().map(|part| part.layers[at].clone()).collect(), 0);
        let paddings: Option<Vec<_>> = parts.iter().map(|part| part.padding.clone()).collect();
        let padding = paddings.map(AttentionMask::cat);
        Self { layers: (0..count).map(layer).collect(), padding }
    }

    /// Each layer changed by `f`, which leaves every token in its place.
    pub fn map(&self, f: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        let layers = self.layers.iter().cloned().map(f).collect();
        Self { layers, padding: self.padding.clone() }
    }
}
