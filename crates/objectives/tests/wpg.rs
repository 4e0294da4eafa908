//! WPG in plain loops over what was fused, against wrong pairs and against other pictures of the batch.

mod common;

use std::collections::BTreeSet;

use burn::tensor::Device;
use common::plain::{Tokens, dot, figure, tokens, value};
use weft_model::{Backbone, Model};
use weft_objectives::concepts::BatchPhrases;
use weft_objectives::negatives::Hardness;
use weft_objectives::wpg::Wpg;
use weft_objectives::{Objective, Objectives, PairBatch, Views};

/// Places of the phrases of each caption of the batch.
const PLACES: [&[usize]; common::BATCH] = [&[2, 3], &[3], &[], &[3]];

/// The captions that have a phrase.
const CAPTIONS: [usize; 3] = [0, 1, 3];

/// So many that each wrong picture and each rank is drawn.
const SEEDS: u64 = 40;

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// The cosines of a word to patches, the nearest first.
fn cosines(word: &[f64], patches: &[Vec<f64>]) -> Vec<f64> {
    let mut cosines: Vec<f64> = patches.iter().map(|patch| cosine(word, patch)).collect();
    cosines.sort_by(|a, b| b.total_cmp(a));
    cosines
}

/// The mean over `places` of the cosine of the word there to its nearest patch.
fn score(words: &[Vec<f64>], places: &[usize], patches: &[Vec<f64>]) -> f64 {
    let best = |place: &usize| cosines(&words[*place], patches)[0];
    places.iter().map(best).sum::<f64>() / places.len() as f64
}

