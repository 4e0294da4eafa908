//! CubeCL with the fused kernels off, beside the same with them on. In a file of its own, because the
//! switch is the whole process's.
#![cfg(feature = "cube-cpu")]

mod common;

use burn::tensor::Tensor;
use common::*;
use weft_kernels::{attention, layer_norm, set_fused};

/// Sums of some tens of numbers in other orders, and another `exp`.
const TOLERANCE: f32 = 1e-5;

/// The output and the gradients of a layer norm of an attention.
fn run() -> [Vec<f32>; 4] {
    let (rng, device) = (&mut rng(1), cube());
    let [q, k, v] = [4, 5, 5].map(|tokens| random(rng, [2, tokens, 8], &device).require_grad());
    let gamma = random(rng, [8], &device).require_grad();
    let beta = random(rng, [8], &device);
    let y = layer_norm(attention(q.clone(), k.clone(), v, 2, None), gamma.clone(), beta, 1e-6);
    let weights = random(rng, y.dims(), &device);
    let grads = (y.clone() * weights).sum().backward();
    let gradient = |x: Tensor<3>| numbers(x.grad(&grads).unwrap());
    [numbers(y.inner()), gradient(q), gradient(k), numbers(gamma.grad(&grads).unwrap())]
}

#[test]
fn cube_agrees_with_itself_composed() {
    let fused = run();
    set_fused(false);
    for (index, (composed, fused)) in run().iter().zip(&fused).enumerate() {
        let difference = difference(composed, fused);
        assert!(difference <= TOLERANCE, "output {index}: {difference}");
    }
}
