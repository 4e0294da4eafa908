//! The vision transformer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::normal;
use weft_nn::{ConfigError, TransformerConfig, TransformerStack};

use crate::patch_embedding::PatchEmbedding;
use crate::patch_mask::PatchMask;

/// How masked patches enter the encoder. MAMO's paper leaves it open (methods.md, A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskMode {
    /// A learned token replaces the embedding of a masked patch (SimMIM, Xie et al. 2022): the
    /// encoder sees every position.
    Token,
    /// The encoder sees the visible patches only; a learned token with the position's embedding
    /// takes each masked patch's place behind it (MAE, He et al. 2022).
    Drop,
}

/// Sizes of a [`Vit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of a picture in pixels; a multiple of the patch size.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// How masked patches enter the encoder.
    pub mask_mode: MaskMode,
    pub transformer: TransformerConfig,
}

const CHANNELS: usize = 3;

impl VitConfig {
    /// Patches on a side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.patch_size == 0
            || self.image_size == 0
            || !self.image_size.is_multiple_of(self.patch_size)
        {
            return Err(ConfigError::new(
                "model.vision",
                format!(
                    "image_size {} is not a multiple of patch_size {}",
                    self.image_size, self.patch_size
                ),
            ));
        }
        self.transformer.validate("model.vision.transformer")
    }

    pub fn init(&self, device: &Device) -> Vit {
        let width = self.transformer.width;
        Vit {
            patch_embedding: PatchEmbedding::new(self.patch_size, CHANNELS, width, device),
            class_token: normal().init([1, 1, width], device),
            mask_token: normal().init([1, 1, width], device),
            position_embedding: normal().init([1, 1 + self.patches(), width], device),
            stack: self.transformer.init(device),
            mask_mode: self.mask_mode,
        }
    }
}

/// ViT (Dosovitskiy et al. 2021): patches, a class token, learned positions and a transformer.
#[derive(Module, Debug)]
pub struct Vit {
    pub patch_embedding: PatchEmbedding,
    pub class_token: Param<Tensor<3>>,
    pub mask_token: Param<Tensor<3>>,
    pub position_embedding: Param<Tensor<3>>,
    pub stack: TransformerStack,
    #[module(skip)]
    mask_mode: MaskMode,
}

impl Vit {
    /// Encodes whole pictures.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, 3, image_size, image_size]`, normalised
    /// - output: `[batch, 1 + patches, width]`, the class token first
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let x = self.patch_embedding.forward(self.patch_embedding.patches(images));
        self.encode(x + self.patch_positions())
    }

    /// Encodes pictures with masked patches; every position has an output.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_masked(&self, images: Tensor<4>, mask: &PatchMask) -> Tensor<3> {
        match self.mask_mode {
            _ if mask.masked() == 0 => self.forward(images),
            MaskMode::Token => self.forward_token(images, mask),
            MaskMode::Drop => self.forward_drop(images, mask),
        }
    }

    fn forward_token(&self, images: Tensor<4>, mask: &PatchMask) -> Tensor<3> {
        let x = self.patch_embedding.forward(self.patch_embedding.patches(images));
        let weights = mask.weights(&x.device());
        let x = x * (1.0 - weights.clone()) + self.mask_token.val() * weights;
        self.encode(x + self.patch_positions())
    }

    fn forward_drop(&self, images: Tensor<4>, mask: &PatchMask) -> Tensor<3> {
        let device = images.device();
        let (batch, patches) = (mask.batch(), mask.patches());
        let visible = patches - mask.masked();
        let rows = mask.visible_rows(&device);

        let pixels = self.patch_embedding.patches(images);
        let [_, _, depth] = pixels.dims();
        // Only what the encoder sees is embedded; pixels have no gradient.
        let pixels = pixels.reshape([batch * patches, depth]).select(0, rows.clone());
        let x = self.patch_embedding.forward(pixels.reshape([batch, visible, depth]));

        let width = self.width();
        let positions = self.patch_positions();
        let everywhere = positions.clone().expand([batch, patches, width]);
        let seen = everywhere.reshape([batch * patches, width]).select(0, rows);
        let encoded = self.encode(x + seen.reshape([batch, visible, width]));

        let class = encoded.clone().narrow(1, 0, 1);
        let tokens = self.mask_token.val().expand([batch, mask.masked(), width]);
        let restored = Tensor::cat(vec![encoded.narrow(1, 1, visible), tokens], 1)
            .reshape([batch * patches, width])
            .select(0, mask.restore_rows(&device))
            .reshape([batch, patches, width]);
        // Visible patches carry their position already.
        let restored = restored + positions * mask.weights(&device);
        Tensor::cat(vec![class, restored], 1)
    }

    /// Puts the class token in front and runs the transformer.
    fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = x.dims();
        let class = self.class_token.val() + self.position_embedding.val().narrow(1, 0, 1);
        self.stack.forward(Tensor::cat(vec![class.expand([batch, 1, width]), x], 1), None)
    }

    /// Position embeddings of the patches, `[1, patches, width]`.
    fn patch_positions(&self) -> Tensor<3> {
        let positions = self.position_embedding.val();
        let [_, tokens, _] = positions.dims();
        positions.narrow(1, 1, tokens - 1)
    }

    fn width(&self) -> usize {
        let [_, _, width] = self.class_token.dims();
        width
    }
}
