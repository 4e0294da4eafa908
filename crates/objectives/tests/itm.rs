//! ITM in plain loops, through a whole model: every picture is encoded and fused anew with every caption.

mod common;

use burn::tensor::{Device, Tensor};
use common::BATCH;
use common::plain::{
    Tokens, best, close, cross_entropy, dot, figure, linear, matrix, tokens, unit, value,
};
use weft_model::Model;
use weft_nn::Linear;
use weft_nn::index::indices;
use weft_objectives::itm::{Itm, ItmConfig};
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// The logits (no match, match) by picture and caption.
fn logits(model: &Model, batch: &PairBatch) -> Tokens {
    let device = batch.images.device();
    let pictures = indices((0..BATCH * BATCH).map(|pair| pair / BATCH), &device);
    let captions = indices((0..BATCH * BATCH).map(|pair| pair % BATCH), &device);
    let padding = batch.padding.select(&captions);
    let images = model.backbone.encode_images(batch.images.clone().select(0, pictures), None);
    let texts = model.backbone.encode_texts(batch.ids.clone().select(0, captions), &padding);
    let classes = matrix(model.backbone.fuse(&images, &texts, &padding).class);
    let logits: Vec<Vec<f64>> =
        classes.iter().map(|class| linear(&model.heads.itm, class)).collect();
    logits.chunks(BATCH).map(<[Vec<f64>]>::to_vec).collect()
}

/// The mean over all pairs, right and wrong ones alike, of cross-entropy and of hits.
fn matching(logits: &Tokens, wrong: &[(usize, usize)]) -> (f64, f64) {
    let right = (0..BATCH).map(|pair| (&logits[pair][pair], 1));
    let wrong = wrong.iter().map(|(picture, caption)| (&logits[*picture][*caption], 0));
    let pairs: Vec<(&Vec<f64>, usize)> = right.chain(wrong).collect();
    let loss: f64 = pairs.iter().map(|(row, class)| cross_entropy(row, *class)).sum();
    let hits = pairs.iter().filter(|(row, class)| best(row) == *class).count();
    (loss / pairs.len() as f64, hits as f64 / pairs.len() as f64)
}

/// Where the class tokens are in the shared space.
fn points(projection: &Linear, states: Tensor<3>) -> Vec<Vec<f64>> {
    tokens(states).iter().map(|tokens| unit(&linear(projection, &tokens[0]))).collect()
}

/// For each caption the most similar wrong picture, for each picture the most similar wrong caption.
fn hardest(model: &Model, batch: &PairBatch) -> Vec<(usize, usize)> {
    let backbone = &model.backbone;
    let images = backbone.encode_images(batch.images.clone(), None).output();
    let texts = backbone.encode_texts(batch.ids.clone(), &batch.padding).output();
    let images = points(&backbone.image_projection, images);
    let texts = points(&backbone.text_projection, texts);
    let similarity = |picture: usize, caption: usize| dot(&images[picture], &texts[caption]);
    let wrong = |own: usize| {
        let captions = &batch.caption_of;
        (0..BATCH).filter(move |other| captions[*other] != captions[own])
    };
    let picture_for = |caption: usize| {
        let by_similarity =
            |a: &usize, b: &usize| similarity(*a, caption).total_cmp(&similarity(*b, caption));
        (wrong(caption).max_by(by_similarity).unwrap(), caption)
    };
    let caption_for = |picture: usize| {
        let by_similarity =
            |a: &usize, b: &usize| similarity(picture, *a).total_cmp(&similarity(picture, *b));
        (picture, wrong(picture).max_by(by_similarity).unwrap())
    };
    (0..BATCH).map(picture_for).chain((0..BATCH).map(caption_for)).collect()
}

#[test]
fn the_hardest_wrong_pairs_are_the_most_similar_ones() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    // In the second batch the first and the third caption are equal, and no wrong ones for one another's picture.
    for caption_of in [vec![0, 1, 2, 3], vec![0, 1, 0, 3]] {
        let batch = PairBatch { caption_of, ..common::batch(&device) };
        let config: ItmConfig = toml::from_str("negatives = \"hardest\"").unwrap();
        let loss = Itm(config).compute(&mut Views::new(&model, &twin, &batch, 0));
        let (right, accuracy) = matching(&logits(&model, &batch), &hardest(&model, &batch));
        assert!(close(value(&loss), right), "{} {right}", value(&loss));
        assert!(close(figure(&loss, "itm_accuracy"), accuracy));
    }
}

#[test]
fn right_and_drawn_pairs_count_alike() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = common::batch(&device);
    let logits = logits(&model, &batch);
    for itm in
        ["", "per_pair = 1", "negatives = \"random\"", "negatives = \"hardest\"\nper_pair = 1"]
    {
        for seed in 0..5 {
            let config: ItmConfig = toml::from_str(itm).unwrap();
            let mut views = Views::new(&model, &twin, &batch, seed);
            let loss = Itm(config.clone()).compute(&mut views);
            // What was drawn is a matter of the seed; asked for behind the loss, it cannot change it.
            let (wrong, _) = views.fused_negatives(config.negatives, config.per_pair);
            assert_eq!(wrong.len(), config.per_pair * BATCH);
            assert!(wrong.iter().all(|(picture, caption)| picture != caption));
            let (right, accuracy) = matching(&logits, &wrong);
            assert!(close(value(&loss), right), "{itm} {seed}: {} {right}", value(&loss));
            assert!(close(figure(&loss, "itm_accuracy"), accuracy));
        }
    }
}

#[test]
fn captions_that_are_all_equal_are_wrong_for_no_picture() {
    let device = Device::flex();
    let (model, twin) = common::models(MaskMode::Drop, &device);
    let batch = PairBatch { caption_of: vec![0; BATCH], ..common::batch(&device) };
    let mut views = Views::new(&model, &twin, &batch, 0);
    let loss = Itm(toml::from_str("").unwrap()).compute(&mut views);
    assert_eq!(value(&loss), 0.0);
    assert!(loss.figures.is_empty() && views.passes().is_empty());
}
