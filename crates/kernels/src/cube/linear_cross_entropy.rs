//! Linear cross-entropy on CubeCL.
//!
//! Items go in chunks whose logits are a bounded part of memory. The products are Burn's; one launch
//! in between turns the logits of a chunk into losses, best classes and, in place, the logits'
//! gradient. A cube is one item.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

use super::reduce::{first_largest, sum_over_cube};
use super::{cubes, empty, units};
use crate::linear_cross_entropy::extension::LinearCrossEntropyOps;

/// Logits that exist at once: 64 MiB.
const LOGITS: usize = 1 << 24;

type Ops = CubeBackend;

impl LinearCrossEntropyOps for CubeBackend {
    fn linear_cross_entropy_forward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        forward(Pass::new(&hidden, bias, class, LOGITS), hidden, weight)
    }

    fn linear_cross_entropy_with_gradients(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>)
    {
        with_gradients(Pass::new(&hidden, bias, class, LOGITS), hidden, weight)
    }
}

/// The mean loss and the best classes.
fn forward(pass: Pass, hidden: CubeTensor, weight: CubeTensor) -> (CubeTensor, CubeTensor) {
    for first in pass.chunks() {
        pass.softmax(pass.logits(&hidden, &weight, first), first, false);
    }
    pass.finish()
}

/// As [`forward`], with the gradients of hidden states, weight and bias.
fn with_gradients(
    pass: Pass,
    hidden: CubeTensor,
    weight: CubeTensor,
) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
    let mut dhidden = Vec::new();
    let mut sums: Option<[CubeTensor; 2]> = None;
    for first in pass.chunks() {
        let d = pass.softmax(pass.logits(&hidden, &weight, first), first, true);
        dhidden.push(Ops::float_matmul(d.clone(), weight.clone()));
        let rows = pass.rows(&hidden, first);
        let dweight = Ops::float_matmul(Ops::float_transpose(d.clone()), rows);
        let dbias = Ops::float_sum_dim(d, 0);
        sums = Some(match sums {
            None => [dweight, dbias],
            Some([w, b]) => [Ops::float_add(w, dweight), Ops::float_add(b, dbias)],
        });
    }
    let [dweight, dbias] = sums.expect("at least one item");
    let dbias = Ops::float_reshape(dbias, [pass.classes].into());
    let (loss, best) = pass.finish();
    (loss, best, Ops::float_cat(dhidden, 0), dweight, dbias)
}

/// What one pass over the items reads and writes beside the products.
struct Pass {
    items: usize,
    classes: usize,
    /// Items of a chunk; the last may be shorter.
    chunk: usize,
    bias: CubeTensor,
    class: CubeTensor,
    /// The type to give the best classes.
    integer: DType,
    losses: CubeTensor,
    best: CubeTensor,
}

impl Pass {
    /// `most` is how many logits may exist at once.
    fn new(hidden: &CubeTensor, bias: CubeTensor, class: CubeTensor, most: usize) -> Self {
        let [items, _] = hidden.shape().dims();
        let [classes] = bias.shape().dims();
        let mut best = empty(hidden, [items]);
        // Numbers of 32 bits, as those of f32 are.
        best.dtype = DType::I32;
        Self {
            items,
            classes,
            chunk: (most / classes).clamp(1, items),
            bias: into_contiguous(bias),
            integer: class.dtype,
            class: into_contiguous(cast(class, DType::I32)),
            losses: empty(hidden, [items]),
            best,
        }
    }

    /// The first item of each chunk.
    fn chunks(&self) -> impl Iterator<Item = usize> {
        (0..self.items).step_by(self.chunk)
    }

    /// The rows of a chunk.
    fn rows(&self, hidden: &CubeTensor, first: usize) -> CubeTensor {
        let end = (first + self.chunk).min(self.items);
        Ops::float_slice(hidden.clone(), &[Slice::from(first..end), Slice::full()])
    }

    /// The logits of a chunk, without the bias.
    fn logits(&self, hidden: &CubeTensor, weight: &CubeTensor, first: usize) -> CubeTensor {
        let weight = Ops::float_transpose(weight.clone());
        into_contiguous(Ops::float_matmul(self.rows(hidden, first), weight))
    }

    /// Writes the losses and the best classes of a chunk. With `gradient`, the logits become the
    /// gradient of the mean loss by them.
    fn softmax(&self, logits: CubeTensor, first: usize, gradient: bool) -> CubeTensor {
        let [count, _] = logits.shape().dims();
        let client = logits.client.clone();
        let units = units(&client, self.classes);
        softmax::launch(
            &client,
            cubes(&client, count),
            CubeDim::new_1d(units as u32),
            logits.clone().into_tensor_arg(),
            self.bias.clone().into_tensor_arg(),
            self.class.clone().into_tensor_arg(),
            self.losses.clone().into_tensor_arg(),
            self.best.clone().into_tensor_arg(),
            first,
            count,
            self.classes,
            1.0 / self.items as f32,
            gradient,
            units,
        );
        logits
    }

    /// The mean loss, and the best classes in the type of the classes.
    fn finish(self) -> (CubeTensor, CubeTensor) {
        (Ops::float_mean_dim(self.losses, 0), cast(self.best, self.integer))
    }
}

