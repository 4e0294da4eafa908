//! ViT-B/16 and BERT-base, as published, with projections into a shared space.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weft_kernels::l2_normalize;
use weft_nn::init::{linear, seeded};
use weft_nn::{AttentionMask, Linear, NormPosition, TransformerConfig, first_token};
use weft_text::{TextEncoder, TextEncoderConfig};
use weft_vision::{Vit, VitConfig};

use crate::exchange::{Array, random};

pub const IMAGE_SIZE: usize = 224;
pub const TOKENS: usize = 32;
const VOCABULARY: usize = 30_522;
const WIDTH: usize = 768;
const PROJECTED: usize = 256;

/// The image side.
#[derive(Module, Debug)]
pub struct ImageTower {
    pub encoder: Vit,
    pub projection: Linear,
}

/// The text side.
#[derive(Module, Debug)]
pub struct TextTower {
    pub encoder: TextEncoder,
    pub projection: Linear,
}

impl ImageTower {
    pub fn new(device: &Device) -> Self {
        let transformer = TransformerConfig::new(WIDTH, 12, 12, NormPosition::Pre);
        let encoder = VitConfig::new(IMAGE_SIZE, 16, transformer).init(device);
        seeded(Self { encoder, projection: linear(WIDTH, PROJECTED, device) }, 0, 0.02)
    }

    /// `[batch, 3, 224, 224]` to `[batch, 256]`
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        l2_normalize(self.projection.forward(first_token(self.encoder.forward(pixels))))
    }
}

impl TextTower {
    pub fn new(device: &Device) -> Self {
        let transformer = TransformerConfig {
            norm_epsilon: 1e-12,
            ..TransformerConfig::new(WIDTH, 12, 12, NormPosition::Post)
        };
        let config =
            TextEncoderConfig { token_types: 2, ..TextEncoderConfig::new(512, transformer) };
        let encoder = config.init(VOCABULARY, device);
        seeded(Self { encoder, projection: linear(WIDTH, PROJECTED, device) }, 0, 0.02)
    }

    /// `[batch, tokens]` to `[batch, 256]`
    pub fn forward(&self, ids: Tensor<2, Int>, padding: &AttentionMask) -> Tensor<2> {
        l2_normalize(self.projection.forward(first_token(self.encoder.forward(ids, padding))))
    }
}

/// Random pictures.
pub struct Pixels {
    shape: [usize; 4],
    values: Vec<f32>,
}

impl Pixels {
    pub fn new(batch: usize) -> Self {
        let shape = [batch, 3, IMAGE_SIZE, IMAGE_SIZE];
        Self { shape, values: random(shape.iter().product(), 1) }
    }

    pub fn array(&self) -> Array {
        Array::floats("pixels", &self.shape, &self.values)
    }

    pub fn on(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device)
    }
}

/// Random captions of 8 to 32 tokens, padded to 32.
pub struct Captions {
    shape: [usize; 2],
    ids: Vec<i32>,
    padding: Vec<bool>,
}

impl Captions {
    pub fn new(batch: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (mut ids, mut padding) = (vec![], vec![]);
        for _ in 0..batch {
            let length = rng.random_range(8..=TOKENS);
            let token =
                |at| if at < length { rng.random_range(1000..VOCABULARY as i32) } else { 0 };
            ids.extend((0..TOKENS).map(token));
            padding.extend((0..TOKENS).map(|at| at >= length));
        }
        Self { shape: [batch, TOKENS], ids, padding }
    }

    pub fn arrays(&self) -> [Array; 2] {
        [
            Array::ints("ids", &self.shape, self.ids.iter().map(|id| i64::from(*id))),
            Array::bools("padding", &self.shape, &self.padding),
        ]
    }

    pub fn on(&self, device: &Device) -> (Tensor<2, Int>, AttentionMask) {
        let ids = Tensor::from_data(TensorData::new(self.ids.clone(), self.shape), device);
        let padding = TensorData::new(self.padding.clone(), self.shape);
        (ids, AttentionMask::padding(Tensor::<2, Bool>::from_data(padding, device)))
    }
}
