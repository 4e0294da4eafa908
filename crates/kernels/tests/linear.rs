//! Linear layers against their composed form, against slopes and against themselves.

mod common;

use burn::tensor::{Device, Tensor, TensorData, activation, module};
use common::*;
use weft_kernels::{linear, linear_gelu};

/// Sums of at most 3072 products of size 4, in different orders, over the largest result.
const TOLERANCE: f32 = 5e-6;

type Layer<const D: usize> = fn(Tensor<D>, Tensor<2>, Option<Tensor<1>>) -> Tensor<D>;

fn activated<const D: usize>(x: Tensor<D>, w: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    linear_gelu(x, w, bias.unwrap())
}

fn composed<const D: usize>(x: Tensor<D>, w: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    activation::gelu(module::linear(x, w, bias))
}

/// The output and the gradients of input, weight and, if there is one, bias.
fn run<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    layer: Layer<D>,
) -> Vec<Vec<f32>> {
    let (x, weight) = (x.require_grad(), weight.require_grad());
    let bias = bias.map(Tensor::require_grad);
    let y = layer(x.clone(), weight.clone(), bias.clone());
    let weights = random(&mut rng(13), y.dims(), &y.device());
    let grads = (y.clone() * weights).sum().backward();
    let mut all = vec![
        numbers(y.inner()),
        numbers(x.grad(&grads).unwrap()),
        numbers(weight.grad(&grads).unwrap()),
    ];
    all.extend(bias.map(|bias| numbers(bias.grad(&grads).unwrap())));
    all
}

fn compare(got: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(got.len(), expected.len());
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = difference(got, expected);
        assert!(difference <= TOLERANCE, "output {index}: {difference}");
    }
}

fn agree<const D: usize>(x: Tensor<D>, weight: Tensor<2>) {
    let [_, output] = weight.dims();
    let bias = Some(random(&mut rng(12), [output], &x.device()));
    for bias in [bias.clone(), None] {
        let got = run(x.clone(), weight.clone(), bias.clone(), linear);
        compare(&got, &run(x.clone(), weight.clone(), bias, module::linear));
    }
    let got = run(x.clone(), weight.clone(), bias.clone(), activated);
    compare(&got, &run(x, weight, bias, composed));
}

/// A layer whose numbers are as large as those of a trained one.
fn layer(seed: u64, input: usize, output: usize) -> Tensor<2> {
    random(&mut rng(seed), [input, output], &autodiff()) / (input as f64).sqrt()
}

#[test]
fn agrees_with_the_composed_form() {
    for ([batch, tokens, input], output) in [
        ([1, 1, 1], 1),
        ([1, 1, 7], 5),
        ([3, 5, 1], 9),
        ([2, 3, 17], 1),
        ([1, 96, 33], 65),
        ([1, 97, 33], 64),
        ([3, 67, 48], 300),
        ([2, 197, 64], 257),
        ([4, 37, 128], 512),
        ([2, 81, 512], 128),
        ([1, 32, 768], 3072),
    ] {
        agree(random(&mut rng(1), [batch, tokens, input], &autodiff()), layer(2, input, output));
    }
    agree(random(&mut rng(3), [130, 17], &autodiff()), layer(4, 17, 31));
    agree(random(&mut rng(3), [2, 3, 5, 17], &autodiff()), layer(4, 17, 31));
}

#[test]
fn takes_views() {
    let x = random(&mut rng(5), [6, 10, 9], &autodiff());
    agree(x.clone().swap_dims(0, 1), layer(6, 9, 11));
    agree(x.clone().narrow(1, 3, 5), layer(6, 9, 11));
    agree(x.clone().narrow(2, 1, 8), layer(6, 8, 11));
    agree(x.clone(), layer(7, 11, 9).transpose());
    agree(x, layer(7, 20, 20).narrow(0, 4, 9).narrow(1, 2, 13));
}

#[test]
fn slopes() {
    let ([rows, input], output) = ([11, 13], 7);
    let device = Device::flex();
    let weight = layer(8, input, output);
    let bias = random(&mut rng(9), [output], &autodiff());
    let x = random(&mut rng(10), [rows, input], &autodiff());
    let start = [numbers(x.clone()), numbers(weight.clone()), numbers(bias.clone())];
    let [_, gradients @ ..] = &run(x, weight, Some(bias), activated)[..] else { panic!() };
    let weights = numbers(random(&mut rng(13), [rows, output], &device));
    for which in 0..3 {
        check_slope(&mut rng(11), &start[which], &gradients[which], |changed| {
            let mut all = start.clone();
            all[which] = changed;
            let [x, weight, bias] = all;
            let x = Tensor::<2>::from_data(TensorData::new(x, [rows, input]), &device);
            let weight = Tensor::from_data(TensorData::new(weight, [input, output]), &device);
            let y = linear_gelu(x, weight, Tensor::from_floats(bias.as_slice(), &device));
            numbers(y).iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        });
    }
}

#[test]
fn off_the_tape_gives_the_same_bits() {
    let [x, bias] = [([3, 41], 14), ([1, 33], 15)]
        .map(|(shape, seed)| random(&mut rng(seed), shape, &autodiff()));
    let (weight, bias) = (layer(16, 41, 33), bias.reshape([33]));
    let kept = linear_gelu(x.clone().require_grad(), weight.clone(), bias.clone());
    let plain = linear_gelu(x.inner(), weight.inner(), bias.inner());
    assert_eq!(numbers(kept.inner()), numbers(plain));
}

#[test]
fn threads_do_not_change_a_bit() {
    for shape in [[16, 37, 131], [1, 5, 700], [1, 70, 64]] {
        let one = || {
            let x = random(&mut rng(7), shape, &autodiff());
            let bias = random(&mut rng(8), [513], &autodiff());
            run(x, layer(9, shape[2], 513), Some(bias), activated)
        };
        assert_eq!(with_threads(1, one), with_threads(2, one));
        assert_eq!(with_threads(1, one), with_threads(5, one));
    }
}

#[test]
fn the_switch_composes_it() {
    let x = random(&mut rng(17), [4, 20, 24], &autodiff());
    let run = || {
        let bias = random(&mut rng(18), [40], &autodiff());
        run(x.clone(), layer(19, 24, 40), Some(bias), activated)
    };
    let fused = run();
    weft_kernels::set_fused(false);
    let off = run();
    weft_kernels::set_fused(true);
    compare(&fused, &off);
    assert_ne!(fused, off, "rounding differs, or the switch does nothing");
}

#[test]
#[should_panic(expected = "the width of the input of a linear layer")]
fn another_width_is_refused() {
    linear(random(&mut rng(1), [2, 3], &Device::flex()), layer(2, 4, 5).inner(), None);
}
