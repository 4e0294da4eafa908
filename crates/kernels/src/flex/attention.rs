//! Attention on Flex.
//!
//! One task is one head of one item. It reads its columns of the queries, keys and values where they
//! are and writes its columns of the result: heads are never split into tensors of their own, and no
//! `[batch, heads, queries, keys]` tensor exists. The backward pass computes the weights again,
//! which costs one product more than keeping them and saves the memory they would take.

use std::cell::RefCell;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use rayon::prelude::*;

use super::product::{View, product, resized};
use super::simd::{dot, exp_nonpositive, max, sum_of, vectorised, written};
use super::{contiguous, numbers, tensor};
use crate::attention::extension::AttentionOps;

thread_local! {
    /// The weights of one head, and their gradient.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl AttentionOps for Flex {
    fn attention_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let bias = contiguous(bias);
        let sizes = Sizes::new(&q, &k, heads);
        let [q, k, v] = [&q, &k, &v].map(|x| Input::new(x, &sizes));
        let Sizes { queries, keys, head_width, .. } = sizes;
        let out = sizes.output(queries, |out| {
            sizes.for_each_head(|item, head| {
                SCRATCH.with_borrow_mut(|(weights, _)| {
                    let (q, k, v) = (q.head(item, head), k.head(item, head), v.head(item, head));
                    let weights = resized(weights, queries * keys);
                    sizes.weights(q, k, sizes.bias(&bias, item), weights);
                    let weights = View::of(weights, keys);
                    // SAFETY: `v` and `weights` have these shapes, and the block of the output is
                    // this head's alone.
                    unsafe {
                        product([queries, head_width, keys], 1.0, weights, v, out.head(item, head));
                    }
                });
            });
        });
        tensor(out, &[sizes.batch, queries, sizes.width])
    }

    fn attention_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let bias = contiguous(bias);
        let sizes = Sizes::new(&q, &k, heads);
        let [q, k, v, g] = [&q, &k, &v, &gradient].map(|x| Input::new(x, &sizes));
        let Sizes { batch, queries, keys, width, head_width, .. } = sizes;
        let (mut dk, mut dv) = (Vec::new(), Vec::new());
        let dq = sizes.output(queries, |dq| {
            dk = sizes.output(keys, |dk| {
                dv = sizes.output(keys, |dv| {
                    sizes.for_each_head(|item, head| {
                        SCRATCH.with_borrow_mut(|(weights, slopes)| {
                            let [q, k, v, g] = [&q, &k, &v, &g].map(|x| x.head(item, head));
                            let [dq, dk, dv] = [&dq, &dk, &dv].map(|x| x.head(item, head));
                            let weights = resized(weights, queries * keys);
                            let slopes = resized(slopes, queries * keys);
                            sizes.weights(q, k, sizes.bias(&bias, item), weights);
                            let p = View::of(weights, keys);
                            let ds = View::of(slopes, keys);
                            // SAFETY: all have the shapes that `Sizes` says; the blocks of the
                            // outputs are this head's alone; `slopes` is written through the
                            // pointer, then read as a slice, never both at once.
                            unsafe {
                                product([keys, head_width, queries], 1.0, p.transposed(), g, dv);
                                product([queries, keys, head_width], 1.0, g, v.transposed(), ds);
                            }
                            score_gradient(weights, slopes, keys, sizes.scale);
                            let ds = View::of(slopes, keys);
                            // SAFETY: as above.
                            unsafe {
                                product([queries, head_width, keys], 1.0, ds, k, dq);
                                product([keys, head_width, queries], 1.0, ds.transposed(), q, dk);
                            }
                        });
                    });
                });
            });
        });
        (
            tensor(dq, &[batch, queries, width]),
            tensor(dk, &[batch, keys, width]),
            tensor(dv, &[batch, keys, width]),
        )
    }
}

struct Sizes {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    head_width: usize,
    /// `1 / sqrt(head_width)`
    scale: f32,
}

impl Sizes {
    fn new(q: &FlexTensor, k: &FlexTensor, heads: usize) -> Self {
        let (q, k) = (q.layout().shape(), k.layout().shape());
        let head_width = q[2] / heads;
        Self {
            batch: q[0],
            heads,
            queries: q[1],
            keys: k[1],
            width: q[2],
            head_width,
            scale: 1.0 / (head_width as f32).sqrt(),
        }
    }

    /// Runs `task` for each item and head.
    fn for_each_head(&self, task: impl Fn(usize, usize) + Sync) {
        (0..self.batch * self.heads)
            .into_par_iter()
            .for_each(|index| task(index / self.heads, index % self.heads));
    }

