//! The codes of patches, on the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The centres of a codebook where patches are looked up in it.
#[derive(Debug, Clone)]
pub struct CodeLookup {
    /// `[width, codes]`
    centres: Tensor<2>,
    /// Squared length of each centre, `[1, codes]`.
    lengths: Tensor<2>,
}

impl CodeLookup {
    /// From `centres`, `[codes, width]` in row-major order.
    pub fn new(centres: &[f32], width: usize, device: &Device) -> Self {
        // Codes are data: they stand off the tape, as the batch does.
        let device = device.clone().without_autodiff();
        let shape = [centres.len() / width, width];
        let centres = Tensor::<2>::from_data(TensorData::new(centres.to_vec(), shape), &device);
        let centres = centres.transpose();
        let lengths = centres.clone().square().sum_dim(0);
        Self { centres, lengths }
    }

    /// How many codes there are.
    pub fn codes(&self) -> usize {
        let [_, codes] = self.centres.dims();
        codes
    }

    /// The code of each patch: the nearest centre, `argmin_c |x - c|^2`, of several the one of the
    /// lowest number.
    ///
    /// # Shapes
    ///
    /// - `patches`: `[patches, width]`
    /// - output: `[patches]`
    pub fn nearest(&self, patches: Tensor<2>) -> Tensor<1, Int> {
        let (count, codes) = (patches.dims()[0], self.codes());
        let numbers = Tensor::<1, Int>::arange(0..codes as i64, &patches.device());
        // |x|^2 is the same for all centres, and left out.
        let distances = self.lengths.clone() - patches.matmul(self.centres.clone()) * 2.0;
        let least = distances.clone().min_dim(1).expand([count, codes]);
        // Backends differ in which of equals their argmin takes.
        let nearest = distances.equal(least);
        let numbers = numbers.unsqueeze_dim::<2>(0).expand([count, codes]);
        let others = nearest.bool_not();
        numbers.mask_fill(others, codes as i64).min_dim(1).reshape([count])
    }
}
