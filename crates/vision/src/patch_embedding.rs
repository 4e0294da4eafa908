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
    /// Rows and columns of a patch.
    patch: [usize; 2],
}

impl PatchEmbedding {
    /// Of square patches.
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
        Self { projection, patch: [patch_size; 2] }
    }

    /// Of regions: a picture of one channel has a row for each, and a patch is a row.
    pub fn of_regions(features: usize, width: usize, device: &Device) -> Self {
        Self { projection: linear(features, width, device), patch: [1, features] }
    }

    /// How many patches these pictures are cut into.
    pub fn grid(&self, images: &Tensor<4>) -> Grid {
        let [_, _, height, width] = images.dims();
        let [rows, columns] = self.patch;
        Grid { rows: height / rows, columns: width / columns }
    }

    /// Pixels of each patch, patches in reading order.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`, sides multiples of the patch's
    /// - output: `[batch, patches, channels * patch rows * patch columns]`
    pub fn patches(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, _, _] = images.dims();
        let [height, width] = self.patch;
        let Grid { rows, columns } = self.grid(&images);
        images
            .reshape([batch, channels, rows, height, columns, width])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * height * width])
    }

    /// # Shapes
    ///
    /// - `patches`: as [`patches`](Self::patches) has them
    /// - output: `[batch, patches, width]`
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        self.projection.forward(patches)
    }
}
