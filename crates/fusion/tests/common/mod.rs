//! Plain loops in double precision over the numbers of a module.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod encoders;

use burn::tensor::{Device, Distribution, Tensor};
use weft_nn::{LayerNorm, Linear, MultiHeadAttention};

/// Rows of numbers: tokens by channels.
pub type Rows = Vec<Vec<f64>>;

pub fn random(shape: [usize; 3]) -> Tensor<3> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f32>().map(f64::from).collect()
}

/// The rows of example `example`.
pub fn rows(x: &Tensor<3>, example: usize) -> Rows {
    let [_, _, width] = x.dims();
    let x = numbers(x.clone().narrow(0, example, 1));
    x.chunks(width).map(<[f64]>::to_vec).collect()
}

pub fn linear(layer: &Linear, x: &[f64]) -> Vec<f64> {
    let [inputs, outputs] = layer.weight.dims();
    let weight = numbers(layer.weight.val());
    let bias = layer.bias.as_ref().map(|bias| numbers(bias.val()));
    (0..outputs)
        .map(|o| {
            let product: f64 = (0..inputs).map(|i| x[i] * weight[i * outputs + o]).sum();
            product + bias.as_ref().map_or(0.0, |bias| bias[o])
        })
        .collect()
}

pub fn norm(layer: &LayerNorm, epsilon: f64, x: &[f64]) -> Vec<f64> {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let (gamma, beta) = (numbers(layer.gamma.val()), numbers(layer.beta.val()));
    x.iter()
        .enumerate()
        .map(|(at, x)| (x - mean) / (variance + epsilon).sqrt() * gamma[at] + beta[at])
        .collect()
}

pub fn softmax(x: &[f64]) -> Vec<f64> {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = x.iter().map(|x| (x - most).exp()).sum();
    x.iter().map(|x| (x - most).exp() / total).collect()
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The mean of the first `count` rows.
pub fn mean(x: &Rows, count: usize) -> Vec<f64> {
    let width = x[0].len();
    (0..width).map(|c| x[..count].iter().map(|row| row[c]).sum::<f64>() / count as f64).collect()
}

/// What each head of each row of `x` attends to, of the first `seen` rows of every `each` of `keys`:
/// `[heads][rows][keys]`.
pub fn attention_weights(
    layer: &MultiHeadAttention,
    x: &Rows,
    keys: &Rows,
    each: usize,
    seen: usize,
) -> Vec<Rows> {
    let heads = layer.heads();
    let queries: Rows = x.iter().map(|row| linear(&layer.query, row)).collect();
    let keys: Rows = keys.iter().map(|row| linear(&layer.key, row)).collect();
    let part = queries[0].len() / heads;
    let of_query = |head: usize, query: &[f64]| -> Vec<f64> {
        let channels = head * part..(head + 1) * part;
        let score = |(at, key): (usize, &Vec<f64>)| {
            let product = dot(&query[channels.clone()], &key[channels.clone()]);
            if at % each < seen { product / (part as f64).sqrt() } else { f64::NEG_INFINITY }
        };
        let scores: Vec<f64> = keys.iter().enumerate().map(score).collect();
        softmax(&scores)
    };
    (0..heads).map(|head| queries.iter().map(|query| of_query(head, query)).collect()).collect()
}

/// Attention of each row of `x` to the first `seen` rows of every `each` of `keys`.
pub fn attention(
    layer: &MultiHeadAttention,
    x: &Rows,
    keys: &Rows,
    each: usize,
    seen: usize,
) -> Rows {
    let weights = attention_weights(layer, x, keys, each, seen);
    let values: Rows = keys.iter().map(|row| linear(&layer.value, row)).collect();
    let width = values[0].len();
    let part = width / layer.heads();
    (0..x.len())
        .map(|row| {
            let channel = |c: usize| -> f64 {
                let weights = weights[c / part][row].iter();
                weights.zip(&values).map(|(weight, value)| weight * value[c]).sum()
            };
            let context: Vec<f64> = (0..width).map(channel).collect();
            linear(&layer.output, &context)
        })
        .collect()
}

pub fn assert_close(found: &Rows, expected: &Rows, what: &str) {
    let shape = |rows: &Rows| -> Vec<usize> { rows.iter().map(Vec::len).collect() };
    assert_eq!(shape(found), shape(expected), "{what}");
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
            "{what}: {found} {expected}"
        );
    }
}

/// The largest difference of two tensors.
pub fn apart<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    (a.clone() - b.clone()).abs().max().into_scalar::<f32>()
}
