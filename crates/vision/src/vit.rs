//! The vision transformer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::normal;
use weft_nn::{
    AttentionMask, ConfigError, LayerNorm, LayerNormConfig, TransformerConfig, TransformerStack,
};

use crate::image_size::ImageSize;
use crate::patch_embedding::PatchEmbedding;
use crate::patch_mask::PatchMask;
use crate::positions::{Grid, Resampling, resample};

/// How masked patches enter the encoder. MAMO's paper leaves it open.
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
    /// Sides of a picture in pixels; multiples of the patch size.
    pub image_size: ImageSize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// How masked patches enter the encoder.
    pub mask_mode: MaskMode,
    /// Whether the projection of patches has a bias.
    #[serde(default = "yes")]
    pub patch_bias: bool,
    /// Whether a distillation token follows the class token (DeiT, Touvron et al. 2021).
    #[serde(default)]
    pub distillation_token: bool,
    /// Whether the embeddings are normalised before the first block, as CLIP does.
    #[serde(default)]
    pub embedding_norm: bool,
    /// A detector's regions in the place of patches; the sizes of pictures and patches then say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionsConfig>,
    pub transformer: TransformerConfig,
}

/// Boxes with features, as a detector finds them in a picture (MVP, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionsConfig {
    /// Numbers of a region, with the 6 of its box (VinVL: 2,054).
    pub features: usize,
    /// Most regions of a picture (MVPTR: 50).
    pub most: usize,
}

const CHANNELS: usize = 3;

fn yes() -> bool {
    true
}

impl VitConfig {
    /// ViT as published, for square pictures.
    pub fn new(image_size: usize, patch_size: usize, transformer: TransformerConfig) -> Self {
        Self {
            image_size: ImageSize::square(image_size),
            patch_size,
            mask_mode: MaskMode::Token,
            patch_bias: yes(),
            distillation_token: false,
            embedding_norm: false,
            regions: None,
            transformer,
        }
    }

    /// Patches of a picture; regions stand in one column.
    pub fn grid(&self) -> Grid {
        if let Some(regions) = self.regions {
            return Grid { rows: regions.most, columns: 1 };
        }
        let ImageSize { height, width } = self.image_size;
        Grid { rows: height / self.patch_size, columns: width / self.patch_size }
    }

    /// Numbers that a patch or a region is.
    pub fn patch_numbers(&self) -> usize {
        self.regions
            .map_or(CHANNELS * self.patch_size * self.patch_size, |regions| regions.features)
    }

    /// Tokens in front of the patches.
    pub fn special_tokens(&self) -> usize {
        1 + usize::from(self.distillation_token)
    }

    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self.regions {
            Some(regions) => self.validate_regions(regions)?,
            None => self.validate_patches()?,
        }
        self.transformer.validate("model.vision.transformer")
    }

    fn validate_regions(&self, regions: RegionsConfig) -> Result<(), ConfigError> {
        if regions.features == 0 || regions.most == 0 {
            let problem = format!("expected features and most of at least 1, found {regions:?}");
            return Err(ConfigError::new("model.vision.regions", problem));
        }
        Ok(())
    }

    fn validate_patches(&self) -> Result<(), ConfigError> {
        let ImageSize { height, width } = self.image_size;
        let fits = |side: usize| side > 0 && side.is_multiple_of(self.patch_size);
        if self.patch_size == 0 || !fits(height) || !fits(width) {
            return Err(ConfigError::new(
                "model.vision",
                format!(
                    "image_size {} is not a multiple of patch_size {}",
                    self.image_size, self.patch_size
                ),
            ));
        }
        Ok(())
    }

    pub fn init(&self, device: &Device) -> Vit {
        let width = self.transformer.width;
        let token = || normal().init([1, 1, width], device);
        // Where a region is, its own numbers say.
        let placed = if self.regions.is_some() { 0 } else { self.grid().patches() };
        let positions = self.special_tokens() + placed;
        let epsilon = self.transformer.norm_epsilon;
        let patch_embedding = match self.regions {
            Some(regions) => PatchEmbedding::of_regions(regions.features, width, device),
            None => PatchEmbedding::new(self.patch_size, CHANNELS, width, self.patch_bias, device),
        };
        Vit {
            patch_embedding,
            class_token: token(),
            distillation_token: self.distillation_token.then(token),
            mask_token: token(),
            position_embedding: normal().init([1, positions, width], device),
            embedding_norm: self
                .embedding_norm
                .then(|| LayerNormConfig { width, epsilon }.init(device)),
            stack: self.transformer.init(device),
            grid: self.grid(),
            of_regions: self.regions.is_some(),
            mask_mode: self.mask_mode,
        }
    }
}

