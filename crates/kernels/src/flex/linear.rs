//! Linear layers on Flex.
//!
//! One task is a block of the output: the bias is laid out where the block will be, the product is
//! added to it, and the GELU follows while the block is in the cache. Neither pass turns or copies a
//! matrix: the product reads both operands where they are.

use std::slice;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use rayon::prelude::*;

use super::gelu;
use super::product::{Grid, View, add_product, parallel_product, product, written_matrix};
use super::simd::vectorised;
use super::{contiguous, numbers, tensor};
use crate::linear::extension::LinearOps;

/// Rows one task sums up for the gradient of the bias; a bit of the sum depends on it.
const CHUNK: usize = 64;

impl LinearOps for Flex {
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Layer::new(x, weight, Some(bias)).run()
    }

    fn linear_without_bias_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Layer::new(x, weight, None).run()
    }

    fn linear_gelu_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let layer = Layer::new(x, weight, Some(bias));
        // SAFETY: `forward` writes all of the matrix, which nobody else has, and takes the GELU in
        // place.
        let y = unsafe { written_matrix(layer.m, layer.n, |y| layer.forward(y, Some(y))) };
        layer.output(y)
    }

    fn linear_gelu_forward_keeping(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let layer = Layer::new(x, weight, Some(bias));
        let mut hidden = Vec::new();
        // SAFETY: `forward` writes all of both matrices, which nobody else has.
        let y = unsafe {
            written_matrix(layer.m, layer.n, |y| {
                hidden = written_matrix(layer.m, layer.n, |h| layer.forward(h, Some(y)));
            })
        };
        (layer.output(y), layer.output(hidden))
    }

    fn linear_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let gradient = contiguous(gradient);
        let [k, n] = weight.shape().dims();
        let m = gradient.shape().num_elements() / n;
        let (g, w) = (View::read(numbers(&gradient), n), matrix(&weight).transposed());
        // SAFETY: the gradient is `[m, n]`, the weight `[k, n]`, and the product writes all of the
        // matrix, which nobody else has.
        let dx = unsafe {
            written_matrix(m, k, |dx| parallel_product(Grid::columns_first(m, k), n, g, w, dx))
        };
        tensor(dx, &with_width(&gradient, k))
    }

    fn linear_parameter_gradients(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, gradient) = (contiguous(x), contiguous(gradient));
        let (k, n) = (width(&x), width(&gradient));
        let gs = numbers(&gradient);
        let m = gs.len() / n;
        let (x, g) = (View::read(numbers(&x), k).transposed(), View::read(gs, n));
        // SAFETY: the input is `[m, k]`, the gradient `[m, n]`, and the product writes all of the
        // matrix, which nobody else has.
        let dw = unsafe {
            written_matrix(k, n, |dw| parallel_product(Grid::rows_first(k, n), m, x, g, dw))
        };
        (tensor(dw, &[k, n]), tensor(sum_of_rows(gs, n), &[n]))
    }
}

/// A layer and its input: `[m, k]` times `[k, n]`.
struct Layer {
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    m: usize,
    k: usize,
    n: usize,
}

impl Layer {
    fn new(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>) -> Self {
        let [k, n] = weight.shape().dims();
        let m = x.shape().num_elements() / k;
        Self { x: contiguous(x), weight, bias: bias.map(contiguous), m, k, n }
    }

    fn run(&self) -> FlexTensor {
        // SAFETY: `forward` writes all of the matrix, which nobody else has.
        self.output(unsafe { written_matrix(self.m, self.n, |y| self.forward(y, None)) })
    }

    fn output(&self, y: Vec<f32>) -> FlexTensor {
        tensor(y, &with_width(&self.x, self.n))
    }

    /// Writes `x W + b` to `hidden`, and its GELU to `activated`, which may be the same.
    ///
    /// # Safety
    ///
    /// Both must be row-major `[m, n]` matrices in memory that lives and that nobody else uses.
    unsafe fn forward(&self, hidden: View, activated: Option<View>) {
        let (x, w) = (View::read(numbers(&self.x), self.k), matrix(&self.weight));
        let bias = self.bias.as_ref().map(numbers);
        Grid::columns_first(self.m, self.n).for_each(|rows, columns| {
            let shape = [rows.len(), columns.len(), self.k];
            let (x, w) = (x.from(rows.start, 0), w.from(0, columns.start));
            let h = hidden.from(rows.start, columns.start);
            // SAFETY: the caller's; blocks do not overlap, and each row is written whole before a
            // slice of it is taken.
            unsafe {
                match bias {
                    Some(bias) => {
                        let bias = &bias[columns.clone()];
                        for row in 0..rows.len() {
                            h.from(row, 0)
                                .start
                                .copy_from_nonoverlapping(bias.as_ptr(), bias.len());
                        }
                        add_product(shape, x, w, h);
                    }
                    None => product(shape, 1.0, x, w, h),
                }
                let Some(activated) = activated else { return };
                let y = activated.from(rows.start, columns.start);
                for row in 0..rows.len() {
                    let (h, y) = (h.from(row, 0).start, y.from(row, 0).start);
                    if h == y {
                        gelu::in_place(slice::from_raw_parts_mut(y, columns.len()));
                    } else {
                        let h = slice::from_raw_parts(h, columns.len());
                        gelu::forward(h, slice::from_raw_parts_mut(y.cast(), columns.len()));
                    }
                }
            }
        });
    }
}

/// A weight where it lies.
fn matrix(weight: &FlexTensor) -> View {
    let layout = weight.layout();
    let [row, column] = layout.strides().try_into().expect("a tensor of two dimensions");
    let start = weight.storage::<f32>().as_ptr().wrapping_add(layout.start_offset());
    View { start: start.cast_mut(), row, column }
}

fn width(tensor: &FlexTensor) -> usize {
    *tensor.layout().shape().last().expect("a tensor of at least one dimension")
}

/// The shape of `tensor`, with another width.
fn with_width(tensor: &FlexTensor, width: usize) -> Vec<usize> {
    let mut shape = tensor.layout().shape().to_vec();
    *shape.last_mut().expect("a tensor of at least one dimension") = width;
    shape
}

/// The sum over the rows of a row-major matrix.
fn sum_of_rows(numbers: &[f32], width: usize) -> Vec<f32> {
    let shares: Vec<Vec<f32>> = numbers
        .par_chunks(CHUNK * width)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            add_rows(rows, &mut sum);
            sum
        })
        .collect();
    let mut total = vec![0.0; width];
    for share in &shares {
        add_rows(share, &mut total);
    }
    total
}

vectorised! { fn add_rows(rows: &[f32], sum: &mut [f32]) = add_rows_body; }

#[inline(always)]
fn add_rows_body<const FMA: bool>(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, &x) in sum.iter_mut().zip(row) {
            *sum += x;
        }
    }
}
