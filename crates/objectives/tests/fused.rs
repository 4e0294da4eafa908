//! Objectives that pass over the logits of their equations give what the equations give.

mod common;

use burn::tensor::{Device, Tensor};
use weft_objectives::itc::{Itc, itc_loss};
use weft_objectives::mlm::{Mlm, mlm_loss};
use weft_objectives::{Loss, Objective, Views};
use weft_vision::MaskMode;

fn scalar(x: Tensor<1>) -> f32 {
    x.inner().into_scalar()
}

fn figure(loss: &Loss, name: &str) -> f32 {
    let (_, figure) = loss.figures.iter().find(|(found, _)| *found == name).unwrap();
    scalar(figure.clone())
}

/// Two orders of summation, in f32.
fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + b.abs())
}

#[test]
fn itc() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let mut views = Views::new(&model, &twin, &batch, 0);
    let loss = Itc(toml::from_str("").unwrap()).compute(&mut views);
    let similarity = views.similarity();
    assert!(!similarity.is_autodiff());
    let rows: Vec<f32> = similarity.clone().into_data().iter().collect();
    let found = |(i, row): (usize, &[f32])| row.iter().all(|x| *x <= row[i]);
    let found = rows.chunks(common::BATCH).enumerate().filter(|x| found(*x)).count();
    assert!(close(scalar(loss.value.clone()), scalar(itc_loss(similarity))));
    assert_eq!(figure(&loss, "itc_accuracy"), found as f32 / common::BATCH as f32);
}

#[test]
fn mlm() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let mut views = Views::new(&model, &twin, &batch, 0);
    let loss = Mlm(toml::from_str("").unwrap()).compute(&mut views);
    let text = views.fused_words();
    let [items, tokens, width] = text.dims();
    let masked = text.reshape([items * tokens, width]).select(0, batch.masked_rows.clone());
    let embeddings = model.backbone.text.embeddings.word.weight.val();
    let logits = model.heads.mlm.forward(masked, embeddings);
    let best: Vec<i64> = logits.clone().argmax(1).into_data().iter().collect();
    let words = batch.masked_words.clone();
    let expected: Vec<i64> = words.clone().into_data().iter().collect();
    let hits = best.iter().zip(&expected).filter(|(found, word)| found == word).count();
    let accuracy = hits as f32 / best.len() as f32;
    assert!(close(scalar(loss.value.clone()), scalar(mlm_loss(logits, words))));
    assert!(close(figure(&loss, "mlm_accuracy"), accuracy));
}