#[cube(launch)]
fn softmax(
    logits: &mut Tensor<f32>,
    bias: &Tensor<f32>,
    class: &Tensor<i32>,
    losses: &mut Tensor<f32>,
    best: &mut Tensor<i32>,
    first: usize,
    count: usize,
    classes: usize,
    share: f32,
    #[comptime] gradient: bool,
    #[comptime] units: usize,
) {
    if CUBE_POS >= count {
        terminate!();
    }
    let item = first + CUBE_POS;
    let start = CUBE_POS * classes;
    let unit = UNIT_POS as usize;
    let mut scratch = Shared::<[f32]>::new_slice(units);
    let mut places = Shared::<[u32]>::new_slice(units);

    let mut top = f32::new(f32::MIN);
    let mut place = 0u32;
    let mut column = unit;
    while column < classes {
        let logit = logits[start + column] + bias[column];
        if logit > top {
            top = logit;
            place = u32::cast_from(column);
        }
        column += units;
    }
    let (top, place) = first_largest(top, place, &mut scratch, &mut places, units);

    // Only the unit that has a logit reads it before it is overwritten: shared memory is all that
    // units wait for.
    let target = usize::cast_from(class[item]);
    let mut sum = 0.0f32;
    let mut target_logit = 0.0f32;
    let mut column = unit;
    while column < classes {
        let logit = logits[start + column] + bias[column];
        sum += (logit - top).exp();
        if column == target {
            target_logit = logit;
        }
        column += units;
    }
    let total = sum_over_cube(sum, &mut scratch, units);
    let target_logit = sum_over_cube(target_logit, &mut scratch, units);
    if unit == 0 {
        losses[item] = top - target_logit + total.ln();
        best[item] = i32::cast_from(place);
    }

    if gradient {
        let mut column = unit;
        while column < classes {
            let weight = (logits[start + column] + bias[column] - top).exp() / total;
            let expected = select(column == target, 1.0f32, 0.0f32);
            logits[start + column] = (weight - expected) * share;
            column += units;
        }
    }
}

#[cfg(all(test, feature = "cube-cpu", not(feature = "fusion")))]
mod tests {
    use burn::backend::DispatchTensorKind;
    use burn::backend::ops::IntTensorOps;
    use burn::tensor::{Device, Int, Tensor, TensorData};

    use super::*;

    /// Products of two numbers summed in another order.
    const TOLERANCE: f32 = 1e-6;

    fn float<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
        match tensor.into_dispatch().kind {
            DispatchTensorKind::Cube(tensor) => tensor.float(),
            _ => unreachable!("tensors of this test are on CubeCL's CPU runtime"),
        }
    }

    fn int<const D: usize>(tensor: Tensor<D, Int>) -> CubeTensor {
        match tensor.into_dispatch().kind {
            DispatchTensorKind::Cube(tensor) => tensor.int(),
            _ => unreachable!("tensors of this test are on CubeCL's CPU runtime"),
        }
    }

    fn numbers(tensor: CubeTensor) -> Vec<f32> {
        let data = burn_cubecl::cubecl::future::block_on(Ops::float_into_data(tensor)).unwrap();
        data.iter::<f32>().collect()
    }

    fn places(tensor: CubeTensor) -> Vec<i32> {
        let data = burn_cubecl::cubecl::future::block_on(Ops::int_into_data(tensor)).unwrap();
        data.iter::<i32>().collect()
    }

    /// The same five items whose logits exist `most` at a time.
    fn run(most: usize) -> (Vec<Vec<f32>>, Vec<i32>) {
        const SHAPE: [usize; 3] = [5, 3, 7];
        let device = Device::cpu();
        let wave = |count: usize, step: usize| -> Vec<f32> {
            (0..count).map(|i| (i * step % 17) as f32 / 8.0 - 1.0).collect()
        };
        let [items, width, classes] = SHAPE;
        let matrix = |rows: usize, step| {
            let numbers = TensorData::new(wave(rows * width, step), [rows, width]);
            float(Tensor::<2>::from_data(numbers, &device))
        };
        let (hidden, weight) = (matrix(items, 5), matrix(classes, 11));
        let bias = Tensor::<1>::from_data(TensorData::new(wave(classes, 3), [classes]), &device);
        let class = Tensor::<1, Int>::from_ints([6, 0, 3, 3, 1], &device);
        let (bias, class) = (float(bias), int(class));
        let pass = || Pass::new(&hidden, bias.clone(), class.clone(), most);
        let (alone, alone_best) = forward(pass(), hidden.clone(), weight.clone());
        let (loss, best, dhidden, dweight, dbias) =
            with_gradients(pass(), hidden.clone(), weight.clone());
        let (best, alone_best) = (places(best), places(alone_best));
        assert_eq!(alone_best, best);
        ([alone, loss, dhidden, dweight, dbias].map(numbers).into(), best)
    }

    #[test]
    fn chunks_change_nothing() {
        // All at once; two items, two and one; one after the other.
        let (expected, best) = run(LOGITS);
        for most in [14, 7, 1] {
            let (found, found_best) = run(most);
            assert_eq!(found_best, best);
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() <= TOLERANCE, "{found} for {expected}");
                }
            }
        }
    }
}
