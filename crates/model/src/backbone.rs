//! The part of a model that has a momentum twin.

use burn::module::Module;
use burn::tensor::Tensor;
use weft_fusion::JointFusion;
use weft_kernels::l2_normalize;
use weft_nn::{Linear, first_token};
use weft_text::TextEncoder;
use weft_vision::Vit;

/// Image encoder, text encoder, fusion encoder, and the projections into the space that the first
/// two share.
#[derive(Module, Debug)]
pub struct Backbone {
    pub vision: Vit,
    pub text: TextEncoder,
    pub fusion: JointFusion,
    pub image_projection: Linear,
    pub text_projection: Linear,
}

impl Backbone {
    /// The picture's point on the unit sphere of the shared space, from its class token.
    ///
    /// # Shapes
    ///
    /// - `image`: `[batch, 1 + patches, width]`
    /// - output: `[batch, projection_width]`
    pub fn image_embedding(&self, image: Tensor<3>) -> Tensor<2> {
        l2_normalize(self.image_projection.forward(first_token(image)))
    }

    /// The caption's point on the unit sphere of the shared space, from its class token.
    ///
    /// # Shapes
    ///
    /// - `text`: `[batch, tokens, width]`
    /// - output: `[batch, projection_width]`
    pub fn text_embedding(&self, text: Tensor<3>) -> Tensor<2> {
        l2_normalize(self.text_projection.forward(first_token(text)))
    }
}
