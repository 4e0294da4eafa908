//! Embedding on CubeCL, against its definition.
#![cfg(feature = "cube-cpu")]

mod common;

use burn::tensor::{Int, Tensor, TensorData};
use common::*;
use rand::RngExt;
use weft_kernels::embedding;

/// Sums of some hundreds of products of size 4 in f32; the other side is in f64. Relative to the
/// largest number.
const TOLERANCE: f32 = 5e-6;

fn close(name: &str, got: &[f32], expected: &[f64]) {
    let expected: Vec<f32> = expected.iter().map(|&x| x as f32).collect();
    let difference = difference(got, &expected);
    assert!(difference <= TOLERANCE, "{name}: {difference}");
}

/// The output of an embedding of these ids and the gradient of its table.
fn embed([rows, width]: [usize; 2], ids: Tensor<2, Int>) -> [Vec<f32>; 2] {
    let table = random(&mut rng(1), [rows, width], &cube()).require_grad();
    let y = embedding(table.clone(), ids);
    let weights = random(&mut rng(2), y.dims(), &cube());
    let grads = (y.clone() * weights).sum().backward();
    [numbers(y.inner()), numbers(table.grad(&grads).unwrap())]
}

fn check_embedding(table @ [rows, width]: [usize; 2], ids: Vec<i64>, shape: [usize; 2]) {
    let tensor = Tensor::from_data(TensorData::new(ids.clone(), shape), &cube());
    let [y, dtable] = embed(table, tensor);
    let table = numbers(random(&mut rng(1), table, &cube()));
    let gradient = numbers(random(&mut rng(2), [shape[0], shape[1], width], &cube()));
    let mut expected = vec![0.0; rows * width];
    for (position, &id) in ids.iter().enumerate() {
        let row = &table[id as usize * width..][..width];
        assert_eq!(y[position * width..][..width], *row, "position {position}");
        for column in 0..width {
            expected[id as usize * width + column] +=
                f64::from(gradient[position * width + column]);
        }
    }
    close("the table's gradient", &dtable, &expected);
    let unused = (0..rows).filter(|row| !ids.contains(&(*row as i64)));
    for row in unused {
        assert!(dtable[row * width..][..width].iter().all(|&x| x == 0.0), "row {row}");
    }
}

#[test]
fn cube_embedding_agrees_with_its_definition() {
    // 429 positions are four chunks; 600 of five rows put every id into every chunk.
    for (table, shape) in
        [([1, 1], [1, 1]), ([1, 5], [3, 7]), ([37, 19], [13, 33]), ([5, 3], [6, 100])]
    {
        let rng = &mut rng(3);
        let ids = (0..shape[0] * shape[1]).map(|_| rng.random_range(0..table[0] as i64)).collect();
        check_embedding(table, ids, shape);
    }
    // One id in two chunks, never at their first positions.
    let ids = (0..300).map(|position| (position % 150 == 70) as i64 * 2).collect();
    check_embedding([4, 2], ids, [3, 100]);
}

#[test]
fn cube_embedding_gives_the_same_bits_twice() {
    let ids = || {
        let rng = &mut rng(4);
        let ids: Vec<i64> = (0..260).map(|_| rng.random_range(0..3)).collect();
        Tensor::from_data(TensorData::new(ids, [2, 130]), &cube())
    };
    assert_eq!(embed([3, 7], ids()), embed([3, 7], ids()));
}
