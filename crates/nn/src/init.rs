//! Initial weights.
//!
//! Layers are made with the initialisation that BERT and ViT share; a whole model is then made
//! reproducible by [`seeded`], which draws the same numbers on every backend.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use sha2::{Digest, Sha256};

use crate::linear::Linear;

/// Standard deviation of initial weights in BERT and ViT.
pub const STD: f64 = 0.02;

/// A linear layer with weights drawn from N(0, 0.02^2) and zero bias.
pub fn linear(input: usize, output: usize, device: &Device) -> Linear {
    let mut linear = linear_without_bias(input, output, device);
    linear.bias = Some(Initializer::Zeros.init([output], device));
    linear
}

/// A linear map with weights drawn from N(0, 0.02^2).
pub fn linear_without_bias(input: usize, output: usize, device: &Device) -> Linear {
    Linear { weight: normal().init([input, output], device), bias: None }
}

/// The initialiser of weights and embeddings.
pub fn normal() -> Initializer {
    Initializer::Normal { mean: 0.0, std: STD }
}

/// Draws every weight of `module` (parameters of two or more dimensions) from N(0, std^2) anew, cut
/// at two standard deviations. A draw depends on `seed` and the parameter's path alone: every
/// backend starts from the same weights, and adding a part leaves the others as they were.
/// Parameters of one dimension (biases, norms, temperatures) keep what their layers gave them.
pub fn seeded<M: Module>(module: M, seed: u64, std: f64) -> M {
    module.map(&mut Seeder { seed, std, path: Vec::new() })
}

struct Seeder {
    seed: u64,
    std: f64,
    path: Vec<String>,
}

impl Seeder {
    fn draw(&self, count: usize) -> Vec<f32> {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.path.join("."));
        let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
        let normal = Normal::new(0.0f32, 1.0).expect("a unit normal exists");
        let truncated =
            std::iter::repeat_with(|| normal.sample(&mut rng)).filter(|x| x.abs() < 2.0);
        truncated.take(count).map(|x| x * self.std as f32).collect()
    }
}

impl ModuleMapper for Seeder {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        if D < 2 {
            return Param::from_mapped_value(id, tensor, mapper);
        }
        let (shape, device) = (tensor.shape(), tensor.device());
        let data = TensorData::new(self.draw(shape.num_elements()), shape);
        let drawn = Tensor::from_data(data, &device);
        // The tensor just made is a leaf without gradient; the one it replaces had one.
        let drawn = if tensor.is_require_grad() { drawn.require_grad() } else { drawn };
        Param::from_mapped_value(id, drawn, mapper)
    }
}
