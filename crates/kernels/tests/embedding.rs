//! Embedding against its definition, against Burn's and against itself.

mod common;

use burn::tensor::{Device, Int, Tensor, module};
use common::*;
use weft_kernels::embedding;

type Embed = fn(Tensor<2>, Tensor<2, Int>) -> Tensor<3>;

/// The output and the gradient of the table.
fn run(table: Tensor<2>, ids: Tensor<2, Int>, f: Embed) -> [Vec<f32>; 2] {
    let table = table.require_grad();
    let y = f(table.clone(), ids);
    let weights = random(&mut rng(9), y.dims(), &y.device());
    let grads = (y.clone() * weights).sum().backward();
    [numbers(y.inner()), numbers(table.grad(&grads).unwrap())]
}

/// Both add in order of position, so there is nothing to tolerate.
fn agree(table: Tensor<2>, ids: Tensor<2, Int>) {
    let [y, dtable] = run(table.clone(), ids.clone(), embedding);
    let [expected, expected_dtable] = run(table, ids, module::embedding);
    assert_eq!(y, expected);
    assert_eq!(dtable, expected_dtable);
}

#[test]
fn agrees_with_burn() {
    for (rows, width, batch, tokens) in [
        (1, 1, 1, 1),
        (1, 5, 3, 7),
        (9, 1, 1, 40),
        (37, 19, 13, 11),
        (5, 33, 64, 9),
        (3000, 24, 7, 5),
    ] {
        let rng = &mut rng(1);
        let table = random(rng, [rows, width], &autodiff());
        agree(table, ids(rng, [batch, tokens], rows, &autodiff()));
    }
}

#[test]
fn takes_views() {
    let device = autodiff();
    let rng = &mut rng(2);
    let table = random(rng, [12, 40], &device);
    let positions = ids(rng, [9, 14], 12, &device);
    agree(table.clone().swap_dims(0, 1), positions.clone());
    agree(table.clone().narrow(1, 3, 17), positions.clone().swap_dims(0, 1));
    agree(table.narrow(0, 0, 12).narrow(1, 39, 1), positions.narrow(1, 2, 5).narrow(0, 1, 3));
}

#[test]
fn rows_add_up_in_order_of_position() {
    let (rows, width) = (11, 6);
    let table = random(&mut rng(3), [rows, width], &autodiff());
    let positions = ids(&mut rng(4), [50, 7], rows, &autodiff());
    let [_, got] = run(table, positions.clone(), embedding);
    let gradient = numbers(random(&mut rng(9), [50, 7, width], &Device::flex()));
    let mut expected = vec![0.0f32; rows * width];
    for (position, row) in positions.into_data().iter::<i64>().enumerate() {
        for column in 0..width {
            expected[row as usize * width + column] += gradient[position * width + column];
        }
    }
    assert_eq!(got, expected);
}

#[test]
fn an_unused_row_has_no_gradient() {
    let device = autodiff();
    let [_, dtable] =
        run(random(&mut rng(5), [4, 3], &device), Tensor::ones([2, 5], &device), embedding);
    assert!(dtable[..3].iter().chain(&dtable[6..]).all(|&x| x == 0.0));
    assert!(dtable[3..6].iter().all(|&x| x != 0.0));
}

#[test]
fn threads_do_not_change_a_bit() {
    let one = || {
        let rng = &mut rng(6);
        let table = random(rng, [23, 31], &autodiff());
        run(table, ids(rng, [40, 17], 23, &autodiff()), embedding)
    };
    assert_eq!(with_threads(1, one), with_threads(2, one));
    assert_eq!(with_threads(1, one), with_threads(3, one));
}

#[test]
fn other_dtypes_are_composed() {
    let rng = &mut rng(7);
    let table = random(rng, [5, 3], &Device::flex());
    let ids = ids(rng, [2, 4], 5, &Device::flex());
    let expected = numbers(embedding(table.clone(), ids.clone()));
    assert_eq!(narrow(embedding(wide(table), ids)), expected);
}

#[test]
#[should_panic(expected = "id 5, but there are 5 rows in the table")]
fn an_id_that_is_not_there() {
    let device = Device::flex();
    embedding(Tensor::zeros([5, 2], &device), Tensor::from_ints([[0, 4], [5, 1]], &device));
}

#[test]
#[should_panic(expected = "id -1, but there are 5 rows in the table")]
fn an_id_below_zero() {
    let device = Device::flex();
    embedding(Tensor::zeros([5, 2], &device), Tensor::from_ints([[0, -1]], &device));
}
