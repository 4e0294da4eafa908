//! Embedding and linear cross-entropy on CubeCL, against their definitions.
#![cfg(feature = "cube-cpu")]

mod common;

use burn::tensor::{Int, Tensor, TensorData};
use common::*;
use rand::RngExt;
use weft_kernels::{LinearCrossEntropy, embedding, linear_cross_entropy};

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

struct Sizes {
    items: usize,
    width: usize,
    classes: usize,
}

/// The loss, its gradients of `hidden`, `weight` and `bias` for a gradient of 3, and the best
/// classes.
fn cross_entropy(sizes: &Sizes, class: &[i64]) -> ([Vec<f32>; 4], Vec<i64>) {
    let (rng, device) = (&mut rng(5), cube());
    let hidden = random(rng, [sizes.items, sizes.width], &device).require_grad();
    let weight = random(rng, [sizes.classes, sizes.width], &device).require_grad();
    let bias = random(rng, [sizes.classes], &device).require_grad();
    let class = Tensor::from_data(TensorData::new(class.to_vec(), [sizes.items]), &device);
    let LinearCrossEntropy { loss, best } =
        linear_cross_entropy(hidden.clone(), weight.clone(), bias.clone(), class);
    let grads = (loss.clone() * 3.0).backward();
    let best = best.into_data().iter::<i64>().collect();
    let [dhidden, dweight] = [hidden, weight].map(|x| numbers(x.grad(&grads).unwrap()));
    ([numbers(loss.inner()), dhidden, dweight, numbers(bias.grad(&grads).unwrap())], best)
}

/// The same in f64.
fn expected(sizes: &Sizes, class: &[i64]) -> ([Vec<f64>; 4], Vec<i64>) {
    let Sizes { items, width, classes } = *sizes;
    let (rng, device) = (&mut rng(5), cube());
    let wide = |x: Vec<f32>| x.into_iter().map(f64::from).collect::<Vec<_>>();
    let hidden = wide(numbers(random(rng, [items, width], &device)));
    let weight = wide(numbers(random(rng, [classes, width], &device)));
    let bias = wide(numbers(random(rng, [classes], &device)));
    let mut loss = 0.0;
    let mut gradients = [vec![0.0; items * width], vec![0.0; classes * width], vec![0.0; classes]];
    let mut best = Vec::new();
    for item in 0..items {
        let h = &hidden[item * width..][..width];
        let logit = |c: usize| {
            h.iter().zip(&weight[c * width..]).map(|(h, w)| h * w).sum::<f64>() + bias[c]
        };
        let logits: Vec<f64> = (0..classes).map(logit).collect();
        let top = logits.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = logits.iter().map(|x| (x - top).exp()).sum();
        let target = class[item] as usize;
        loss += (top + total.ln() - logits[target]) / items as f64;
        best.push(logits.iter().position(|&x| x == top).unwrap() as i64);
        for c in 0..classes {
            let weight_of_class = (logits[c] - top).exp() / total - f64::from(c == target);
            let d = 3.0 * weight_of_class / items as f64;
            gradients[2][c] += d;
            for column in 0..width {
                gradients[0][item * width + column] += d * weight[c * width + column];
                gradients[1][c * width + column] += d * h[column];
            }
        }
    }
    let [dhidden, dweight, dbias] = gradients;
    ([vec![loss], dhidden, dweight, dbias], best)
}

#[test]
fn cube_cross_entropy_agrees_with_its_definition() {
    for (items, width, classes) in [(1, 1, 1), (3, 5, 2), (7, 12, 129)] {
        let rng = &mut rng(6);
        let class: Vec<i64> = (0..items).map(|_| rng.random_range(0..classes as i64)).collect();
        let sizes = Sizes { items, width, classes };
        let (got, best) = cross_entropy(&sizes, &class);
        let (expected, expected_best) = expected(&sizes, &class);
        assert_eq!(best, expected_best);
        let names = ["loss", "gradient of hidden", "gradient of weight", "gradient of bias"];
        for (name, (got, expected)) in names.into_iter().zip(got.iter().zip(&expected)) {
            close(name, got, expected);
        }
    }
}

#[test]
fn cube_cross_entropy_takes_the_first_of_equal_classes() {
    let device = cube();
    let class = Tensor::from_ints([2, 0], &device);
    let hidden = Tensor::ones([2, 3], &device);
    let bias = Tensor::from_floats([0.0, 1.0, 0.0, 1.0, 1.0], &device);
    let LinearCrossEntropy { best, .. } =
        linear_cross_entropy(hidden, Tensor::ones([5, 3], &device), bias, class);
    assert_eq!(best.into_data().iter::<i64>().collect::<Vec<_>>(), [1, 1]);
}
