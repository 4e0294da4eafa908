//! Attention, drop path and initial weights.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use weft_nn::init::seeded;
use weft_nn::{AttentionMask, DropPath, MultiHeadAttentionConfig};

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

#[test]
fn attention_by_its_equation_head_by_head() {
    let device = Device::flex();
    let config = MultiHeadAttentionConfig::new(6, 2);
    let attention = seeded(config.init(&device), 1, 0.4);
    let x = Tensor::<3>::random([2, 4, 6], Distribution::Default, &device);
    let memory = Tensor::<3>::random([2, 5, 6], Distribution::Default, &device);
    let mask = [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]].concat().iter().map(|p| *p == 1).collect();
    let mask: Vec<bool> = mask;
    let padding = AttentionMask::padding(Tensor::<2, Bool>::from_data(
        TensorData::new(mask, [2, 5]),
        &device,
    ));
    let (found, weights) =
        attention.forward_with_weights(x.clone(), memory.clone(), Some(&padding), None);
    let alone = attention.forward(x.clone(), memory.clone(), Some(&padding));
    let difference = (found.clone() - alone).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-6, "{difference}");

    // The second sample attends to its first three keys only, so cut the memory instead of masking.
    for (sample, keys) in [(0, 5), (1, 3)] {
        let x = x.clone().narrow(0, sample, 1).reshape([4, 6]);
        let memory = memory.clone().narrow(0, sample, 1).narrow(1, 0, keys).reshape([keys, 6]);
        let q = attention.query.forward(x);
        let k = attention.key.forward(memory.clone());
        let v = attention.value.forward(memory);
        let heads = (0..2).map(|head| {
            let part = |t: &Tensor<2>| t.clone().narrow(1, head * 3, 3);
            let scores = part(&q).matmul(part(&k).transpose()) / 3f64.sqrt();
            softmax(scores, 1).matmul(part(&v))
        });
        let context = Tensor::cat(heads.collect::<Vec<_>>(), 1);
        let expected = values(attention.output.forward(context));
        let found = values(found.clone().narrow(0, sample, 1));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
    assert_eq!(weights.dims(), [2, 2, 4, 5]);
    let padded = values(weights.narrow(0, 1, 1).narrow(3, 3, 2));
    assert!(padded.iter().all(|w| *w == 0.0));
}

#[test]
fn drop_path_keeps_the_mean_and_whole_samples() {
    let device = Device::flex().autodiff();
    device.seed(7);
    let path = DropPath::new(0.25);
    let kept = values(path.forward(Tensor::ones([4000, 2, 3], &device)));
    let mut dropped = 0;
    for sample in kept.chunks(6) {
        assert!(sample.iter().all(|v| *v == sample[0]));
        assert!(sample[0] == 0.0 || (sample[0] - 1.0 / 0.75).abs() < 1e-6);
        dropped += usize::from(sample[0] == 0.0);
    }
    // Five standard deviations of a binomial of 4000 draws are 137.
    assert!((dropped as i64 - 1000).abs() < 137, "{dropped}");
    // Outside training it is the identity.
    let plain = values(path.valid().forward(Tensor::ones([4, 2, 3], &Device::flex())));
    assert!(plain.iter().all(|v| *v == 1.0));
}

#[test]
fn initial_weights_depend_on_seed_and_path_alone() {
    let config = MultiHeadAttentionConfig::new(64, 2);
    let device = Device::flex();
    let one = seeded(config.init(&device), 1, 0.02);
    device.seed(99);
    let again = seeded(config.init(&device), 1, 0.02);
    let other = seeded(config.init(&device), 2, 0.02);
    let weights = |a: &weft_nn::MultiHeadAttention| values(a.query.weight.val());
    assert_eq!(weights(&one), weights(&again));
    assert_ne!(weights(&one), weights(&other));
    assert_ne!(values(one.query.weight.val()), values(one.key.weight.val()));
    let all = weights(&one);
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let std = (all.iter().map(|w| (w - mean).powi(2)).sum::<f32>() / all.len() as f32).sqrt();
    // A normal cut at two deviations has 0.8796 of its deviation; four standard errors either side.
    assert!(mean.abs() < 0.0012, "{mean}");
    assert!((std - 0.8796 * 0.02).abs() < 0.0008, "{std}");
    assert!(all.iter().all(|w| w.abs() <= 0.04));
}
