//! The contrastive loss against its composed form in f64, against slopes and against itself.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::*;
use weft_kernels::{contrastive, l2_normalize};

/// Exponentials, their sums, and products with what they become, in f32: eight units in the last
/// place. The other side is in f64.
const TOLERANCE: f32 = 1e-6;

/// The loss, and its gradients of `image`, `text` and `temperature`.
fn run(image: Tensor<2>, text: Tensor<2>, temperature: Tensor<1>) -> [Vec<f32>; 4] {
    let (image, text) = (image.require_grad(), text.require_grad());
    let temperature = temperature.require_grad();
    let loss = contrastive(image.clone(), text.clone(), temperature.clone());
    // A gradient that is not 1, so that it must come through.
    let grads = (loss.clone() * 3.0).backward();
    [
        narrow(loss.inner()),
        narrow(image.grad(&grads).unwrap()),
        narrow(text.grad(&grads).unwrap()),
        narrow(temperature.grad(&grads).unwrap()),
    ]
}

fn embeddings(seed: u64, shape: [usize; 2], device: &Device) -> [Tensor<2>; 2] {
    let rng = &mut rng(seed);
    [0, 1].map(|_| l2_normalize(random(rng, shape, device)))
}

fn temperature(x: f32, device: &Device) -> Tensor<1> {
    Tensor::from_floats([x], device)
}

fn agree(embeddings: [Tensor<2>; 2], at: f32) {
    // A similarity is as far off as its last place, and so is the logarithm of a probability.
    let [size, width] = [size(&embeddings), embeddings[0].dims()[1] as f32];
    agree_within(embeddings, at, TOLERANCE + f32::EPSILON * size * size * width / at);
}

fn size(embeddings: &[Tensor<2>; 2]) -> f32 {
    embeddings.iter().map(|x| largest(&numbers(x.clone().inner()))).fold(0.0, f32::max)
}

/// The tolerance is relative to what each output could be at most: the slopes of the loss by the
/// similarities, in units of `3 / 2n`, are differences of probabilities.
fn agree_within(embeddings: [Tensor<2>; 2], at: f32, tolerance: f32) {
    let size = size(&embeddings);
    let [image, text] = embeddings;
    let [n, width] = image.dims().map(|x| x as f32);
    let t = temperature(at, &image.device());
    let got = run(image.clone(), text.clone(), t.clone());
    let expected = run(wide(image), wide(text), wide(t));
    let similarity = size * size * width / at;
    let slope = 3.0 / n * size / at;
    let most = [1.0, slope, slope, 3.0 * similarity / at];
    for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let most = largest(expected).max(most[index]);
        let off: Vec<f32> = got.iter().zip(expected).map(|(a, b)| (a - b) / most).collect();
        let off = difference(&off, &vec![0.0; off.len()]);
        assert!(off <= tolerance, "output {index}: {off} of {most} at {at}");
    }
}

#[test]
fn agrees_with_the_composed_form() {
    for shape in [[2, 1], [3, 5], [17, 33], [64, 128], [127, 8], [128, 8], [129, 9], [400, 31]] {
        agree(embeddings(1, shape, &autodiff()), 0.07);
        agree(embeddings(2, shape, &autodiff()), 1.0);
    }
}

#[test]
fn one_pair_has_nothing_to_be_told_from() {
    let [image, text] = embeddings(3, [1, 7], &autodiff());
    let [loss, dimage, dtext, dtemperature] = run(image, text, temperature(0.07, &autodiff()));
    assert_eq!((loss[0], dtemperature[0]), (0.0, 0.0));
    assert!(dimage.iter().chain(&dtext).all(|&x| x == 0.0));
}

#[test]
fn takes_views() {
    let device = autodiff();
    let rng = &mut rng(4);
    let image = random(rng, [6, 150], &device).swap_dims(0, 1);
    let text = random(rng, [160, 9], &device).narrow(0, 7, 150).narrow(1, 2, 6);
    agree([image.clone(), text.clone()], 2.0);
    agree([text, image], 2.0);
}

#[test]
fn slopes() {
    let shape = [9, 5];
    let device = Device::flex();
    let [image, text] = embeddings(5, shape, &autodiff());
    let t = 0.3f32;
    let [_, gradients @ ..] = run(image, text, temperature(t, &autodiff()));
    let [image, text] = embeddings(5, shape, &device).map(numbers);
    let starts = [image, text, vec![t]];
    for which in 0..3 {
        check_slope(&mut rng(6), &starts[which], &gradients[which], |x| {
            let mut all = starts.clone();
            all[which] = x;
            let [image, text, t] = all;
            let [image, text] =
                [image, text].map(|x| Tensor::from_data(TensorData::new(x, shape), &device));
            3.0 * f64::from(numbers(contrastive(image, text, temperature(t[0], &device)))[0])
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || {
        let [image, text] = embeddings(7, [700, 20], &autodiff());
        run(image, text, temperature(0.07, &autodiff()))
    };
    assert_eq!(with_threads(1, one), with_threads(2, one));
    assert_eq!(with_threads(1, one), with_threads(3, one));
}

#[test]
fn large_similarities() {
    // Between them no exponential is a number; all are exact, and so are the largest of each row.
    let device = autodiff();
    for at in [1.0, 1.0 / 64.0, 1.0 / 65536.0, 2.0f32.powi(-30)] {
        let rng = &mut rng(8);
        agree_within([0, 1].map(|_| whole(rng, [140, 6], &device)), at, TOLERANCE);
    }
}

#[test]
fn not_a_number_is_not_hidden() {
    let device = Device::flex();
    let [image, text] = embeddings(9, [150, 4], &device);
    let image = image.slice_assign([140..141, 2..3], Tensor::full([1, 1], f32::NAN, &device));
    assert!(numbers(contrastive(image, text, temperature(1.0, &device)))[0].is_nan());
}

#[test]
#[should_panic(expected = "the contrastive loss of no pairs is not defined")]
fn no_pairs() {
    let device = Device::flex();
    let [image, text] = embeddings(10, [0, 3], &device);
    contrastive(image, text, temperature(1.0, &device));
}
