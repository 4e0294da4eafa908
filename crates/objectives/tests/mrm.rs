//! MRM in plain loops, through a whole model: both halves, held against the twin's clean pairs.

mod common;

use burn::tensor::{Device, Tensor};
use common::plain::{Tokens, close, figure, integers, picked, spread, standardized, tokens, value};
use weft_fusion::{Fused, Levels};
use weft_model::{Backbone, Model};
use weft_objectives::mrm::Mrm;
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// The hidden places of one modality: what is predicted there, and what the twin makes of them.
struct Half {
    predictions: Vec<Vec<f64>>,
    features: Vec<Vec<f64>>,
}

fn models(mode: MaskMode, device: &Device) -> (Model, Backbone) {
    let (model, mut twin) = common::models(mode, device);
    let fusion = twin.fusion.as_mut().unwrap();
    common::learnt(fusion.stack.norm.as_mut().unwrap(), device);
    (model, twin)
}

fn images(network: &Backbone, batch: &PairBatch) -> Levels {
    network.encode_images(batch.images.clone(), None)
}

fn texts(network: &Backbone, batch: &PairBatch) -> Levels {
    network.encode_texts(batch.ids.clone(), &batch.padding)
}

fn clean(network: &Backbone, batch: &PairBatch) -> Fused {
    network.fuse(&images(network, batch), &texts(network, batch), &batch.padding)
}

/// The projector treats all tokens alike, so it may be given those that are not hidden, too.
fn projected(model: &Model, fused: Tensor<3>) -> Tokens {
    tokens(model.heads.mrm.forward(fused))
}

fn patches(model: &Model, twin: &Backbone, batch: &PairBatch) -> Half {
    let (online, pixels) = (&model.backbone, batch.images.clone());
    let masked = online.encode_images(pixels, Some(&batch.image_mask));
    let fused = online.fuse(&masked, &texts(online, batch), &batch.padding);
    let hidden = common::IMAGE_MASK.map(|mask| mask == 1);
    Half {
        predictions: picked(projected(model, fused.image), &hidden),
        features: picked(tokens(clean(twin, batch).image), &hidden),
    }
}

fn words(model: &Model, twin: &Backbone, batch: &PairBatch) -> Half {
    let online = &model.backbone;
    let masked = online.encode_texts(batch.masked_ids.clone(), &batch.padding);
    let fused = online.fuse(&images(online, batch), &masked, &batch.padding);
    let (ids, masked) = (integers(batch.ids.clone()), integers(batch.masked_ids.clone()));
    let hidden: Vec<bool> = ids.iter().zip(&masked).map(|(id, masked)| id != masked).collect();
    Half {
        predictions: picked(projected(model, fused.text), &hidden),
        features: picked(tokens(clean(twin, batch).text), &hidden),
    }
}

/// The mean over places of the squared distance, averaged over the width.
fn distance(half: &Half, target: fn(&[f64]) -> Vec<f64>) -> f64 {
    let of_place = |(prediction, features): (&Vec<f64>, &Vec<f64>)| {
        let target = target(features);
        assert_eq!(prediction.len(), target.len());
        let squares = prediction.iter().zip(&target).map(|(p, t)| (p - t).powi(2));
        squares.sum::<f64>() / target.len() as f64
    };
    let places = half.predictions.iter().zip(&half.features);
    places.map(of_place).sum::<f64>() / half.predictions.len() as f64
}

#[test]
fn both_halves_are_held_against_the_clean_pair() {
    let device = Device::flex();
    let batch = common::batch(&device);
    for mode in [MaskMode::Token, MaskMode::Drop] {
        let (model, twin) = models(mode, &device);
        let (patches, words) = (patches(&model, &twin, &batch), words(&model, &twin, &batch));
        assert_eq!((patches.features.len(), words.features.len()), (12, 5));
        let mut values = Vec::new();
        for (mrm, target) in [
            ("", standardized as fn(&[f64]) -> Vec<f64>),
            ("standardize_target = false", |features| features.to_vec()),
        ] {
            let mut views = Views::new(&model, &twin, &batch, 0);
            let loss = Mrm(toml::from_str(mrm).unwrap()).compute(&mut views);
            let right = distance(&patches, target) + distance(&words, target);
            assert!(close(value(&loss), right), "{mode:?} {mrm}: {} {right}", value(&loss));
            // Standardised or not, what is watched for a collapse is what the twin gave.
            assert!(close(figure(&loss, "mrm_image_spread"), spread(&patches.features)));
            assert!(close(figure(&loss, "mrm_text_spread"), spread(&words.features)));
            values.push(right);
        }
        assert!((values[0] - values[1]).abs() > 1e-2, "the targets are too alike: {values:?}");
    }
}
