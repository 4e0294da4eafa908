//! Cutting pictures into patches.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use weft_nn::Linear;
use weft_nn::init::{linear, linear_without_bias};

use crate::positions::Grid;

/// A linear map of each patch's pixels: the same numbers as a convolution whose stride is its kernel
/// (Dosovitskiy et al. 2021, equation 1), as one matrix product.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    pub projection: Linear,
    patch_size: usize,
}

impl PatchEmbedding {
    pub fn new(
        patch_size: usize,
        channels: usize,
        width: usize,
        bias: bool,
        device: &Device,
    ) -> Self {
        let pixels = channels * patch_size * patch_size;
        let projection = match bias {
            true => linear(pixels, width, device),
            false => linear_without_bias(pixels, width, device),
        };
        Self { projection, patch_size }
    }

    /// How many patches these pictures are cut into.
    pub fn grid(&self, images: &Tensor<4>) -> Grid {
        let [_, _, height, width] = images.dims();
        Grid { rows: height / self.patch_size, columns: width / self.patch_size }
    }

    /// Pixels of each patch, patches in reading order.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`, sides multiples of the patch size
    /// - output: `[batch, patches, channels * patch_size^2]`
    pub fn patches(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, _, _] = images.dims();
        let side = self.patch_size;
        let Grid { rows, columns } = self.grid(&images);
        images
            .reshape([batch, channels, rows, side, columns, side])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * side * side])
    }

    /// # Shapes
    ///
    /// - `patches`: `[batch, patches, channels * patch_size^2]`
    /// - output: `[batch, patches, width]`
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        self.projection.forward(patches)
    }
}
