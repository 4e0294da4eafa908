//! WPG against wrong pairs, in plain loops over what was fused.

mod common;

use burn::tensor::{Device, Tensor};
use weft_objectives::negatives::Hardness;
use weft_objectives::{Objectives, Views};

/// `[rows, tokens, width]` as nested numbers.
fn nested(x: Tensor<3>) -> Vec<Vec<Vec<f64>>> {
    let [_, tokens, width] = x.dims();
    let numbers: Vec<f64> = x.into_data().iter::<f32>().map(f64::from).collect();
    let rows = numbers.chunks(tokens * width);
    rows.map(|row| row.chunks(width).map(<[f64]>::to_vec).collect()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// The mean over `places` of the cosine of the word there to its nearest patch.
fn score(words: &[Vec<f64>], places: &[usize], patches: &[Vec<f64>]) -> f64 {
    let best = |place: &usize| {
        let cosines = patches.iter().map(|patch| cosine(&words[*place], patch));
        cosines.fold(f64::NEG_INFINITY, f64::max)
    };
    places.iter().map(best).sum::<f64>() / places.len() as f64
}

#[test]
fn wrong_pairs_are_held_against_the_captions_own_picture() {
    // Places of the phrases of each caption of the batch.
    let places: [&[usize]; common::BATCH] = [&[2, 3], &[3], &[], &[3]];
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
        let (right_words, right_patches) = (nested(fused.text), nested(fused.image));
        let (pairs, wrong) = views.fused_negatives(Hardness::Sampled, per_pair);
        let (words, patches) = (nested(wrong.text), nested(wrong.image));
        assert_eq!(pairs.len(), per_pair * common::BATCH);

        let mut hinges = Vec::new();
        for (pair, (picture, caption)) in pairs.iter().enumerate() {
            assert_ne!(picture, caption);
            let places = places[*caption];
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
