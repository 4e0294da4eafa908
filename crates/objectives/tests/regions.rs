//! A detector's regions in the place of patches: places without one change nothing, in no objective and under
//! either fusion encoder.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use weft_fusion::{ConnectionConfig, FusionConfig, FusionKind};
use weft_model::{Backbone, ConceptsConfig, Model, ModelConfig, momentum};
use weft_nn::{NormPosition, TransformerConfig};
use weft_objectives::{Objectives, PairBatch, Views};
use weft_vision::{MaskMode, RegionsConfig};

const FEATURES: usize = 7;

fn models(co_attention: bool, device: &Device) -> (Model, Backbone) {
    let concepts = Some(ConceptsConfig { rows: common::PHRASES, tags: true });
    let mut config = ModelConfig { concepts, ..common::config(MaskMode::Token) };
    config.vision.regions = Some(RegionsConfig { features: FEATURES, most: 5 });
    if co_attention {
        config.vision.transformer.depth = 2;
        config.text.transformer.depth = 2;
        config.fusion = FusionConfig {
            kind: FusionKind::CoAttention,
            connection: Some(ConnectionConfig::default()),
            ..FusionConfig::joint(TransformerConfig::new(12, 2, 2, NormPosition::Post))
        };
    }
    let model = config.init(common::VOCABULARY, 1, &device.clone().autodiff()).unwrap();
    let twin = momentum::twin(&model.backbone);
    (model, twin)
}

/// Three regions of each of `pictures`, and empty places up to `most`.
fn regions(pictures: usize, most: usize, device: &Device) -> Tensor<4> {
    let number = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
    let numbers: Vec<f32> = (0..pictures * 3 * FEATURES).map(number).collect();
    let there = TensorData::new(numbers, [pictures, 1, 3, FEATURES]);
    let there = Tensor::<4>::from_data(there, device);
    let nothing = Tensor::zeros([pictures, 1, most - 3, FEATURES], device);
    Tensor::cat(vec![there, nothing], 2)
}

/// What each objective makes of the batch.
fn losses(toml: &str, co_attention: bool, batch: &PairBatch) -> Vec<(&'static str, f32)> {
    let (model, twin) = models(co_attention, &batch.images.device());
    let objectives: Objectives = toml::from_str(toml).unwrap();
    let mut views = Views::new(&model, &twin, batch, 0);
    let losses = objectives.build().into_iter().map(|objective| {
        let loss = objective.compute(&mut views);
        (loss.name, loss.value.inner().into_scalar::<f32>())
    });
    losses.collect()
}

fn same(left: &[(&str, f32)], right: &[(&str, f32)]) {
    assert_eq!(left.len(), right.len());
    for ((name, left), (_, right)) in left.iter().zip(right) {
        assert!(left.is_finite() && (left - right).abs() < 1e-5, "{name}: {left} {right}");
    }
}

#[test]
fn empty_places_change_no_objective() {
    let device = Device::flex();
    for co_attention in [false, true] {
        let of = |most: usize, tags: bool| {
            let mut batch = PairBatch {
                images: regions(common::BATCH, most, &device),
                ..common::concept_batch(&device)
            };
            batch.tags = batch.tags.filter(|_| tags);
            let mcr = if tags { "[mcr]" } else { "" };
            losses(&format!("[itc]\n[itm]\n[mlm]\n[wpg]\n{mcr}"), co_attention, &batch)
        };
        for tags in [false, true] {
            same(&of(3, tags), &of(5, tags));
        }
    }
}

#[test]
fn what_a_region_holds_does_change_them() {
    let device = Device::flex();
    let batch = |images| PairBatch { images, ..common::concept_batch(&device) };
    let own = regions(common::BATCH, 5, &device);
    let toml = "[itc]\n[itm]\n[mlm]\n[wpg]";
    let found = losses(toml, false, &batch(own.clone()));
    let other = losses(toml, false, &batch(own * 0.5));
    for ((name, found), (_, other)) in found.iter().zip(&other) {
        assert!((found - other).abs() > 1e-6, "{name}: {found} {other}");
    }
}

/// A picture that pairs share is encoded once, its empty places hidden for each of them.
#[test]
fn shared_pictures_keep_their_empty_places() {
    let device = Device::flex();
    for co_attention in [false, true] {
        let batch = PairBatch { tags: None, ..common::concept_batch(&device) };
        let shared = PairBatch {
            images: regions(2, 5, &device),
            picture_of: Some(Tensor::from_ints([0, 0, 1, 1], &device)),
            ..batch.clone()
        };
        let images = shared.for_pairs(shared.images.clone());
        let apart = PairBatch { images, ..batch };
        let toml = "[mlm]\n[wpg]";
        same(&losses(toml, co_attention, &shared), &losses(toml, co_attention, &apart));
    }
}
