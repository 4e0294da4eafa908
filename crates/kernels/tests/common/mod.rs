//! Random tensors and what is compared about them.

#![allow(dead_code)]

use burn::tensor::{Device, FloatDType, Int, Shape, Tensor, TensorData};
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

/// Whole numbers, whose products and sums f32 holds exactly.
pub fn whole<const D: usize>(
    rng: &mut ChaCha8Rng,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    ids(rng, shape, 7, device).float() - 3.0
}

/// The largest of `x` by magnitude.
pub fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

/// Numbers below `below`.
pub fn ids<const D: usize>(
    rng: &mut ChaCha8Rng,
    shape: [usize; D],
    below: usize,
    device: &Device,
) -> Tensor<D, Int> {
    let count = shape.iter().product();
    let ids: Vec<i32> = (0..count).map(|_| rng.random_range(0..below as i32)).collect();
    Tensor::from_data(TensorData::new(ids, Shape::new(shape)), device)
}

/// In f64, for which every operation is composed.
pub fn wide<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F64)
}

/// From [`wide`] back.
pub fn narrow<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    numbers(x.cast(FloatDType::F32))
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

pub fn autodiff() -> Device {
    Device::flex().autodiff()
}

/// CubeCL's CPU runtime. It compiles a kernel at its first use, which takes seconds.
#[cfg(feature = "cube-cpu")]
pub fn cube() -> Device {
    Device::cpu().autodiff()
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
