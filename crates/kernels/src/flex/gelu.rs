//! GELU on Flex.

use std::mem::MaybeUninit;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::simd::{exp_nonpositive, fma, vectorised, written};
use super::{contiguous, numbers, tensor};
use crate::gelu::extension::GeluOps;

/// Numbers one task works on: 64 KiB, enough to pay for the task.
const CHUNK: usize = 1 << 14;

impl GeluOps for Flex {
    fn gelu_forward(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = contiguous(x);
        let xs = numbers(&x);
        let write = |out: &mut [MaybeUninit<f32>]| {
            out.par_chunks_mut(CHUNK).zip(xs.par_chunks(CHUNK)).for_each(|(y, x)| forward(x, y));
        };
        // SAFETY: the chunks of `out` and of `xs` pair up, and `forward` writes one for one.
        let ys = unsafe { written(xs.len(), write) };
        tensor(ys, x.layout().shape())
    }

    fn gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, gradient) = (contiguous(x), contiguous(gradient));
        let (xs, gs) = (numbers(&x), numbers(&gradient));
        let write = |out: &mut [MaybeUninit<f32>]| {
            out.par_chunks_mut(CHUNK)
                .zip(xs.par_chunks(CHUNK).zip(gs.par_chunks(CHUNK)))
                .for_each(|(dx, (x, g))| backward(x, g, dx));
        };
        // SAFETY: as above; the gradient has the shape of `x`.
        let dxs = unsafe { written(xs.len(), write) };
        tensor(dxs, x.layout().shape())
    }
}

vectorised! {
    /// `gelu(x)`, number by number.
    pub fn forward(x: &[f32], y: &mut [MaybeUninit<f32>]) = forward_body;
}

vectorised! {
    /// Each number becomes its GELU.
    pub fn in_place(x: &mut [f32]) = in_place_body;
}

vectorised! { fn backward(x: &[f32], g: &[f32], dx: &mut [MaybeUninit<f32>]) = backward_body; }

#[inline(always)]
fn forward_body<const FMA: bool>(x: &[f32], y: &mut [MaybeUninit<f32>]) {
    assert_eq!(x.len(), y.len());
    for (y, &x) in y.iter_mut().zip(x) {
        y.write(x * normal_cdf::<FMA>(x));
    }
}

#[inline(always)]
fn in_place_body<const FMA: bool>(x: &mut [f32]) {
    for x in x {
        *x *= normal_cdf::<FMA>(*x);
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(x: &[f32], g: &[f32], dx: &mut [MaybeUninit<f32>]) {
    const DENSITY_AT_0: f32 = 0.398_942_3;
    assert_eq!(x.len(), dx.len());
    assert_eq!(g.len(), dx.len());
    for ((dx, &x), &g) in dx.iter_mut().zip(x).zip(g) {
        let density = DENSITY_AT_0 * exp_nonpositive::<FMA>(-0.5 * x * x);
        dx.write(g * fma::<FMA>(x, density, normal_cdf::<FMA>(x)));
    }
}

/// `Phi(x) = (1 + erf(x / sqrt 2)) / 2`, within 1e-7.
///
/// `-ln(2 Phi(-a))` is so smooth that one polynomial follows it over all of [0, 6], so there is no
/// branch between small and large arguments. Its coefficients minimise the largest error of `Phi`,
/// which is 1.2e-9 before rounding. Beyond 6, `Phi(-a)` is below 1e-9 and taken as 0.
#[inline(always)]
fn normal_cdf<const FMA: bool>(x: f32) -> f32 {
    const LARGEST: f32 = 6.0;
    let a = x.abs();
    let mut p = -3.555_059_6e-7;
    for c in [
        6.626_871e-6,
        -5.196_906_6e-5,
        1.970_979_6e-4,
        -1.039_570_8e-5,
        -4.804_282e-3,
        3.634_501e-2,
        3.183_080_6e-1,
        7.978_847e-1,
    ] {
        p = fma::<FMA>(p, a, c);
    }
    let tail = 0.5 * exp_nonpositive::<FMA>(-a * p);
    let tail = if a > LARGEST { 0.0 } else { tail };
    if x < 0.0 { tail } else { 1.0 - tail }
}
