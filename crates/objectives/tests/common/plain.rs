//! What equations are made of, in plain loops and double precision, and the numbers of tensors to hold against them.

// No test needs all of it.
#![allow(dead_code)]

use burn::tensor::{Int, Tensor};
use weft_nn::Linear;
use weft_objectives::Loss;

/// Numbers by example, token and channel.
pub type Tokens = Vec<Vec<Vec<f64>>>;

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f32>().map(f64::from).collect()
}

pub fn integers<const D: usize>(x: Tensor<D, Int>) -> Vec<i64> {
    x.into_data().iter::<i64>().collect()
}

pub fn matrix(x: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, width] = x.dims();
    numbers(x).chunks(width).map(<[f64]>::to_vec).collect()
}

pub fn tokens(x: Tensor<3>) -> Tokens {
    let [_, count, width] = x.dims();
    let numbers = numbers(x);
    let examples = numbers.chunks(count * width);
    examples.map(|example| example.chunks(width).map(<[f64]>::to_vec).collect()).collect()
}

pub fn value(loss: &Loss) -> f64 {
    numbers(loss.value.clone())[0]
}

pub fn figure(loss: &Loss, name: &str) -> f64 {
    let (_, figure) = loss.figures.iter().find(|(found, _)| *found == name).unwrap();
    numbers(figure.clone())[0]
}

/// Six digits: f32 sums of at most a few hundred terms.
pub fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 * (1.0 + expected.abs())
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn unit(x: &[f64]) -> Vec<f64> {
    let length = dot(x, x).sqrt();
    x.iter().map(|x| x / length).collect()
}

/// `x W + b`
pub fn linear(layer: &Linear, x: &[f64]) -> Vec<f64> {
    let weight = matrix(layer.weight.val());
    assert_eq!(weight.len(), x.len());
    let mut output =
        layer.bias.as_ref().map_or_else(|| vec![0.0; weight[0].len()], |bias| numbers(bias.val()));
    for (x, row) in x.iter().zip(&weight) {
        output.iter_mut().zip(row).for_each(|(sum, weight)| *sum += x * weight);
    }
    output
}

/// `-log softmax(row)[class]`
pub fn cross_entropy(row: &[f64], class: usize) -> f64 {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = row.iter().map(|x| (x - highest).exp()).sum();
    highest + total.ln() - row[class]
}

/// Where the largest number stands.
pub fn best(row: &[f64]) -> usize {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
}

pub fn standardized(item: &[f64]) -> Vec<f64> {
    let mean = item.iter().sum::<f64>() / item.len() as f64;
    let variance = item.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / item.len() as f64;
    item.iter().map(|x| (x - mean) / (variance + 1e-6).sqrt()).collect()
}

/// The mean over channels of the standard deviation over items.
pub fn spread(items: &[Vec<f64>]) -> f64 {
    let count = items.len() as f64;
    let deviation = |channel: usize| {
        let mean = items.iter().map(|item| item[channel]).sum::<f64>() / count;
        (items.iter().map(|item| (item[channel] - mean).powi(2)).sum::<f64>() / count).sqrt()
    };
    let width = items[0].len();
    (0..width).map(deviation).sum::<f64>() / width as f64
}

/// The tokens, example by example, that are hidden.
pub fn picked(all: Tokens, hidden: &[bool]) -> Vec<Vec<f64>> {
    let all: Vec<Vec<f64>> = all.into_iter().flatten().collect();
    assert_eq!(all.len(), hidden.len());
    all.into_iter().zip(hidden).filter(|(_, hidden)| **hidden).map(|(token, _)| token).collect()
}
