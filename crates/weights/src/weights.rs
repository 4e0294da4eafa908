//! Opening weights of whatever format, and the tensors in them.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::array::Array;
use crate::error::WeightsError;
use crate::safetensors::SafetensorsFile;
use crate::sharded::{INDEX_SUFFIX, Sharded};
use crate::torch::TorchFile;

/// The files of a Hugging Face folder, the best first.
const FOLDER: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// What a format has to offer.
pub(crate) trait Source: Send + Sync {
    /// The names, sorted.
    fn names(&self) -> Vec<&str>;
    /// The shape of a tensor, none where there is no such tensor.
    fn shape(&self, name: &str) -> Option<&[usize]>;
    /// Reads a tensor and checks that its floats are finite.
    fn read(&self, name: &str) -> Result<Array, WeightsError>;
    /// Number of values that are no tensors.
    fn ignored(&self) -> usize {
        0
    }
}

/// An open set of named tensors. A tensor is read when it is asked for.
pub struct Weights {
    path: PathBuf,
    source: Box<dyn Source>,
}

impl Weights {
    /// Opens weights:
    ///
    /// - a `.safetensors` file,
    /// - a file of `torch.save` (`pytorch_model.bin`, `.pt`, `.pth`, `.ckpt`); tensors in nested
    ///   dictionaries have names such as `state_dict.encoder.weight`,
    /// - a `.safetensors.index.json` or `.bin.index.json` with its shards,
    /// - a Hugging Face folder, which holds one of `model.safetensors`, its index,
    ///   `pytorch_model.bin` and its index, taken in this order.
    ///
    /// # Errors
    ///
    /// Where nothing is there, or what is there does not hold what it claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        if !path.is_dir() {
            return Ok(Self { path: path.into(), source: open_any(path)? });
        }
        let found = FOLDER.iter().map(|name| path.join(name)).find(|file| file.is_file());
        let file = found.ok_or_else(|| WeightsError::NotFound {
            path: path.into(),
            looked_for: FOLDER.join(", "),
        })?;
        Ok(Self { source: open_any(&file)?, path: file })
    }

    pub(crate) fn new(path: &Path, source: impl Source + 'static) -> Self {
        Self { path: path.into(), source: Box::new(source) }
    }

    /// The file that was opened; of a folder, the file that was taken.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.source.names()
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.source.shape(name).is_some()
    }

    /// The shape of a tensor, without reading it.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] where there is no tensor of this name.
    pub fn shape(&self, name: &str) -> Result<&[usize], WeightsError> {
        self.source.shape(name).ok_or_else(|| WeightsError::missing(&self.path, name))
    }

    /// Reads a tensor.
    ///
    /// # Errors
    ///
    /// Where there is no tensor of this name, its element type is not read, or a float is not
    /// finite.
    pub fn get(&self, name: &str) -> Result<Array, WeightsError> {
        self.source.read(name)
    }

    /// Number of values beside the tensors that were left out: epochs, learning rates and other
    /// leaves of a training checkpoint.
    pub fn ignored(&self) -> usize {
        self.source.ignored()
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights").field("path", &self.path).finish_non_exhaustive()
    }
}

fn open_any(path: &Path) -> Result<Box<dyn Source>, WeightsError> {
    let is_index =
        path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(INDEX_SUFFIX));
    if is_index { Ok(Box::new(Sharded::open(path)?)) } else { open_file(path) }
}

/// Opens a file that is no index.
pub(crate) fn open_file(path: &Path) -> Result<Box<dyn Source>, WeightsError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => Ok(Box::new(SafetensorsFile::open(path)?)),
        Some("bin" | "pt" | "pth" | "ckpt") => Ok(Box::new(TorchFile::open(path)?)),
        _ => Err(WeightsError::file(
            path,
            "expected a name that ends in .safetensors, .bin, .pt, .pth, .ckpt or .index.json",
        )),
    }
}
