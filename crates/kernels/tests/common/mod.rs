//! Random tensors and what is compared about them.

#![allow(dead_code)]

use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Numbers of about unit size.
pub fn random<const D: usize>(
    rng: &mut ChaCha8Rng,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let count = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|_| rng.random_range(-2.0..2.0)).collect();
    Tensor::from_data(TensorData::new(numbers, Shape::new(shape)), device)
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

pub fn autodiff() -> Device {
    Device::flex().autodiff()
}

/// The largest difference, relative to the largest number where that is above one.
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(1.0f32, |size, b| size.max(b.abs()));
    let worst = a.iter().zip(b).fold(0.0f32, |worst, (a, b)| {
        // `max` would pass over a NaN.
        if (a - b).abs() <= worst { worst } else { (a - b).abs() }
    });
    worst / size
}

/// Runs `f` with a pool of that many threads.
pub fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// Whether `gradient` is that of `f` at `x`: along a random direction `d`, `(f(x + h d) - f(x - h
/// d)) / 2h` is compared with `gradient . d`.
///
/// `f` is summed in f64 from outputs in f32, so a difference carries about 1e-7 times the outputs'
/// size times the root of their count, over `h = 1e-2`; the truncation is of order `h^2`. With
/// outputs of unit size that allows 2e-3 of the slope's scale.
pub fn check_slope(rng: &mut ChaCha8Rng, x: &[f32], gradient: &[f32], f: impl Fn(Vec<f32>) -> f64) {
    const H: f32 = 1e-2;
    for _ in 0..3 {
        let direction: Vec<f32> = x.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        let at = |h: f32| f(x.iter().zip(&direction).map(|(x, d)| x + h * d).collect());
        let measured = (at(H) - at(-H)) / (2.0 * f64::from(H));
        let products = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d));
        let scale = products.clone().map(|p| p * p).sum::<f64>().sqrt().max(1.0);
        let expected: f64 = products.sum();
        assert!((measured - expected).abs() <= 2e-3 * scale, "{measured} for {expected}, {scale}");
    }
}