#[test]
fn wrong_pairs_are_held_against_the_captions_own_picture() {
    let device = Device::flex();
    let (model, twin) = common::concept_models(&device);
    let batch = common::concept_batch(&device);
    for per_pair in [1, 2] {
        let toml = format!(
            "[itm]\nper_pair = {per_pair}\n[wpg]\nwrong = \"paired\"\nnearest = 1\nmargin = 0.4\n"
        );
        let objectives: Objectives = toml::from_str(&toml).unwrap();
        let mut views = Views::new(&model, &twin, &batch, 5).for_objectives(&objectives);
        let fused = views.fused();
        let (right_words, right_patches) = (tokens(fused.text), tokens(fused.image));
        let (pairs, wrong) = views.fused_negatives(Hardness::Sampled, per_pair);
        let (words, patches) = (tokens(wrong.text), tokens(wrong.image));
        assert_eq!(pairs.len(), per_pair * common::BATCH);

        let mut hinges = Vec::new();
        for (pair, (picture, caption)) in pairs.iter().enumerate() {
            assert_ne!(picture, caption);
            let places = PLACES[*caption];
            if places.is_empty() {
                continue;
            }
            let right = score(&right_words[*caption], places, &right_patches[*caption]);
            let wrong = score(&words[pair], places, &patches[pair]);
            hinges.push((0.4 + wrong - right).max(0.0));
        }
        let expected = hinges.iter().sum::<f64>() / hinges.len() as f64;
        let found = objectives.build()[1].compute(&mut views).value.inner();
        let found = f64::from(found.into_scalar::<f32>());
        assert!(expected > 0.0 && (found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

/// The words and the patches of each clean pair, fused with one another.
fn fused(model: &Model, batch: &PairBatch) -> (Tokens, Tokens) {
    let tags = &batch.tags.as_ref().unwrap().masked;
    let (images, _) = model.backbone.encode_images_with_tags(batch.images.clone(), tags);
    let texts = model.backbone.encode_texts(batch.ids.clone(), &batch.padding);
    let fused = model.backbone.fuse(&images, &texts, &batch.padding);
    (tokens(fused.text), tokens(fused.image))
}

/// What may be drawn, with the loss and the accuracy that it would give.
struct Lot {
    drawn: Vec<usize>,
    loss: f64,
    accuracy: f64,
}

impl Lot {
    /// From the scores of each caption, for its own picture and for the wrong one.
    fn new(drawn: Vec<usize>, scores: &[(f64, f64)], margin: f64) -> Self {
        let hinges = scores.iter().map(|(right, wrong)| (margin + wrong - right).max(0.0));
        let better = scores.iter().filter(|(right, wrong)| right > wrong).count();
        let count = scores.len() as f64;
        Self { drawn, loss: hinges.sum::<f64>() / count, accuracy: better as f64 / count }
    }
}

/// Which of the lots each seed drew. How it draws is the objective's own; its loss must be that of one of them.
fn drawn(
    wpg: &str,
    (model, twin): &(Model, Backbone),
    batch: &PairBatch,
    lots: &[Lot],
) -> Vec<Vec<usize>> {
    let wpg = Wpg { config: toml::from_str(wpg).unwrap(), itm: None };
    let of_seed = |seed: u64| {
        let loss = wpg.compute(&mut Views::new(model, twin, batch, seed));
        let far = |lot: &Lot| (lot.loss - value(&loss)).abs();
        let lot = lots.iter().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap();
        assert!(far(lot) < 1e-5, "{} is none of the losses that there can be", value(&loss));
        assert!((figure(&loss, "wpg_accuracy") - lot.accuracy).abs() < 1e-6);
        lot.drawn.clone()
    };
    (0..SEEDS).map(of_seed).collect()
}

/// All that stood at `at` of what was drawn.
fn seen(drawn: &[Vec<usize>], at: usize) -> BTreeSet<usize> {
    drawn.iter().map(|drawn| drawn[at]).collect()
}

/// Every way to give the three captions with a phrase another picture than their own.
fn other_pictures() -> Vec<Vec<usize>> {
    let ways = (0..64).map(|way| vec![way / 16, way / 4 % 4, way % 4]);
    let wrong = |way: &Vec<usize>| way.iter().zip(CAPTIONS).all(|(picture, own)| *picture != own);
    ways.filter(wrong).collect()
}

#[test]
fn a_wrong_picture_has_the_states_that_it_has_with_its_own_caption() {
    let device = Device::flex();
    let models = common::concept_models(&device);
    let batch = common::concept_batch(&device);
    let (words, patches) = fused(&models.0, &batch);
    let score =
        |caption: usize, picture: usize| score(&words[caption], PLACES[caption], &patches[picture]);
    let draw = |margin: f64| {
        let lot = |pictures: Vec<usize>| {
            let scores = CAPTIONS.iter().zip(&pictures);
            let scores = scores.map(|(own, wrong)| (score(*own, *own), score(*own, *wrong)));
            let scores: Vec<(f64, f64)> = scores.collect();
            Lot::new(pictures, &scores, margin)
        };
        let lots: Vec<Lot> = other_pictures().into_iter().map(lot).collect();
        drawn(&format!("nearest = 1\nmargin = {margin:?}"), &models, &batch, &lots)
    };
    draw(0.2);
    // Cosines differ by 2 at most: no hinge is shut, and each lot has a loss of its own.
    let pictures = draw(2.0);
    assert_eq!(seen(&pictures, 0), BTreeSet::from([1, 2, 3]));
    assert_eq!(seen(&pictures, 1), BTreeSet::from([0, 2, 3]));
    assert_eq!(seen(&pictures, 2), BTreeSet::from([0, 1, 2]));
}

#[test]
fn a_picture_with_the_same_caption_is_not_wrong() {
    let device = Device::flex();
    let models = common::concept_models(&device);
    let batch = PairBatch { caption_of: vec![0, 1, 1, 3], ..common::concept_batch(&device) };
    let (words, patches) = fused(&models.0, &batch);
    let score =
        |caption: usize, picture: usize| score(&words[caption], PLACES[caption], &patches[picture]);
    let lot = |pictures: Vec<usize>| {
        let scores = CAPTIONS.iter().zip(&pictures);
        let scores: Vec<(f64, f64)> =
            scores.map(|(own, wrong)| (score(*own, *own), score(*own, *wrong))).collect();
        Lot::new(pictures, &scores, 2.0)
    };
    let lots: Vec<Lot> = other_pictures().into_iter().map(lot).collect();
    let pictures = drawn("nearest = 1\nmargin = 2.0", &models, &batch, &lots);
    assert_eq!(seen(&pictures, 0), BTreeSet::from([1, 2, 3]));
    assert_eq!(seen(&pictures, 1), BTreeSet::from([0, 3]), "the third caption is the same");
    assert_eq!(seen(&pictures, 2), BTreeSet::from([0, 1, 2]));
}

/// A lone phrase, so that the lots are few enough to tell apart: three pictures and twice three ranks.
#[test]
fn a_phrase_is_held_against_one_of_its_three_nearest_patches() {
    const CAPTION: usize = 1;
    const PLACE: usize = 3;
    let device = Device::flex();
    let models = common::concept_models(&device);
    let batch = common::concept_batch(&device);
    let tokens = batch.ids.dims()[1];
    let phrases = BatchPhrases {
        rows: weft_nn::index::indices([CAPTION * tokens + PLACE], &device),
        caption_of: vec![CAPTION],
        places: vec![PLACE],
        ..batch.phrases.clone()
    };
    let batch = PairBatch { phrases, ..batch };
    let (words, patches) = fused(&models.0, &batch);
    let right = cosines(&words[CAPTION][PLACE], &patches[CAPTION]);
    let mut lots = Vec::new();
    for picture in [0, 2, 3] {
        let wrong = cosines(&words[CAPTION][PLACE], &patches[picture]);
        for ranks in 0..9 {
            let (r, w) = (ranks / 3, ranks % 3);
            lots.push(Lot::new(vec![picture, r, w], &[(right[r], wrong[w])], 2.0));
        }
    }
    let drawn = drawn("margin = 2.0", &models, &batch, &lots);
    assert_eq!(seen(&drawn, 0), BTreeSet::from([0, 2, 3]));
    assert_eq!(seen(&drawn, 1), BTreeSet::from([0, 1, 2]));
    assert_eq!(seen(&drawn, 2), BTreeSet::from([0, 1, 2]));
}
