//! Linear cross-entropy against its composed form in f64, against slopes and against itself.

mod common;

use burn::tensor::{Device, Int, Tensor, TensorData, s};
use common::*;
use weft_kernels::{LinearCrossEntropy, linear_cross_entropy};

/// Exponentials, their sums, and products with what they become, in f32: eight units in the last
/// place. The other side is in f64.
const TOLERANCE: f32 = 1e-6;

/// The loss, its gradients of `hidden`, `weight` and `bias`, and the best classes.
struct Run {
    loss: Vec<f32>,
    gradients: [Vec<f32>; 3],
    best: Vec<i64>,
}

type Inputs = (Tensor<2>, Tensor<2>, Tensor<1>, Tensor<1, Int>);

fn run((hidden, weight, bias, class): Inputs) -> Run {
    let (hidden, weight) = (hidden.require_grad(), weight.require_grad());
    let bias = bias.require_grad();
    let LinearCrossEntropy { loss, best } =
        linear_cross_entropy(hidden.clone(), weight.clone(), bias.clone(), class);
    // A gradient that is not 1, so that it must come through.
    let grads = (loss.clone() * 3.0).backward();
    Run {
        loss: narrow(loss.inner()),
        gradients: [
            narrow(hidden.grad(&grads).unwrap()),
            narrow(weight.grad(&grads).unwrap()),
            narrow(bias.grad(&grads).unwrap()),
        ],
        best: best.into_data().iter().collect(),
    }
}

fn inputs(seed: u64, [items, classes, width]: [usize; 3], device: &Device) -> Inputs {
    let rng = &mut rng(seed);
    (
        random(rng, [items, width], device),
        random(rng, [classes, width], device),
        random(rng, [classes], device),
        ids(rng, [items], classes, device),
    )
}

fn agree(inputs: Inputs) {
    // A logit is as far off as its last place, and so is the logarithm of a probability.
    let [_, width] = inputs.0.dims();
    agree_within(inputs, TOLERANCE + f32::EPSILON * (4 * width + 2) as f32);
}

/// The tolerance is relative to what each output could be at most: the slopes of the loss by the
/// logits, in units of `3 / items`, are differences of probabilities.
fn agree_within((hidden, weight, bias, class): Inputs, tolerance: f32) {
    let [items, _] = hidden.dims();
    let size = |x: &Tensor<2>| largest(&numbers(x.clone().inner()));
    let (hidden_size, weight_size) = (size(&hidden), size(&weight));
    let got = run((hidden.clone(), weight.clone(), bias.clone(), class.clone()));
    let expected = run((wide(hidden), wide(weight), wide(bias), class));
    assert_eq!(got.best, expected.best);
    let each = 3.0 / items as f32;
    let most = [1.0, each * weight_size, each * hidden_size, each];
    let all = |run: Run| {
        let [hidden, weight, bias] = run.gradients;
        [run.loss, hidden, weight, bias]
    };
    for (index, (got, expected)) in all(got).iter().zip(&all(expected)).enumerate() {
        let most = largest(expected).max(most[index]);
        let off: Vec<f32> = got.iter().zip(expected).map(|(a, b)| (a - b) / most).collect();
        let off = difference(&off, &vec![0.0; off.len()]);
        assert!(off <= tolerance, "output {index}: {off} of {most}, allowed {tolerance}");
    }
}

#[test]
fn agrees_with_the_composed_form() {
    let shapes = [
        [1, 1, 1],
        [1, 2, 1],
        [7, 1, 3],
        [1, 37, 5],
        [13, 517, 33],
        [65, 1030, 16],
        // Two chunks of items.
        [300, 700, 24],
        // As many stripes as there may be, wider than the narrowest.
        [40, 9001, 8],
        // Chunks made small by the number of classes.
        [300, 40_000, 3],
    ];
    for shape in shapes {
        agree(inputs(1, shape, &autodiff()));
    }
}

#[test]
fn takes_views() {
    let device = autodiff();
    let rng = &mut rng(2);
    let hidden = random(rng, [9, 11], &device).swap_dims(0, 1);
    let weight = random(rng, [9, 1200], &device).swap_dims(0, 1);
    let bias = random(rng, [1300], &device).narrow(0, 50, 1200);
    let class = ids(rng, [20], 1200, &device).narrow(0, 4, 11);
    agree((hidden, weight, bias, class));
    let hidden = random(rng, [30, 9], &device).narrow(0, 3, 11).narrow(1, 2, 5);
    let weight = random(rng, [77, 9], &device).narrow(1, 1, 5);
    agree((hidden, weight, random(rng, [77], &device), ids(rng, [11], 77, &device)));
}

