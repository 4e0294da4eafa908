//! GELU against Burn's and against itself.

mod common;

use burn::tensor::{Tensor, activation};
use common::*;
use weft_kernels::gelu;

/// Burn's own calls erff, which is right to one unit in the last place; ours is within 1e-7 of `Phi`,
/// times `x`, at most 2.
const TOLERANCE: f32 = 4e-7;

fn both<const D: usize>(x: Tensor<D>, f: fn(Tensor<D>) -> Tensor<D>) -> (Vec<f32>, Vec<f32>) {
    let x = x.require_grad();
    let weights = random(&mut rng(7), x.dims(), &x.device());
    let y = f(x.clone());
    let grads = (y.clone() * weights).sum().backward();
    (numbers(y.inner()), numbers(x.grad(&grads).unwrap()))
}

#[test]
fn agrees_with_burn() {
    for shape in [[1, 1, 1], [3, 5, 7], [2, 37, 128], [64, 9, 128]] {
        let x = random(&mut rng(1), shape, &autodiff());
        let (y, dx) = both(x.clone(), gelu);
        let (expected_y, expected_dx) = both(x, activation::gelu);
        assert!(difference(&y, &expected_y) <= TOLERANCE, "{}", difference(&y, &expected_y));
        assert!(
            difference(&dx, &expected_dx) <= 3.0 * TOLERANCE,
            "{}",
            difference(&dx, &expected_dx)
        );
    }
}

#[test]
fn takes_views() {
    let x = random(&mut rng(2), [6, 10, 9], &autodiff());
    for view in [x.clone().swap_dims(0, 2), x.clone().narrow(1, 3, 5), x.narrow(0, 2, 3)] {
        let (y, dx) = both(view.clone(), gelu);
        let (expected_y, expected_dx) = both(view, activation::gelu);
        assert!(difference(&y, &expected_y) <= TOLERANCE);
        assert!(difference(&dx, &expected_dx) <= 3.0 * TOLERANCE);
    }
}

/// `Phi` in f64, by the continued fraction of erfc or, near 0, its series.
fn cdf(x: f64) -> f64 {
    let z = x.abs() / 2f64.sqrt();
    let erfc = if z < 2.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= -z * z / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        1.0 - sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut fraction = z;
        for n in (1..200).rev() {
            fraction = z + n as f64 / 2.0 / fraction;
        }
        (-z * z).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    if x < 0.0 { erfc / 2.0 } else { 1.0 - erfc / 2.0 }
}

#[test]
fn is_exact_everywhere() {
    let xs: Vec<f32> = (-24_000..=24_000).map(|i| i as f32 / 2000.0).collect();
    let x = Tensor::<1>::from_floats(xs.as_slice(), &autodiff()).require_grad();
    let y = gelu(x.clone());
    let grads = y.clone().sum().backward();
    let (ys, dxs) = (numbers(y.inner()), numbers(x.grad(&grads).unwrap()));
    let (mut worst, mut worst_slope) = (0.0f64, 0.0f64);
    for ((x, y), dx) in xs.into_iter().map(f64::from).zip(ys).zip(dxs) {
        // The last place of a large result is more than 1e-7.
        let size = x.abs().max(1.0);
        worst = worst.max((f64::from(y) - x * cdf(x)).abs() / size);
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        worst_slope = worst_slope.max((f64::from(dx) - cdf(x) - x * density).abs());
    }
    assert!(worst <= 1.5e-7, "{worst}");
    assert!(worst_slope <= 4e-7, "{worst_slope}");
}

#[test]
fn extremes() {
    let device = burn::tensor::Device::flex();
    let x = Tensor::<1>::from_floats([0.0, -1e30, 1e30, f32::INFINITY, f32::NAN], &device);
    let y = numbers(gelu(x));
    assert_eq!(y[..4], [0.0, 0.0, 1e30, f32::INFINITY]);
    assert!(y[4].is_nan());
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = || both(random(&mut rng(3), [16, 37, 131], &autodiff()), gelu);
    assert_eq!(with_threads(1, run), with_threads(2, run));
}
