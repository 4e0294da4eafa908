//! The fused update against the composed one and against the algorithm, number by number.

mod common;

use burn::tensor::{Device, Tensor};
use common::*;
use weft_kernels::{AdamWUpdate, Follower, Moments, Updated, adamw, follow, square_sum};

const UPDATE: AdamWUpdate = AdamWUpdate {
    gradient_scale: 0.37,
    lr: 3e-3,
    betas: [0.9, 0.98],
    epsilon: 1e-8,
    weight_decay: 0.02,
    updates: 7,
};
const MOMENTUM: f64 = 0.995;

/// Parameter, gradient, the two moments and the twin, as they are before an update.
fn start(seed: u64, count: usize) -> [Tensor<1>; 5] {
    let rng = &mut rng(seed);
    let device = Device::flex();
    let [p, g, m, v, t] = [0, 1, 2, 3, 4].map(|_| random(rng, [count], &device));
    // A mean of squares, some of them 0.
    [p, g, m * 0.1, v.clamp_min(0.0), t]
}

fn update([parameter, gradient, first, second, twin]: [Tensor<1>; 5], follows: bool) -> Updated {
    let follower = follows.then_some(Follower { twin, momentum: MOMENTUM });
    adamw(parameter, gradient, Moments { first, second }, follower, UPDATE)
}

fn all(updated: Updated) -> Vec<Vec<f32>> {
    let Updated { parameter, moments: Moments { first, second }, twin } = updated;
    [parameter, first, second].into_iter().chain(twin).map(numbers).collect()
}

/// The algorithm in f64.
fn expected(start: &[Vec<f32>; 5]) -> Vec<Vec<f32>> {
    let [p, g, m, v, t] = start;
    let AdamWUpdate { gradient_scale, lr, betas: [b1, b2], epsilon, weight_decay, .. } = UPDATE;
    let mut out = vec![Vec::new(); 4];
    for i in 0..p.len() {
        let [p, g, m, v, t] = [p, g, m, v, t].map(|x| f64::from(x[i]));
        let g = g * gradient_scale;
        let (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
        let (m_hat, v_hat) = (m / (1.0 - b1.powi(7)), v / (1.0 - b2.powi(7)));
        let p = p - lr * (m_hat / (v_hat.sqrt() + epsilon) + weight_decay * p);
        let t = MOMENTUM * t + (1.0 - MOMENTUM) * p;
        for (out, x) in out.iter_mut().zip([p, m, v, t]) {
            out.push(x as f32);
        }
    }
    out
}

#[test]
fn is_the_algorithm_fused_and_composed() {
    for count in [1, 5, 17, 1000, (1 << 14) - 1, (1 << 15) + 3] {
        let expected = expected(&start(1, count).map(numbers));
        for fused in [true, false] {
            weft_kernels::set_fused(fused);
            for follows in [true, false] {
                let got = all(update(start(1, count), follows));
                for (got, expected) in got.iter().zip(&expected) {
                    assert!(difference(got, expected) <= 5e-7, "{}", difference(got, expected));
                }
            }
            weft_kernels::set_fused(true);
        }
    }
}

#[test]
fn memory_that_others_hold_is_left_alone() {
    let start = start(2, 100);
    let before = start.clone().map(numbers);
    let _held = update(start.clone(), true);
    assert_eq!(start.map(numbers), before);
}

#[test]
fn takes_views() {
    let wide = |x: Tensor<1>| {
        let [count] = x.dims();
        let x = x.reshape([count, 1]);
        let padded =
            Tensor::cat(vec![x.clone() * 2.0, x, Tensor::zeros([count, 1], &Device::flex())], 1);
        padded.narrow(1, 1, 1).reshape([count])
    };
    let plain = all(update(start(4, 301), true));
    assert_eq!(all(update(start(4, 301).map(wide), true)), plain);
    let part = |x: Tensor<1>| Tensor::cat(vec![x.clone(), x.clone(), x], 0).narrow(0, 301, 301);
    assert_eq!(all(update(start(4, 301).map(part), true)), plain);
}

#[test]
fn a_twin_follows() {
    let [online, twin, ..] = start(5, 10);
    let followed = numbers(follow(twin.clone(), online.clone(), 0.75));
    for ((t, o), f) in numbers(twin).iter().zip(numbers(online)).zip(followed) {
        assert!((0.75 * t + 0.25 * o - f).abs() <= 3e-7);
    }
}

#[test]
fn squares_are_summed() {
    for count in [1, 3, 1024, 1025, 4096, 100_003] {
        let x: Tensor<1> = random(&mut rng(6), [count], &Device::flex());
        let exact: f64 = numbers(x.clone()).iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        for fused in [true, false] {
            weft_kernels::set_fused(fused);
            let [sum] = numbers(square_sum(x.clone()))[..] else { panic!("one number") };
            assert!((f64::from(sum) / exact - 1.0).abs() <= 1e-6, "{sum} for {exact}");
            weft_kernels::set_fused(true);
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || {
        let x = start(7, 70_001);
        let squares = numbers(square_sum(x[0].clone()));
        (all(update(x, true)), squares)
    };
    assert_eq!(with_threads(1, one), with_threads(3, one));
}
