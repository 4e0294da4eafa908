//! Layer norm against Burn's, against slopes and against itself.

mod common;

use burn::tensor::{Device, Tensor, TensorData, module};
use common::*;
use weft_kernels::{layer_norm, residual_layer_norm};

/// Both sum rows of at most 768 numbers of size 2 in f32, in different orders.
const TOLERANCE: f32 = 2e-6;
/// Column sums over thousands of rows, in different orders.
const TOLERANCE_OF_SUMS: f32 = 1e-5;
const EPSILON: f64 = 1e-6;

type Norm<const D: usize> = fn(Tensor<D>, Tensor<1>, Tensor<1>) -> Tensor<D>;

fn fused<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<D> {
    layer_norm(x, gamma, beta, EPSILON)
}

fn composed<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<D> {
    module::layer_norm(x, gamma, Some(beta), EPSILON)
}

/// The output and the gradients of `x`, `gamma` and `beta`.
fn run<const D: usize>(x: Tensor<D>, norm: Norm<D>) -> [Vec<f32>; 4] {
    let device = x.device();
    let width = x.dims()[D - 1];
    let x = x.require_grad();
    let gamma = random(&mut rng(11), [width], &device).require_grad();
    let beta = random(&mut rng(12), [width], &device).require_grad();
    let weights = random(&mut rng(13), x.dims(), &device);
    let y = norm(x.clone(), gamma.clone(), beta.clone());
    let grads = (y.clone() * weights).sum().backward();
    [
        numbers(y.inner()),
        numbers(x.grad(&grads).unwrap()),
        numbers(gamma.grad(&grads).unwrap()),
        numbers(beta.grad(&grads).unwrap()),
    ]
}

/// The fused form on `device` against Burn's on Flex.
fn agree<const D: usize>(device: &Device, x: impl Fn(&Device) -> Tensor<D>) {
    let (got, expected) = (run(x(device), fused), run(x(&autodiff()), composed));
    for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let tolerance = if index < 2 { TOLERANCE } else { TOLERANCE_OF_SUMS };
        let difference = difference(got, expected);
        assert!(difference <= tolerance, "output {index}: {difference}");
    }
}

#[test]
fn agrees_with_burn() {
    // A width of 2 standardises to +-1 exactly, where gradients cancel; widths from 5 do not.
    for shape in [[1, 1, 5], [3, 5, 7], [2, 37, 128], [64, 81, 128], [3, 65, 33], [2, 197, 768]] {
        agree(&autodiff(), |device| random(&mut rng(1), shape, device));
    }
    agree(&autodiff(), |device| random(&mut rng(2), [130, 17], device));
}

fn check_views(device: &Device) {
    let x = |device: &Device| random(&mut rng(3), [6, 10, 9], device);
    agree(device, |device| x(device).swap_dims(0, 1));
    agree(device, |device| x(device).narrow(1, 3, 5));
    agree(device, |device| x(device).narrow(2, 1, 8));
}

#[test]
fn takes_views() {
    check_views(&autodiff());
}

fn check_one_number(device: &Device) {
    let [y, dx, dgamma, _] = run(random(&mut rng(4), [3, 4, 1], device), fused);
    let beta = numbers(random(&mut rng(12), [1], &Device::flex()))[0];
    assert_eq!(y, [beta; 12]);
    assert_eq!(dx, [0.0; 12]);
    assert_eq!(dgamma, [0.0]);
}

#[test]
fn one_number_standardises_to_zero() {
    check_one_number(&autodiff());
}

fn check_slopes(device: &Device) {
    let shape = [7, 19];
    let start = numbers(random(&mut rng(5), shape, device));
    let [_, dx, dgamma, dbeta] = run(random(&mut rng(5), shape, device), fused);
    let gamma = numbers(random(&mut rng(11), [19], device));
    let beta = numbers(random(&mut rng(12), [19], device));
    let weights = numbers(random(&mut rng(13), shape, device));
    let device = device.clone().inner();
    let loss = |x: Vec<f32>, gamma: Vec<f32>, beta: Vec<f32>| {
        let x = Tensor::<2>::from_data(TensorData::new(x, shape), &device);
        let [gamma, beta] = [gamma, beta].map(|x| Tensor::from_floats(x.as_slice(), &device));
        let y = numbers(fused(x, gamma, beta));
        y.iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
    };
    let rng = &mut rng(6);
    check_slope(rng, &start, &dx, |x| loss(x, gamma.clone(), beta.clone()));
    check_slope(rng, &gamma, &dgamma, |gamma| loss(start.clone(), gamma, beta.clone()));
    check_slope(rng, &beta, &dbeta, |beta| loss(start.clone(), gamma.clone(), beta));
}

type Residual<const D: usize> =
    fn(Tensor<D>, Tensor<D>, Tensor<1>, Tensor<1>, f64) -> (Tensor<D>, Tensor<D>);