/// ViT (Dosovitskiy et al. 2021): patches, a class token, learned positions and a transformer; by
/// its configuration also DeiT, CLIP's image encoder, DINOv2, and MVPTR's encoder of a detector's regions.
#[derive(Module, Debug)]
pub struct Vit {
    pub patch_embedding: PatchEmbedding,
    pub class_token: Param<Tensor<3>>,
    pub distillation_token: Option<Param<Tensor<3>>>,
    pub mask_token: Param<Tensor<3>>,
    pub position_embedding: Param<Tensor<3>>,
    pub embedding_norm: Option<LayerNorm>,
    pub stack: TransformerStack,
    #[module(skip)]
    grid: Grid,
    /// Whether a detector's regions are in the place of patches.
    #[module(skip)]
    of_regions: bool,
    #[module(skip)]
    mask_mode: MaskMode,
}

impl Vit {
    /// Encodes whole pictures. Pictures of another size than the configuration's get resampled
    /// positions.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, 3, height, width]`, normalised, sides multiples of the patch size; of
    ///   regions `[batch, 1, regions, features]`, zeros alone where a picture has no more
    /// - output: `[batch, special tokens + patches, width]`, the class token first
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        self.levels(images, None, 1).pop().expect("one level was asked for")
    }

    /// Encodes pictures with masked patches; every position has an output.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_masked(&self, images: Tensor<4>, mask: &PatchMask) -> Tensor<3> {
        self.levels(images, Some(mask), 1).pop().expect("one level was asked for")
    }

    /// What comes out of the last `count` blocks, the lowest first, each through the last norm.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward).
    pub fn levels(
        &self,
        images: Tensor<4>,
        mask: Option<&PatchMask>,
        count: usize,
    ) -> Vec<Tensor<3>> {
        let mask = mask.filter(|mask| mask.masked() > 0);
        match (mask, self.mask_mode) {
            (None, _) => {
                let padding = self.padding(&images);
                self.stack.levels(self.embed(images, None), padding.as_ref(), count)
            }
            (Some(mask), MaskMode::Token) => {
                let weights = mask.weights(&images.device());
                self.stack.levels(self.embed(images, Some(weights)), None, count)
            }
            (Some(mask), MaskMode::Drop) => self.levels_drop(images, mask, count),
        }
    }

    /// As [`levels`](Self::levels) of whole pictures, with other tokens behind the patches: patches and
    /// they attend to one another, but for what `mask` hides.
    ///
    /// # Shapes
    ///
    /// - `beside`: `[batch, others, width]`
    /// - `mask`: of special tokens, patches and others
    /// - each level: `[batch, special tokens + patches + others, width]`
    pub fn levels_beside(
        &self,
        images: Tensor<4>,
        beside: Tensor<3>,
        mask: &AttentionMask,
        count: usize,
    ) -> Vec<Tensor<3>> {
        let x = Tensor::cat(vec![self.embed(images, None), beside], 1);
        self.stack.levels(x, Some(mask), count)
    }

    /// The embeddings and what comes out of each block: `depth + 1` states, the last one before the
    /// stack's norm.
    ///
    /// # Shapes
    ///
    /// - `images`: as [`forward`](Self::forward)
    /// - `masked`: `[batch, patches, 1]`, 1 where the mask token replaces a patch, else 0
    /// - `mask`: of the special tokens and patches
    /// - each state: `[batch, special tokens + patches, width]`
    pub fn states(
        &self,
        images: Tensor<4>,
        masked: Option<Tensor<3>>,
        mask: Option<&AttentionMask>,
    ) -> Vec<Tensor<3>> {
        self.stack.states(self.embed(images, masked), mask, None)
    }

    /// Hides what is no region, `[batch, 1, 1, special tokens + regions]`; nothing where all tokens are
    /// patches.
    pub fn padding(&self, images: &Tensor<4>) -> Option<AttentionMask> {
        if !self.of_regions {
            return None;
        }
        let [batch, _, regions, _] = images.dims();
        let nothing = images.clone().abs().sum_dim(3).reshape([batch, regions]).equal_elem(0.0);
        let mask = AttentionMask::padding(nothing);
        Some(mask.behind(self.special_tokens(), &images.device()))
    }

    /// Tokens that `images` become: special ones and patches.
    pub fn tokens(&self, images: &Tensor<4>) -> usize {
        self.special_tokens() + self.patch_embedding.grid(images).patches()
    }

    /// What goes into the first block.
    fn embed(&self, images: Tensor<4>, masked: Option<Tensor<3>>) -> Tensor<3> {
        let grid = self.patch_embedding.grid(&images);
        let x = self.patch_embedding.forward(self.patch_embedding.patches(images));
        let x = match masked {
            Some(masked) => x * (1.0 - masked.clone()) + self.mask_token.val() * masked,
            None => x,
        };
        let x = if self.of_regions { x } else { x + self.patch_positions(grid) };
        self.with_special_tokens(x)
    }

    fn levels_drop(&self, images: Tensor<4>, mask: &PatchMask, count: usize) -> Vec<Tensor<3>> {
        let device = images.device();
        let (batch, patches) = (mask.batch(), mask.patches());
        let visible = patches - mask.masked();
        let rows = mask.visible_rows(&device);
        let grid = self.patch_embedding.grid(&images);

        let pixels = self.patch_embedding.patches(images);
        let [_, _, depth] = pixels.dims();
        // Only what the encoder sees is embedded; pixels have no gradient.
        let pixels = pixels.reshape([batch * patches, depth]).select(0, rows.clone());
        let x = self.patch_embedding.forward(pixels.reshape([batch, visible, depth]));

        let width = self.width();
        let positions = self.patch_positions(grid);
        let everywhere = positions.clone().expand([batch, patches, width]);
        let seen = everywhere.reshape([batch * patches, width]).select(0, rows);
        let x = self.with_special_tokens(x + seen.reshape([batch, visible, width]));
        let special = self.special_tokens();
        // Visible patches carry their position already.
        let places = positions * mask.weights(&device);
        let restore = |encoded: Tensor<3>| {
            let front = encoded.clone().narrow(1, 0, special);
            let tokens = self.mask_token.val().expand([batch, mask.masked(), width]);
            let restored = Tensor::cat(vec![encoded.narrow(1, special, visible), tokens], 1)
                .reshape([batch * patches, width])
                .select(0, mask.restore_rows(&device))
                .reshape([batch, patches, width]);
            Tensor::cat(vec![front, restored + places.clone()], 1)
        };
        self.stack.levels(x, None, count).into_iter().map(restore).collect()
    }

    /// Puts the class token, and the distillation token, in front of the patches.
    fn with_special_tokens(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = x.dims();
        let tokens = match &self.distillation_token {
            Some(token) => Tensor::cat(vec![self.class_token.val(), token.val()], 1),
            None => self.class_token.val(),
        };
        let special = self.special_tokens();
        let tokens = tokens + self.position_embedding.val().narrow(1, 0, special);
        let x = Tensor::cat(vec![tokens.expand([batch, special, width]), x], 1);
        match &self.embedding_norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// Position embeddings of the patches of a grid, `[1, patches, width]`.
    fn patch_positions(&self, grid: Grid) -> Tensor<3> {
        let positions = self.position_embedding.val();
        let positions = positions.narrow(1, self.special_tokens(), self.grid.patches());
        if grid == self.grid {
            return positions;
        }
        let positions = positions.reshape([self.grid.patches(), self.width()]);
        resample(positions, self.grid, grid, Resampling::Bicubic).unsqueeze()
    }

    fn special_tokens(&self) -> usize {
        1 + usize::from(self.distillation_token.is_some())
    }

    fn width(&self) -> usize {
        let [_, _, width] = self.class_token.dims();
        width
    }
}
