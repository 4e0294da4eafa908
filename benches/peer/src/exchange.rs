//! What weft's side leaves for PyTorch's: the same weights and the same inputs, as safetensors.

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::module::Module;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};

/// A folder for one workload.
pub struct Exchange {
    folder: PathBuf,
}

/// A named array in host memory.
pub struct Array {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Array {
    pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.into(), shape: shape.to_vec(), dtype: Dtype::F32, bytes }
    }

    /// As torch wants its indices.
    pub fn ints(name: &str, shape: &[usize], values: impl IntoIterator<Item = i64>) -> Self {
        let bytes = values.into_iter().flat_map(i64::to_le_bytes).collect();
        Self { name: name.into(), shape: shape.to_vec(), dtype: Dtype::I64, bytes }
    }

    pub fn bools(name: &str, shape: &[usize], values: &[bool]) -> Self {
        let bytes = values.iter().map(|value| u8::from(*value)).collect();
        Self { name: name.into(), shape: shape.to_vec(), dtype: Dtype::BOOL, bytes }
    }
}

impl Exchange {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Every parameter of `module`, named by its path, into `weights.safetensors`.
    pub fn weights<M: Module>(&self, module: &M) -> Result<()> {
        Ok(weft_model::weights::save(module, &self.folder.join("weights.safetensors"))?)
    }

    /// Into `inputs.safetensors`.
    pub fn inputs(&self, arrays: &[Array]) -> Result<()> {
        let path = self.folder.join("inputs.safetensors");
        let mut views = Vec::with_capacity(arrays.len());
        for array in arrays {
            let view = TensorView::new(array.dtype, array.shape.clone(), &array.bytes)
                .with_context(|| array.name.clone())?;
            views.push((array.name.clone(), view));
        }
        safetensors::serialize_to_file(views, None, &path)
            .with_context(|| path.display().to_string())
    }
}

/// `count` numbers from N(0, 1), the same in every run.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| StandardNormal.sample(&mut rng)).collect()
}
