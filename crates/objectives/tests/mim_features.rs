//! MIM's target of features in plain loops, through a whole model: the twin's image encoder, before any fusion.

mod common;

use burn::tensor::Device;
use common::plain::{close, figure, matrix, spread, standardized, tokens, value};
use common::{BATCH, IMAGE_MASK};
use weft_model::{Backbone, Model};
use weft_objectives::mim::{Mim, MimConfig};
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

fn models(mim: &str, mode: MaskMode, device: &Device) -> (Model, Backbone) {
    let (model, mut twin) = common::mim_models(mim, mode, device);
    common::learnt(twin.vision.stack.norm.as_mut().unwrap(), device);
    (model, twin)
}

fn hidden(patches: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    assert_eq!(patches.len(), IMAGE_MASK.len());
    let patches = patches.into_iter().zip(IMAGE_MASK);
    patches.filter(|(_, mask)| *mask == 1).map(|(patch, _)| patch).collect()
}

fn predictions(model: &Model, batch: &PairBatch) -> Vec<Vec<f64>> {
    let online = &model.backbone;
    let images = online.encode_images(batch.images.clone(), Some(&batch.image_mask));
    let texts = online.encode_texts(batch.ids.clone(), &batch.padding);
    let fused = online.fuse(&images, &texts, &batch.padding);
    let image = model.heads.mim_patches(fused.image);
    let [_, patches, width] = image.dims();
    hidden(matrix(model.heads.mim_prediction(image.reshape([BATCH * patches, width]))))
}

fn features(twin: &Backbone, batch: &PairBatch) -> Vec<Vec<f64>> {
    let clean = tokens(twin.encode_images(batch.images.clone(), None).output());
    // The first token is the class, which is no patch.
    hidden(clean.into_iter().flat_map(|picture| picture.into_iter().skip(1)).collect())
}

/// The mean over patches of the absolute difference, averaged over the width.
fn distance(
    predictions: &[Vec<f64>],
    features: &[Vec<f64>],
    target: fn(&[f64]) -> Vec<f64>,
) -> f64 {
    let of_patch = |(prediction, features): (&Vec<f64>, &Vec<f64>)| {
        let target = target(features);
        assert_eq!(prediction.len(), target.len());
        let differences = prediction.iter().zip(&target).map(|(p, t)| (p - t).abs());
        differences.sum::<f64>() / target.len() as f64
    };
    predictions.iter().zip(features).map(of_patch).sum::<f64>() / predictions.len() as f64
}

#[test]
fn features_are_the_twin_s_of_the_clean_picture() {
    let device = Device::flex();
    let batch = common::batch(&device);
    for (mode, head) in [
        (MaskMode::Token, ""),
        (MaskMode::Drop, ""),
        (MaskMode::Token, "target = \"features\"\nhead_depth = 1\n"),
    ] {
        let mut values = Vec::new();
        for (standardize, target) in [
            ("", standardized as fn(&[f64]) -> Vec<f64>),
            ("standardize_target = false\n", |features| features.to_vec()),
        ] {
            let mim = format!("{head}{standardize}");
            let config: MimConfig = toml::from_str(&mim).unwrap();
            let (model, twin) = models(&mim, mode, &device);
            let (predictions, features) = (predictions(&model, &batch), features(&twin, &batch));
            let loss = Mim(config).compute(&mut Views::new(&model, &twin, &batch, 0));
            let right = distance(&predictions, &features, target);
            assert!(close(value(&loss), right), "{mode:?} {mim}: {} {right}", value(&loss));
            // Standardised or not, what is watched for a collapse is what the twin gave.
            assert!(close(figure(&loss, "mim_spread"), spread(&features)));
            values.push(right);
        }
        assert!((values[0] - values[1]).abs() > 1e-2, "the targets are too alike: {values:?}");
    }
}
