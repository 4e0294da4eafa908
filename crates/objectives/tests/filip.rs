//! FILIP in plain loops, through a whole model: every patch and every word that is no padding.

mod common;

use burn::tensor::{Device, Tensor};
use common::BATCH;
use common::plain::{
    Tokens, best, close, cross_entropy, dot, figure, integers, linear, numbers, tokens, unit, value,
};
use weft_model::Model;
use weft_nn::Linear;
use weft_objectives::filip::Filip;
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// Where all tokens are in the shared space.
fn points(projection: &Linear, states: Tensor<3>) -> Tokens {
    let of_example = |tokens: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        tokens.iter().map(|token| unit(&linear(projection, token))).collect()
    };
    tokens(states).into_iter().map(of_example).collect()
}

fn patches(model: &Model, batch: &PairBatch) -> Tokens {
    let images = model.backbone.encode_images(batch.images.clone(), None).output();
    let mut points = points(&model.backbone.image_projection, images);
    // The first token is the class, which is no patch.
    points.iter_mut().for_each(|picture| drop(picture.remove(0)));
    points
}

/// Words and padding.
fn words(model: &Model, batch: &PairBatch) -> Tokens {
    let texts = model.backbone.encode_texts(batch.ids.clone(), &batch.padding).output();
    points(&model.backbone.text_projection, texts)
}

/// Without the tokens whose id is that of padding, 0, which are the last ones.
fn without_padding(words: &Tokens, batch: &PairBatch) -> Tokens {
    let ids = integers(batch.ids.clone());
    let captions = words.iter().zip(ids.chunks(ids.len() / BATCH));
    captions
        .map(|(words, ids)| {
            let count = ids.iter().filter(|id| **id != 0).count();
            words[..count].to_vec()
        })
        .collect()
}

/// The mean over `from` of the similarity to the best of `to`.
fn late(from: &[Vec<f64>], to: &[Vec<f64>]) -> f64 {
    let best = |a: &Vec<f64>| to.iter().map(|b| dot(a, b)).fold(f64::NEG_INFINITY, f64::max);
    from.iter().map(best).sum::<f64>() / from.len() as f64
}

/// Loss and accuracy.
fn contrast(patches: &Tokens, words: &Tokens, temperature: f64) -> (f64, f64) {
    let rows = |from: &Tokens, to: &Tokens| -> Vec<Vec<f64>> {
        let row = |from: &Vec<Vec<f64>>| -> Vec<f64> {
            to.iter().map(|to| late(from, to) / temperature).collect()
        };
        from.iter().map(row).collect()
    };
    // A row for each picture, and a row for each caption.
    let (by_patches, by_words) = (rows(patches, words), rows(words, patches));
    let both = |i: usize| cross_entropy(&by_patches[i], i) + cross_entropy(&by_words[i], i);
    let found = |picture: &usize| {
        let sum = |caption: usize| by_patches[*picture][caption] + by_words[caption][*picture];
        let sums: Vec<f64> = (0..BATCH).map(sum).collect();
        best(&sums) == *picture
    };
    let loss = (0..BATCH).map(both).sum::<f64>() / (2 * BATCH) as f64;
    (loss, (0..BATCH).filter(found).count() as f64 / BATCH as f64)
}

#[test]
fn the_best_word_of_a_patch_and_the_best_patch_of_a_word() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let temperature = numbers(model.temperature.val())[0];
    let (patches, all) = (patches(&model, &batch), words(&model, &batch));
    let words = without_padding(&all, &batch);
    let lengths: Vec<usize> = words.iter().map(Vec::len).collect();
    assert_eq!(lengths, [4, 5, 3, 4]);
    let (right, accuracy) = contrast(&patches, &words, temperature);
    // A loss that saw padding would be another one.
    assert!(!close(contrast(&patches, &all, temperature).0, right));
    let config = toml::from_str("").unwrap();
    let loss = Filip(config).compute(&mut Views::new(&model, &twin, &batch, 0));
    assert!(close(value(&loss), right), "{} {right}", value(&loss));
    assert!(close(figure(&loss, "filip_accuracy"), accuracy));
}
