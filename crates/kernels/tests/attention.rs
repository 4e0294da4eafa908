//! Attention against its composed form, against slopes and against itself.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::*;
use rand::RngExt;
use weft_kernels::{attention, attention_with_weights};

/// Scores sum at most 64 products of size 4, weights are below 1, and both orders of summation
/// differ: some tens of units in the last place.
const TOLERANCE: f32 = 5e-6;

type Attend = fn(Tensor<3>, Tensor<3>, Tensor<3>, usize, Option<Tensor<4>>) -> Tensor<3>;

fn composed(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    attention_with_weights(q, k, v, heads, bias).0
}

/// The output and the gradients of `q`, `k` and `v`.
fn run(qkv: [Tensor<3>; 3], heads: usize, bias: Option<Tensor<4>>, f: Attend) -> [Vec<f32>; 4] {
    let [q, k, v] = qkv.map(Tensor::require_grad);
    let y = f(q.clone(), k.clone(), v.clone(), heads, bias);
    let weights = random(&mut rng(9), y.dims(), &y.device());
    let grads = (y.clone() * weights).sum().backward();
    let [dq, dk, dv] = [q, k, v].map(|x| numbers(x.grad(&grads).unwrap()));
    [numbers(y.inner()), dq, dk, dv]
}

fn agree(qkv: [Tensor<3>; 3], heads: usize, bias: Option<Tensor<4>>) {
    let got = run(qkv.clone(), heads, bias.clone(), attention);
    let expected = run(qkv, heads, bias, composed);
    for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let difference = difference(got, expected);
        assert!(difference <= TOLERANCE, "output {index}: {difference}");
    }
}

fn inputs(seed: u64, [batch, queries, keys, width]: [usize; 4], device: &Device) -> [Tensor<3>; 3] {
    let rng = &mut rng(seed);
    [queries, keys, keys].map(|tokens| random(rng, [batch, tokens, width], device))
}

/// Pads a third of the keys, but never the first.
fn padding(seed: u64, items: usize, keys: usize, device: &Device) -> Tensor<4> {
    let rng = &mut rng(seed);
    let mut bias = |index: usize| {
        if !index.is_multiple_of(keys) && rng.random_bool(0.3) { -1e9f32 } else { 0.0 }
    };
    let bias: Vec<f32> = (0..items * keys).map(&mut bias).collect();
    Tensor::from_data(TensorData::new(bias, [items, 1, 1, keys]), device)
}

const SHAPES: [([usize; 4], usize); 8] = [
    ([1, 1, 1, 1], 1),
    ([1, 3, 5, 6], 3),
    ([2, 1, 7, 8], 2),
    ([3, 17, 1, 8], 1),
    ([2, 33, 19, 21], 3),
    ([4, 37, 37, 128], 4),
    ([2, 81, 81, 128], 4),
    ([1, 197, 197, 192], 3),
];

#[test]
fn agrees_with_the_composed_form() {
    for (shape, heads) in SHAPES {
        agree(inputs(1, shape, &autodiff()), heads, None);
    }
}

#[test]
fn agrees_with_the_composed_form_where_each_query_sees_other_keys() {
    let device = Device::flex().autodiff();
    for items in [1, 3] {
        let later = |index: usize| (index % 13 > index / 13 % 7 + index / 91) as u8 as f32 * -1e9;
        let bias = (0..items * 7 * 13).map(later).collect::<Vec<_>>();
        let bias = Tensor::from_data(TensorData::new(bias, [items, 1, 7, 13]), &device);
        agree(inputs(5, [3, 7, 13, 12], &device), 2, Some(bias));
    }
}

#[test]
fn padded_keys_have_no_part() {
    for (shape @ [batch, _, keys, _], heads) in SHAPES {
        let device = autodiff();
        let qkv = inputs(2, shape, &device);
        agree(qkv.clone(), heads, Some(padding(3, 1, keys, &device)));
        let bias = padding(4, batch, keys, &device);
        agree(qkv.clone(), heads, Some(bias.clone()));
        let [_, _, dk, dv] = run(qkv, heads, Some(bias.clone()), attention);
        let width = shape[3];
        for (index, bias) in numbers(bias.inner()).into_iter().enumerate() {
            if bias < 0.0 {
                assert!(dk[index * width..][..width].iter().all(|&x| x == 0.0));
                assert!(dv[index * width..][..width].iter().all(|&x| x == 0.0));
            }
        }
    }
}

#[test]
fn an_item_of_padding_alone_is_finite() {
    let device = autodiff();
    let bias = Tensor::full([2, 1, 1, 6], -1e9, &device);
    agree(inputs(5, [2, 4, 6, 8], &device), 2, Some(bias));
}

#[test]
fn takes_views() {
    let device = autodiff();
    let rng = &mut rng(6);
    // One tensor with the three side by side, as a joint projection would make it.
    let joint = random(rng, [3, 11, 72], &device);
    agree([0, 24, 48].map(|start| joint.clone().narrow(2, start, 24)), 4, None);
    let turned = [0, 1, 2].map(|_| random(rng, [11, 3, 24], &device).swap_dims(0, 1));
    agree(turned, 3, None);
    let columns = [0, 1, 2].map(|_| random(rng, [3, 24, 11], &device).swap_dims(1, 2));
    agree(columns, 3, None);
    let items = [0, 1, 2].map(|_| random(rng, [5, 9, 24], &device).narrow(0, 1, 3));
    agree(items, 2, None);
    let bias = padding(7, 11, 3, &device).reshape([1, 1, 11, 3]).swap_dims(2, 3).narrow(2, 1, 1);
    agree(inputs(8, [2, 4, 11, 8], &device), 2, Some(bias));
}

#[test]
fn slopes() {
    let device = Device::flex();
    let (shape @ [batch, _, keys, width], heads) = ([2, 6, 9, 12], 3);
    let starts = inputs(10, shape, &device).map(numbers);
    let bias = padding(11, batch, keys, &device);
    let with_grad = padding(11, batch, keys, &autodiff());
    let [y, gradients @ ..] =
        run(inputs(10, shape, &autodiff()), heads, Some(with_grad), attention);
    let weights = numbers(random(&mut rng(9), [batch, 6, width], &device));
    assert_eq!(y.len(), weights.len());
    for which in 0..3 {
        check_slope(&mut rng(12), &starts[which], &gradients[which], |x| {
            let mut qkv = starts.clone();
            qkv[which] = x;
            let [q, k, v] = qkv.map(|x| {
                let tokens = x.len() / batch / width;
                Tensor::<3>::from_data(TensorData::new(x, [batch, tokens, width]), &device)
            });
            let y = numbers(attention(q, k, v, heads, Some(bias.clone())));
            y.iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || run(inputs(13, [5, 37, 41, 64], &autodiff()), 4, None, attention);
    assert_eq!(with_threads(1, one), with_threads(2, one));
}

#[test]
fn rows_of_weights_sum_to_one() {
    let [q, k, v] = inputs(14, [2, 5, 7, 8], &Device::flex());
    let (_, weights) = attention_with_weights(q, k, v, 2, None);
    assert_eq!(weights.dims(), [2, 2, 5, 7]);
    assert!(numbers(weights.sum_dim(3)).iter().all(|sum| (sum - 1.0).abs() <= 1e-6));
}
