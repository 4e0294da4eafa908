//! A head that says where in a picture the thing is that a text refers to.

use burn::module::Module;
use burn::tensor::activation::{sigmoid, softmax, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use weft_nn::init::linear;
use weft_nn::{Activation, LayerNorm, LayerNormConfig, Linear};
use weft_vision::positions::Grid;

/// How far from its own place a patch's rectangle may have its centre, as a fraction of the picture.
const REACH: f64 = 0.5;

/// Every fused patch proposes a rectangle around its own place; the answer is the mean of the proposals,
/// weighed by a softmax over patches of how much each seems to show the thing.
///
/// Ours. X-VLM reads the rectangle from the fused class token, as [`TaskHead`](crate::TaskHead) would:
/// at the size of the quick recipes that learnt nothing in 1,800 steps (docs/design/decisions.md), since
/// no token is told where it has to look. Here a patch near the thing gains weight from the first step.
#[derive(Module, Debug)]
pub struct RegionHead {
    pub transform: Linear,
    pub norm: LayerNorm,
    /// To weight, column, row, width and height.
    pub output: Linear,
    #[module(skip)]
    grid: Grid,
}

impl RegionHead {
    /// A head for `grid` patches of `width` numbers; its hidden layer is twice as wide.
    pub fn new(width: usize, grid: Grid, device: &Device) -> Self {
        let hidden = 2 * width;
        Self {
            transform: linear(width, hidden, device),
            norm: LayerNormConfig { width: hidden, epsilon: 1e-5 }.init(device),
            output: linear(hidden, 5, device),
            grid,
        }
    }

    /// Column and row of the centre, width and height, as fractions of the picture's.
    ///
    /// # Shapes
    ///
    /// - `patches`: `[batch, patches, width]`
    /// - output: `[batch, 4]`
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<2> {
        let [batch, count, _] = patches.dims();
        let device = patches.device();
        let x = Activation::Gelu.forward(self.norm.forward(self.transform.forward(patches)));
        let x = self.output.forward(x);
        let weights = softmax(x.clone().narrow(2, 0, 1), 1);
        let centre = tanh(x.clone().narrow(2, 1, 2)) * REACH + self.places(&device);
        let proposals = Tensor::cat(vec![centre, sigmoid(x.narrow(2, 3, 2))], 2);
        (proposals * weights.expand([batch, count, 4])).sum_dim(1).reshape([batch, 4])
    }

    /// Column and row of each patch's centre, `[1, patches, 2]`.
    fn places(&self, device: &Device) -> Tensor<3> {
        let Grid { rows, columns } = self.grid;
        let middle = |at: usize, of: usize| (at as f32 + 0.5) / of as f32;
        let places: Vec<f32> = (0..rows * columns)
            .flat_map(|at| [middle(at % columns, columns), middle(at / columns, rows)])
            .collect();
        Tensor::from_data(TensorData::new(places, [1, rows * columns, 2]), device)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;

    use super::*;

    /// A head whose outputs are `row` for every patch but what patch vectors add.
    fn head(row: [f32; 5], per_patch: f32) -> RegionHead {
        let device = Device::flex();
        let mut head = RegionHead::new(2, Grid { rows: 2, columns: 4 }, &device);
        head.output.bias = Some(Param::from_tensor(Tensor::from_floats(row, &device)));
        head.output.weight = Param::from_tensor(head.output.weight.val() * per_patch);
        head
    }

    fn numbers(x: Tensor<2>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn patches_that_weigh_the_same_propose_the_middle() {
        let patches = Tensor::<3>::ones([3, 8, 2], &Device::flex());
        let found = numbers(head([0.0; 5], 0.0).forward(patches));
        for row in found.chunks(4) {
            assert!(row.iter().all(|number| (number - 0.5).abs() < 1e-6), "{row:?}");
        }
    }

    #[test]
    fn the_weightiest_patch_decides() {
        let device = Device::flex();
        let mut head = head([0.0, 10.0, 0.0, 10.0, -10.0], 0.0);
        let matrix = |numbers: Vec<f32>, shape: [usize; 2]| {
            Param::from_tensor(Tensor::<2>::from_data(TensorData::new(numbers, shape), &device))
        };
        // The first number of a patch becomes the first hidden one, and that alone the weight.
        let mut first = vec![0.0; 2 * 4];
        first[0] = 1.0;
        head.transform.weight = matrix(first, [2, 4]);
        let mut weight = vec![0.0; 4 * 5];
        weight[0] = 100.0;
        head.output.weight = matrix(weight, [4, 5]);

        // It is positive in the sixth patch: in the second row, second of four columns.
        let patches = (0..8).flat_map(|at| [if at == 5 { 1.0 } else { -1.0 }, 0.5]).collect();
        let patches = TensorData::new::<f32, _>(patches, [1, 8, 2]);
        let found = numbers(head.forward(Tensor::<3>::from_data(patches, &device)));
        for (found, expected) in found.iter().zip([0.375 + 0.5, 0.75, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}
