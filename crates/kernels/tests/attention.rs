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
    attention_with_weights(q, k, v, heads, bias, None).0
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

/// What goes into an attention: queries, keys and values, and the bias.
type Inputs = ([Tensor<3>; 3], Option<Tensor<4>>);

/// The fused form on `device` against the composed one on Flex.
fn agree(device: &Device, heads: usize, inputs: impl Fn(&Device) -> Inputs) {
    let (qkv, bias) = inputs(device);
    let got = run(qkv, heads, bias, attention);
    let (qkv, bias) = inputs(&autodiff());
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

fn check_agreement(device: &Device, shapes: &[([usize; 4], usize)]) {
    for &(shape, heads) in shapes {
        agree(device, heads, |device| (inputs(1, shape, device), None));
    }
}

#[test]
fn agrees_with_the_composed_form() {
    check_agreement(&autodiff(), &SHAPES);
}

fn check_bias_of_queries(device: &Device) {
    for items in [1, 3] {
        let later = |index: usize| (index % 13 > index / 13 % 7 + index / 91) as u8 as f32 * -1e9;
        let bias = (0..items * 7 * 13).map(later).collect::<Vec<_>>();
        agree(device, 2, |device| {
            let bias = TensorData::new(bias.clone(), [items, 1, 7, 13]);
            (inputs(5, [3, 7, 13, 12], device), Some(Tensor::from_data(bias, device)))
        });
    }
}

#[test]
fn agrees_with_the_composed_form_where_each_query_sees_other_keys() {
    check_bias_of_queries(&autodiff());
}

fn check_padding(device: &Device, shapes: &[([usize; 4], usize)]) {
    for &(shape @ [batch, _, keys, width], heads) in shapes {
        let one = |device: &Device| Some(padding(3, 1, keys, device));
        agree(device, heads, |device| (inputs(2, shape, device), one(device)));
        let each = |device: &Device| Some(padding(4, batch, keys, device));
        agree(device, heads, |device| (inputs(2, shape, device), each(device)));
        let [_, _, dk, dv] = run(inputs(2, shape, device), heads, each(device), attention);
        let bias = numbers(padding(4, batch, keys, device));
        for (index, bias) in bias.into_iter().enumerate() {
            if bias < 0.0 {
                assert!(dk[index * width..][..width].iter().all(|&x| x == 0.0));
                assert!(dv[index * width..][..width].iter().all(|&x| x == 0.0));
            }
        }
    }
}

#[test]
fn padded_keys_have_no_part() {
    check_padding(&autodiff(), &SHAPES);
}

fn check_padding_alone(device: &Device) {
    agree(device, 2, |device| {
        (inputs(5, [2, 4, 6, 8], device), Some(Tensor::full([2, 1, 1, 6], -1e9, device)))
    });
}

#[test]
fn an_item_of_padding_alone_is_finite() {
    check_padding_alone(&autodiff());
}

fn check_views(device: &Device) {
    // One tensor with the three side by side, as a joint projection would make it.
    agree(device, 4, |device| {
        let joint = random(&mut rng(6), [3, 11, 72], device);
        ([0, 24, 48].map(|start| joint.clone().narrow(2, start, 24)), None)
    });
    let three = |shape, device: &Device| {
        let rng = &mut rng(15);
        [0, 1, 2].map(|_| random(rng, shape, device))
    };
    agree(device, 3, |device| (three([11, 3, 24], device).map(|x| x.swap_dims(0, 1)), None));
    agree(device, 3, |device| (three([3, 24, 11], device).map(|x| x.swap_dims(1, 2)), None));
    agree(device, 2, |device| (three([5, 9, 24], device).map(|x| x.narrow(0, 1, 3)), None));
    agree(device, 2, |device| {
        let bias = padding(7, 11, 3, device).reshape([1, 1, 11, 3]);
        (inputs(8, [2, 4, 11, 8], device), Some(bias.swap_dims(2, 3).narrow(2, 1, 1)))
    });
}

#[test]
fn takes_views() {
    check_views(&autodiff());
}

fn check_slopes(device: &Device) {
    let (shape @ [batch, _, keys, width], heads) = ([2, 6, 9, 12], 3);
    let starts = inputs(10, shape, device).map(numbers);
    let with_grad = padding(11, batch, keys, device);
    let [y, gradients @ ..] = run(inputs(10, shape, device), heads, Some(with_grad), attention);
    let weights = numbers(random(&mut rng(9), [batch, 6, width], device));
    assert_eq!(y.len(), weights.len());
    let device = device.clone().inner();
    let bias = padding(11, batch, keys, &device);
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
fn slopes() {
    check_slopes(&autodiff());
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || run(inputs(13, [5, 37, 41, 64], &autodiff()), 4, None, attention);
    assert_eq!(with_threads(1, one), with_threads(2, one));
}

#[test]
fn rows_of_weights_sum_to_one() {
    let [q, k, v] = inputs(14, [2, 5, 7, 8], &Device::flex());
    let (_, weights) = attention_with_weights(q, k, v, 2, None, None);
    assert_eq!(weights.dims(), [2, 2, 5, 7]);
    assert!(numbers(weights.sum_dim(3)).iter().all(|sum| (sum - 1.0).abs() <= 1e-6));
}

#[test]
fn a_probe_gets_the_gradient_of_the_weights() {
    let [batch, queries, keys, width, heads] = [2, 3, 4, 6, 2];
    let [q, k, v] = inputs(15, [batch, queries, keys, width], &Device::flex());
    let shape = [batch, heads, queries, keys];
    let probe = Tensor::<4>::zeros(shape, &autodiff()).require_grad();
    let (y, weights) =
        attention_with_weights(q.clone(), k.clone(), v.clone(), heads, None, Some(probe.clone()));
    let (expected, plain) = attention_with_weights(q, k, v.clone(), heads, None, None);
    assert_eq!(
        (numbers(y.clone().inner()), numbers(weights.inner())),
        (numbers(expected), numbers(plain))
    );
    let dy = random(&mut rng(9), y.dims(), &Device::flex());
    let gradients = (y * dy.clone()).sum().backward();
    let found = numbers(probe.grad(&gradients).unwrap());
    // y = W v by head, so dW[q][k] = dy[q] . v[k] over the head's columns.
    let (dy, v, head_width) = (numbers(dy), numbers(v), width / heads);
    for (place, found) in found.into_iter().enumerate() {
        let (k, rest) = (place % keys, place / keys);
        let (q, rest) = (rest % queries, rest / queries);
        let (head, item) = (rest % heads, rest / heads);
        let expected: f32 = (head * head_width..(head + 1) * head_width)
            .map(|c| dy[(item * queries + q) * width + c] * v[(item * keys + k) * width + c])
            .sum();
        assert!((found - expected).abs() < 1e-5, "{place}: {found} {expected}");
    }
}

#[cfg(feature = "cube-cpu")]
mod on_cube {
    use super::*;

    /// Each width of a head is compiled apart. Tiles are of 16 tokens: one, several, and a part.
    const SHAPES: [([usize; 4], usize); 5] = [
        ([1, 1, 1, 1], 1),
        ([2, 1, 7, 8], 2),
        ([3, 17, 1, 8], 2),
        ([2, 33, 19, 21], 3),
        ([1, 37, 37, 64], 1),
    ];

    #[test]
    fn agrees_with_the_composed_form() {
        check_agreement(&cube(), &SHAPES);
    }

    #[test]
    fn agrees_with_the_composed_form_where_each_query_sees_other_keys() {
        check_bias_of_queries(&cube());
    }

    #[test]
    fn padded_keys_have_no_part() {
        check_padding(&cube(), &SHAPES[1..4]);
    }

    #[test]
    fn an_item_of_padding_alone_is_finite() {
        check_padding_alone(&cube());
    }

    #[test]
    fn takes_views() {
        check_views(&cube());
    }

    #[test]
    fn slopes() {
        check_slopes(&cube());
    }

    #[test]
    fn two_runs_give_the_same_bits() {
        let one = || run(inputs(13, [2, 37, 21, 16], &cube()), 2, None, attention);
        assert_eq!(one(), one());
    }
}