fn residual_composed<const D: usize>(
    x: Tensor<D>,
    branch: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> (Tensor<D>, Tensor<D>) {
    let sum = x + branch;
    (sum.clone(), module::layer_norm(sum, gamma, Some(beta), epsilon))
}

/// Both outputs and the gradients of `x`, `branch`, `gamma` and `beta`, where the loss uses both
/// outputs, or the norm alone.
fn run_residual<const D: usize>(
    x: Tensor<D>,
    branch: Tensor<D>,
    norm: Residual<D>,
    sum_counts: bool,
) -> [Vec<f32>; 6] {
    let (device, width) = (x.device(), x.dims()[D - 1]);
    let [x, branch] = [x, branch].map(Tensor::require_grad);
    let [gamma, beta] =
        [11, 12].map(|seed| random(&mut rng(seed), [width], &device).require_grad());
    // The branch comes out of an operation, as in a block, so that its memory is nobody else's.
    let (sum, normed) = norm(x.clone(), branch.clone() * 1.0, gamma.clone(), beta.clone(), EPSILON);
    let weigh = |x: &Tensor<D>, seed| (x.clone() * random(&mut rng(seed), x.dims(), &device)).sum();
    let loss = weigh(&normed, 13);
    let loss = if sum_counts { loss + weigh(&sum, 14) } else { loss };
    let grads = loss.backward();
    let outputs = [sum.inner(), normed.inner()].map(numbers);
    let [dx, dbranch] = [x, branch].map(|x| numbers(x.grad(&grads).unwrap()));
    let [dgamma, dbeta] = [gamma, beta].map(|x| numbers(x.grad(&grads).unwrap()));
    let [sum, normed] = outputs;
    [sum, normed, dx, dbranch, dgamma, dbeta]
}

#[test]
fn a_residual_and_its_norm_agree_with_burn() {
    for shape in [[1, 1, 5], [3, 5, 7], [2, 37, 128], [3, 65, 33], [2, 197, 768]] {
        for sum_counts in [true, false] {
            let [x, branch] = [31, 32].map(|seed| random(&mut rng(seed), shape, &autodiff()));
            let got = run_residual(x.clone(), branch.clone(), residual_layer_norm, sum_counts);
            let expected = run_residual(x, branch, residual_composed, sum_counts);
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let tolerance = if index < 4 { TOLERANCE } else { TOLERANCE_OF_SUMS };
                let difference = difference(got, expected);
                assert!(difference <= tolerance, "output {index}: {difference}");
            }
        }
    }
}

#[test]
fn a_residual_leaves_memory_alone_that_others_hold() {
    let [x, branch] = [33, 34].map(|seed| random(&mut rng(seed), [5, 9], &Device::flex()));
    let ones = Tensor::ones([9], &Device::flex());
    let before = [x.clone(), branch.clone()].map(numbers);
    let (sum, _) = residual_layer_norm(x.clone(), branch.clone(), ones.clone(), ones, EPSILON);
    assert_eq!([x, branch].map(numbers), before);
    let expected: Vec<f32> = before[0].iter().zip(&before[1]).map(|(x, b)| x + b).collect();
    assert_eq!(numbers(sum), expected);
}

#[test]
fn slopes() {
    check_slopes(&autodiff());
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || run(random(&mut rng(7), [16, 37, 131], &autodiff()), fused);
    assert_eq!(with_threads(1, one), with_threads(2, one));
}

#[test]
fn other_dtypes_are_composed() {
    use burn::tensor::FloatDType;
    let device = Device::flex();
    let [x, gamma, beta] = [21, 22, 23].map(|seed| random(&mut rng(seed), [16], &device));
    let expected = numbers(fused(x.clone(), gamma.clone(), beta.clone()));
    let wide = |x: Tensor<1>| x.cast(FloatDType::F64);
    let y = fused(wide(x), wide(gamma), wide(beta)).cast(FloatDType::F32);
    assert!(difference(&numbers(y), &expected) <= TOLERANCE);
}

#[cfg(feature = "cube-cpu")]
mod on_cube {
    use super::*;

    #[test]
    fn agrees_with_burn() {
        // 132 rows are summed in three blocks.
        for shape in [[1, 1, 5], [3, 5, 7], [2, 37, 128], [3, 44, 33]] {
            agree(&cube(), |device| random(&mut rng(1), shape, device));
        }
        agree(&cube(), |device| random(&mut rng(2), [130, 17], device));
    }

    #[test]
    fn takes_views() {
        check_views(&cube());
    }

    #[test]
    fn one_number_standardises_to_zero() {
        check_one_number(&cube());
    }

    #[test]
    fn slopes() {
        check_slopes(&cube());
    }

    #[test]
    fn two_runs_give_the_same_bits() {
        let one = || run(random(&mut rng(7), [3, 37, 31], &cube()), fused);
        assert_eq!(one(), one());
    }
}