    /// The bias of an item, a row of keys for all queries or for each.
    fn bias<'a>(&self, bias: &'a FlexTensor, item: usize) -> &'a [f32] {
        let [items, _, rows, keys] = bias.shape().dims();
        let item = if items == 1 { 0 } else { item };
        &numbers(bias)[item * rows * keys..][..rows * keys]
    }

    /// A `[batch, tokens, width]` tensor. `write` must write each head of each item.
    fn output(&self, tokens: usize, write: impl FnOnce(Output)) -> Vec<f32> {
        let strides = [tokens * self.width, self.width, self.head_width];
        // SAFETY: the heads of all items cover the tensor, and the two callers, in this file, write
        // all of each by `product`.
        unsafe {
            written(self.batch * tokens * self.width, |out| {
                write(Output { start: out.as_mut_ptr().cast(), strides });
            })
        }
    }

    /// `softmax(q k^T / sqrt(head_width) + bias)` of one head, row by row.
    fn weights(&self, q: View, k: View, bias: &[f32], weights: &mut [f32]) {
        let shape = [self.queries, self.keys, self.head_width];
        // SAFETY: `q` and `k` are of these sizes, and `weights` of `queries * keys`.
        unsafe { product(shape, self.scale, q, k.transposed(), View::of(weights, self.keys)) };
        softmax_rows(weights, bias, self.keys);
    }
}

/// A tensor `[batch, tokens, width]` to read, in whatever order it lies in memory.
struct Input<'a> {
    numbers: &'a [f32],
    start: usize,
    /// From item to item, token to token, column to column.
    strides: [isize; 3],
    head_width: usize,
}

impl<'a> Input<'a> {
    fn new(tensor: &'a FlexTensor, sizes: &Sizes) -> Self {
        let layout = tensor.layout();
        let strides = layout.strides().try_into().expect("a tensor of three dimensions");
        Self {
            numbers: tensor.storage(),
            start: layout.start_offset(),
            strides,
            head_width: sizes.head_width,
        }
    }

    /// The block of one head, which is only read.
    fn head(&self, item: usize, head: usize) -> View {
        let [items, tokens, columns] = self.strides;
        let offset = item as isize * items + (head * self.head_width) as isize * columns;
        let start = self.numbers.as_ptr().wrapping_add(self.start).wrapping_offset(offset);
        View { start: start.cast_mut(), row: tokens, column: columns }
    }
}

/// A tensor `[batch, tokens, width]` to write, a head at a time.
#[derive(Clone, Copy)]
struct Output {
    start: *mut f32,
    /// From item to item, token to token, head to head.
    strides: [usize; 3],
}

// SAFETY: tasks of different threads take the blocks of different heads, which do not overlap.
unsafe impl Sync for Output {}

impl Output {
    fn head(&self, item: usize, head: usize) -> View {
        let [items, tokens, heads] = self.strides;
        let start = self.start.wrapping_add(item * items + head * heads);
        View { start, row: tokens as isize, column: 1 }
    }
}

vectorised! {
    /// Each row of `scores` becomes `softmax(row + bias)`; the rows of the bias come round again.
    fn softmax_rows(scores: &mut [f32], bias: &[f32], keys: usize) = softmax_rows_body;
}

vectorised! {
    /// From the gradient of the weights, in `slopes`, to that of the products `q k^T`.
    fn score_gradient(weights: &[f32], slopes: &mut [f32], keys: usize, scale: f32)
        = score_gradient_body;
}

#[inline(always)]
fn softmax_rows_body<const FMA: bool>(scores: &mut [f32], bias: &[f32], keys: usize) {
    let rows = scores.chunks_exact_mut(keys);
    for (row, bias) in rows.zip(bias.chunks_exact(keys).cycle()) {
        for (score, &bias) in row.iter_mut().zip(bias) {
            *score += bias;
        }
        let largest = max(row);
        for score in row.iter_mut() {
            *score = exp_nonpositive::<FMA>(*score - largest);
        }
        let inverse = 1.0 / sum_of(row, |x| x);
        for score in row {
            *score *= inverse;
        }
    }
}

#[inline(always)]
fn score_gradient_body<const FMA: bool>(
    weights: &[f32],
    slopes: &mut [f32],
    keys: usize,
    scale: f32,
) {
    for (weights, slopes) in weights.chunks_exact(keys).zip(slopes.chunks_exact_mut(keys)) {
        let mean = dot::<FMA>(weights, slopes);
        for (slope, &weight) in slopes.iter_mut().zip(weights) {
            *slope = weight * ((*slope - mean) * scale);
        }
    }
}
