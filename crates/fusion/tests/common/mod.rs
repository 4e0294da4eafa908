//! Plain loops in double precision over the numbers of a module.

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

/// Attention of each row of `x` to the first `seen` rows of every `each` of `keys`.
pub fn attention(
    layer: &MultiHeadAttention,
    x: &Rows,
    keys: &Rows,
    each: usize,
    seen: usize,
) -> Rows {
    let heads = layer.heads();
    let project = |linear_layer: &Linear, rows: &Rows| -> Rows {
        rows.iter().map(|row| linear(linear_layer, row)).collect()
    };
    let queries = project(&layer.query, x);
    let (k, v) = (project(&layer.key, keys), project(&layer.value, keys));
    let width = queries[0].len();
    let part = width / heads;
    let visible: Vec<usize> = (0..keys.len()).filter(|key| key % each < seen).collect();
    queries
        .iter()
        .map(|query| {
            let mut context = vec![0.0; width];
            for head in 0..heads {
                let channels = head * part..(head + 1) * part;
                let scores: Vec<f64> = visible
                    .iter()
                    .map(|key| {
                        dot(&query[channels.clone()], &k[*key][channels.clone()])
                            / (part as f64).sqrt()
                    })
                    .collect();
                for (weight, key) in softmax(&scores).iter().zip(&visible) {
                    channels.clone().for_each(|c| context[c] += weight * v[*key][c]);
                }
            }
            linear(&layer.output, &context)
        })
        .collect()
}

pub fn assert_close(found: &Rows, expected: &Rows, what: &str) {
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() < 1e-4 * (1.0 + expected.abs()),
            "{what}: {found} {expected}"
        );
    }
}