#[test]
fn slopes() {
    let shape @ [items, classes, width] = [6, 19, 7];
    let device = Device::flex();
    let (hidden, weight, bias, class) = inputs(3, shape, &device);
    let starts = [numbers(hidden), numbers(weight), numbers(bias)];
    let Run { gradients, .. } = run(inputs(3, shape, &autodiff()));
    for which in 0..3 {
        check_slope(&mut rng(4), &starts[which], &gradients[which], |x| {
            let mut all = starts.clone();
            all[which] = x;
            let [hidden, weight, bias] = all;
            let loss = linear_cross_entropy(
                Tensor::from_data(TensorData::new(hidden, [items, width]), &device),
                Tensor::from_data(TensorData::new(weight, [classes, width]), &device),
                Tensor::from_data(TensorData::new(bias, [classes]), &device),
                class.clone(),
            )
            .loss;
            3.0 * f64::from(numbers(loss)[0])
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || {
        let Run { loss, gradients, best } = run(inputs(5, [300, 2100, 33], &autodiff()));
        (loss, gradients, best)
    };
    assert_eq!(with_threads(1, one), with_threads(2, one));
    assert_eq!(with_threads(1, one), with_threads(3, one));
}

#[test]
fn gradients_do_not_change_a_bit_of_the_loss() {
    let tracked = run(inputs(6, [70, 1100, 13], &autodiff()));
    let (hidden, weight, bias, class) = inputs(6, [70, 1100, 13], &Device::flex());
    let LinearCrossEntropy { loss, best } = linear_cross_entropy(hidden, weight, bias, class);
    assert_eq!(numbers(loss), tracked.loss);
    assert_eq!(best.into_data().iter::<i64>().collect::<Vec<_>>(), tracked.best);
}

#[test]
fn constants_get_no_gradient() {
    let (hidden, weight, bias, class) = inputs(7, [5, 9, 4], &autodiff());
    let expected = run((hidden.clone(), weight.clone(), bias.clone(), class.clone()));
    let weight = weight.require_grad();
    let loss = linear_cross_entropy(hidden.clone(), weight.clone(), bias, class).loss;
    let grads = (loss * 3.0).backward();
    assert_eq!(numbers(weight.grad(&grads).unwrap()), expected.gradients[1]);
    assert!(hidden.grad(&grads).is_none());
}

#[test]
fn large_logits() {
    // Between them no exponential is a number; all are exact, and many are equal.
    for scale in [1.0, 32.0, 65536.0, 2.0f32.powi(40)] {
        let (device, rng) = (autodiff(), &mut rng(8));
        let hidden = whole(rng, [20, 6], &device) * scale;
        let (weight, bias) = (whole(rng, [1200, 6], &device), whole(rng, [1200], &device) * scale);
        let class = ids(rng, [20], 1200, &device);
        agree_within((hidden, weight, bias, class), TOLERANCE);
    }
}

#[test]
fn classes_ruled_out() {
    let device = autodiff();
    let (hidden, weight, _, class) = inputs(9, [8, 1500, 6], &device);
    // Of the first stripe no class is left, of the others some.
    let bias =
        |class: usize| if class < 520 || class.is_multiple_of(3) { f32::NEG_INFINITY } else { 0.5 };
    let bias: Vec<f32> = (0..1500).map(bias).collect();
    let bias = Tensor::from_floats(bias.as_slice(), &device);
    let class = class.clone() - class.remainder_scalar(3) + 1;
    let class = class.clamp_min(520);
    agree((hidden.clone(), weight.clone(), bias.clone(), class.clone()));
    let Run { gradients: [_, weight, bias], .. } = run((hidden, weight, bias, class));
    assert!(weight[..520 * 6].iter().chain(&bias[..520]).all(|&x| x == 0.0));
}

#[test]
fn the_first_of_equal_logits_is_best() {
    let device = Device::flex();
    let zeros = Tensor::zeros([1100, 2], &device);
    let mut bias = vec![0.0f32; 1100];
    let best = |bias: &[f32]| {
        let hidden = Tensor::ones([1, 2], &device);
        let class = Tensor::<1, Int>::from_ints([3], &device);
        let bias = Tensor::from_floats(bias, &device);
        let best = linear_cross_entropy(hidden, zeros.clone(), bias, class).best;
        best.into_data().iter::<i64>().next().unwrap()
    };
    assert_eq!(best(&bias), 0);
    bias[1050] = 1.0;
    assert_eq!(best(&bias), 1050);
    bias[600] = 1.0;
    bias[601] = 1.0;
    assert_eq!(best(&bias), 600);
}

#[test]
fn not_a_number_is_not_hidden() {
    let (hidden, weight, bias, class) = inputs(10, [3, 600, 4], &Device::flex());
    let bias = bias.slice_assign(s![7], Tensor::full([1], f32::NAN, &Device::flex()));
    assert!(numbers(linear_cross_entropy(hidden, weight, bias, class).loss)[0].is_nan());
}

#[test]
#[should_panic(expected = "cross-entropy of no items is not defined")]
fn no_items() {
    let (hidden, weight, bias, class) = inputs(11, [0, 3, 4], &Device::flex());
    linear_cross_entropy(hidden, weight, bias, class);
}

#[test]
#[should_panic(expected = "id 3, but there are 3 classes")]
fn a_class_that_is_not_there() {
    let (hidden, weight, bias, class) = inputs(12, [2, 3, 4], &Device::flex());
    linear_cross_entropy(hidden, weight, bias, class.full_like(3));
}
