//! The sum of squares on Flex.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::simd::{dot, vectorised};
use super::{contiguous, numbers, tensor};
use crate::square_sum::extension::SquareSumOps;

/// Numbers one task sums up, in f32; the sums of tasks are added in f64, in order.
const CHUNK: usize = 1 << 14;

impl SquareSumOps for Flex {
    fn square_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = contiguous(x);
        let sums: Vec<f32> = numbers(&x).par_chunks(CHUNK).map(squares).collect();
        let sum = sums.into_iter().map(f64::from).sum::<f64>() as f32;
        tensor(vec![sum], &[1])
    }
}

vectorised! { fn squares(x: &[f32]) -> f32 = squares_body; }

#[inline(always)]
fn squares_body<const FMA: bool>(x: &[f32]) -> f32 {
    dot::<FMA>(x, x)
}
