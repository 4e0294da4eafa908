//! Tags of a picture as tokens of the image encoder.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use weft_kernels::embedding;
use weft_nn::init::{linear, normal};
use weft_nn::{AttentionMask, Linear};

/// Tags of a batch of pictures.
#[derive(Debug, Clone)]
pub struct Tags {
    /// Rows of the embedding table, `[batch, tags]`.
    pub ids: Tensor<2, Int>,
    /// Hides the places without a tag.
    pub padding: AttentionMask,
}

/// From the embedding table that words, phrases and tags share (MVP, section 3.1) to the image encoder's
/// width. Tags stand in no order, so they have no positions: our reading.
#[derive(Module, Debug)]
pub struct TagEmbeddings {
    pub projection: Linear,
    /// What tells a tag from a patch, `[1, 1, width]`.
    pub kind: Param<Tensor<3>>,
}

impl TagEmbeddings {
    /// From vectors of `words` numbers to vectors of `width`.
    pub fn new(words: usize, width: usize, device: &Device) -> Self {
        Self {
            projection: linear(words, width, device),
            kind: normal().init([1, 1, width], device),
        }
    }

    /// # Shapes
    ///
    /// - `table`: `[rows, words]`
    /// - `ids`: `[batch, tags]`
    /// - output: `[batch, tags, width]`
    pub fn forward(&self, table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
        self.projection.forward(embedding(table, ids)) + self.kind.val()
    }
}
