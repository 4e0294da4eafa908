//! Which patches of a batch of pictures are masked.

use burn::tensor::{Device, Int, Tensor, TensorData};
use weft_nn::ConfigError;
use weft_nn::index::indices;

/// Masked patches of a batch, the same number in every picture.
///
/// A device wants indices rather than truth values; they are worked out once, here, on the host.
#[derive(Debug, Clone)]
pub struct PatchMask {
    mask: Vec<bool>,
    batch: usize,
    patches: usize,
    masked: usize,
}

impl PatchMask {
    /// From `mask`, `[batch, patches]` in row-major order, true where a patch is masked.
    ///
    /// # Errors
    ///
    /// When the length is not `batch * patches`, or the pictures differ in the number of masked
    /// patches.
    pub fn new(mask: Vec<bool>, batch: usize, patches: usize) -> Result<Self, ConfigError> {
        let fail = |problem: String| Err(ConfigError::new("patch mask", problem));
        if batch == 0 || patches == 0 || mask.len() != batch * patches {
            return fail(format!("{} values for {batch} x {patches} patches", mask.len()));
        }
        let count = |row: &[bool]| row.iter().filter(|masked| **masked).count();
        let masked = count(&mask[..patches]);
        if let Some(row) = mask.chunks(patches).position(|row| count(row) != masked) {
            return fail(format!(
                "picture {row} has {} masked patches, picture 0 has {masked}",
                count(&mask[row * patches..(row + 1) * patches])
            ));
        }
        Ok(Self { mask, batch, patches, masked })
    }

    /// Number of pictures.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Patches of one picture.
    pub fn patches(&self) -> usize {
        self.patches
    }

    /// Masked patches of one picture.
    pub fn masked(&self) -> usize {
        self.masked
    }

    /// Indices of the masked patches into `[batch * patches]`, picture by picture.
    pub fn masked_rows(&self, device: &Device) -> Tensor<1, Int> {
        indices(self.rows(true), device)
    }

    /// Indices of the visible patches into `[batch * patches]`, picture by picture.
    pub fn visible_rows(&self, device: &Device) -> Tensor<1, Int> {
        indices(self.rows(false), device)
    }

    /// Indices that put `[visible patches; mask tokens]` of each picture (rows of `[batch *
    /// patches]`) back into reading order.
    pub fn restore_rows(&self, device: &Device) -> Tensor<1, Int> {
        let visible = self.patches - self.masked;
        let mut rows = Vec::with_capacity(self.mask.len());
        for (picture, mask) in self.mask.chunks(self.patches).enumerate() {
            let base = picture * self.patches;
            let (mut next_visible, mut next_masked) = (base, base + visible);
            for masked in mask {
                let next = if *masked { &mut next_masked } else { &mut next_visible };
                rows.push(*next);
                *next += 1;
            }
        }
        indices(rows, device)
    }

    /// 1 where a patch is masked, else 0: `[batch, patches, 1]`.
    pub fn weights(&self, device: &Device) -> Tensor<3> {
        let values: Vec<f32> = self.mask.iter().map(|masked| f32::from(*masked)).collect();
        Tensor::from_data(TensorData::new(values, [self.batch, self.patches, 1]), device)
    }

    fn rows(&self, masked: bool) -> impl Iterator<Item = usize> {
        (0..self.mask.len()).filter(move |row| self.mask[*row] == masked)
    }
}
