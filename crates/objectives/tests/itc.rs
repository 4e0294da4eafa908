//! ITC in plain loops, through a whole model.

mod common;

use burn::tensor::{Device, Tensor};
use common::BATCH;
use common::plain::{
    best, close, cross_entropy, dot, figure, linear, numbers, tokens, unit, value,
};
use weft_model::Model;
use weft_nn::Linear;
use weft_objectives::itc::Itc;
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// Where the class tokens are in the shared space.
fn points(projection: &Linear, states: Tensor<3>) -> Vec<Vec<f64>> {
    tokens(states).iter().map(|tokens| unit(&linear(projection, &tokens[0]))).collect()
}

/// Similarities over the temperature, pictures down and captions across, of what nothing is hidden in.
fn similarities(model: &Model, batch: &PairBatch) -> Vec<Vec<f64>> {
    let backbone = &model.backbone;
    let images = backbone.encode_images(batch.images.clone(), None).output();
    let texts = backbone.encode_texts(batch.ids.clone(), &batch.padding).output();
    let images = points(&backbone.image_projection, images);
    let texts = points(&backbone.text_projection, texts);
    let temperature = numbers(model.temperature.val())[0];
    let row = |image: &Vec<f64>| texts.iter().map(|text| dot(image, text) / temperature).collect();
    images.iter().map(row).collect()
}

#[test]
fn pictures_find_their_captions_and_captions_their_pictures() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let across = similarities(&model, &batch);
    let down: Vec<Vec<f64>> =
        (0..BATCH).map(|j| across.iter().map(|row| row[j]).collect()).collect();
    let own = |rows: &[Vec<f64>]| -> f64 {
        rows.iter().enumerate().map(|(i, row)| cross_entropy(row, i)).sum::<f64>() / BATCH as f64
    };
    let expected = (own(&across) + own(&down)) / 2.0;
    assert!((own(&across) - own(&down)).abs() > 1e-3, "one direction would do for both");

    let mut views = Views::new(&model, &twin, &batch, 0);
    let loss = Itc(toml::from_str("").unwrap()).compute(&mut views);
    assert!(close(value(&loss), expected), "{} {expected}", value(&loss));
    let found = across.iter().enumerate().filter(|(i, row)| best(row) == *i).count();
    assert!(close(figure(&loss, "itc_accuracy"), found as f64 / BATCH as f64));
    assert!(close(figure(&loss, "temperature"), 0.2));
    assert!(!views.similarity().is_autodiff(), "what negatives are drawn by leaves no tape");
}
