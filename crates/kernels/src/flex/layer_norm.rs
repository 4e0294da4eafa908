//! Layer norm on Flex.

use std::mem::MaybeUninit;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::simd::{dot, fma, sum_of, vectorised, written};
use super::{contiguous, numbers, tensor, whole};
use crate::layer_norm::extension::LayerNormOps;

/// Rows one task works on. The gradients of scale and shift are summed within a chunk, then over
/// chunks, so their bits depend on this number but not on the threads.
const CHUNK: usize = 64;

impl LayerNormOps for Flex {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
        let (xs, gamma, beta) = (numbers(&x), numbers(&gamma), numbers(&beta));
        let chunk = CHUNK * gamma.len();
        let write = |out: &mut [MaybeUninit<f32>]| {
            out.par_chunks_mut(chunk)
                .zip(xs.par_chunks(chunk))
                .for_each(|(y, x)| forward(x, gamma, beta, epsilon as f32, y));
        };
        // SAFETY: the chunks of `out` and of `xs` pair up, and `forward` writes one for one.
        let ys = unsafe { written(xs.len(), write) };
        tensor(ys, x.layout().shape())
    }

    fn residual_layer_norm_forward(
        x: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
        let (xs, gamma, beta) = (numbers(&x), numbers(&gamma), numbers(&beta));
        // The branch is nobody else's most of the time; then the sum is written where it lay.
        let mut sum = whole(branch);
        let sums: &mut [f32] = sum.storage_mut();
        let chunk = CHUNK * gamma.len();
        let write = |out: &mut [MaybeUninit<f32>]| {
            out.par_chunks_mut(chunk)
                .zip(sums.par_chunks_mut(chunk).zip(xs.par_chunks(chunk)))
                .for_each(|(y, (sum, x))| {
                    add(x, sum);
                    forward(sum, gamma, beta, epsilon as f32, y);
                });
        };
        // SAFETY: the chunks of `out`, of the sum and of `xs` pair up, and `forward` writes one for
        // one.
        let ys = unsafe { written(xs.len(), write) };
        let normed = tensor(ys, x.layout().shape());
        (sum, normed)
    }

    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (x, gamma, gradient) = (contiguous(x), contiguous(gamma), contiguous(gradient));
        let (xs, gamma, gs) = (numbers(&x), numbers(&gamma), numbers(&gradient));
        let width = gamma.len();
        let chunk = CHUNK * width;
        // Each chunk's share of the gradients of gamma and beta, one after the other.
        let mut shares = vec![0.0; xs.len().div_ceil(chunk) * 2 * width];
        let write = |out: &mut [MaybeUninit<f32>]| {
            out.par_chunks_mut(chunk)
                .zip(xs.par_chunks(chunk).zip(gs.par_chunks(chunk)))
                .zip(shares.par_chunks_mut(2 * width))
                .for_each(|((dx, (x, g)), share)| {
                    let (dgamma, dbeta) = share.split_at_mut(width);
                    backward(x, gamma, g, epsilon as f32, dx, dgamma, dbeta);
                });
        };
        // SAFETY: as above; the gradient has the shape of `x`.
        let dxs = unsafe { written(xs.len(), write) };
        let mut total = vec![0.0f32; 2 * width];
        for share in shares.chunks_exact(2 * width) {
            for (total, share) in total.iter_mut().zip(share) {
                *total += share;
            }
        }
        let dbeta = total.split_off(width);
        (tensor(dxs, x.layout().shape()), tensor(total, &[width]), tensor(dbeta, &[width]))
    }
}

vectorised! { fn add(x: &[f32], sum: &mut [f32]) = add_body; }

#[inline(always)]
fn add_body<const FMA: bool>(x: &[f32], sum: &mut [f32]) {
    for (sum, &x) in sum.iter_mut().zip(x) {
        *sum += x;
    }
}

vectorised! {
    fn forward(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, y: &mut [MaybeUninit<f32>])
        = forward_body;
}

vectorised! {
    fn backward(
        x: &[f32],
        gamma: &[f32],
        g: &[f32],
        epsilon: f32,
        dx: &mut [MaybeUninit<f32>],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) = backward_body;
}

/// The mean of a row and one over its standard deviation. A second pass over the row, which is in
/// the first cache, is more exact than the sum of squares.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum_of(row, |x| x) / count;
    let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[inline(always)]
fn forward_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    y: &mut [MaybeUninit<f32>],
) {
    let width = gamma.len();
    assert_eq!(x.len(), y.len());
    assert_eq!(beta.len(), width);
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        let (mean, inverse) = moments(x, epsilon);
        for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
            y.write(fma::<FMA>((x - mean) * inverse, gamma, beta));
        }
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(
    x: &[f32],
    gamma: &[f32],
    g: &[f32],
    epsilon: f32,
    dx: &mut [MaybeUninit<f32>],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let width = gamma.len();
    assert_eq!(x.len(), dx.len());
    assert_eq!(g.len(), dx.len());
    assert_eq!((dgamma.len(), dbeta.len()), (width, width));
    // `y` and `h` of one row, as the equation has them.
    let mut ys = vec![0.0; width];
    let mut hs = vec![0.0; width];
    let rows = x.chunks_exact(width).zip(g.chunks_exact(width));
    for ((x, g), dx) in rows.zip(dx.chunks_exact_mut(width)) {
        let (mean, inverse) = moments(x, epsilon);
        for (y, &x) in ys.iter_mut().zip(x) {
            *y = (x - mean) * inverse;
        }
        for ((h, &g), &gamma) in hs.iter_mut().zip(g).zip(gamma) {
            *h = g * gamma;
        }
        for ((dgamma, &g), &y) in dgamma.iter_mut().zip(g).zip(&ys) {
            *dgamma = fma::<FMA>(g, y, *dgamma);
        }
        for (dbeta, &g) in dbeta.iter_mut().zip(g) {
            *dbeta += g;
        }
        let mean_h = sum_of(&hs, |h| h) / width as f32;
        let mean_hy = dot::<FMA>(&hs, &ys) / width as f32;
        for ((dx, &h), &y) in dx.iter_mut().zip(&hs).zip(&ys) {
            dx.write(fma::<FMA>(-y, mean_hy, h - mean_h) * inverse);
        }
    }
}
