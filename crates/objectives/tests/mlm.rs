//! MLM in plain loops, through a whole model: hidden words from masked captions and clean pictures.

mod common;

use burn::tensor::Device;
use common::plain::{best, close, cross_entropy, figure, tokens, value};
use weft_fusion::Levels;
use weft_model::{Backbone, Model};
use weft_nn::index::indices;
use weft_objectives::mlm::Mlm;
use weft_objectives::{Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// Caption, place and what stood there, of each hidden word of the common batch.
const HIDDEN: [(usize, usize, usize); 5] = [(0, 1, 5), (1, 2, 8), (1, 3, 9), (2, 1, 10), (3, 2, 5)];

/// The same of the batch with phrases: the phrases that are hidden with them are none.
const HIDDEN_BESIDE_PHRASES: [(usize, usize, usize); 3] = [(0, 1, 5), (1, 2, 8), (2, 1, 10)];

fn images(network: &Backbone, batch: &PairBatch) -> Levels {
    match &batch.tags {
        Some(tags) => network.encode_images_with_tags(batch.images.clone(), &tags.masked).0,
        None => network.encode_images(batch.images.clone(), None),
    }
}

/// Cross-entropy over the words alone, and accuracy, of what is hidden.
fn recovered(model: &Model, batch: &PairBatch, hidden: &[(usize, usize, usize)]) -> (f64, f64) {
    let network = &model.backbone;
    let texts = network.encode_texts(batch.masked_ids.clone(), &batch.padding);
    let fused = network.fuse(&images(network, batch), &texts, &batch.padding);
    let [captions, places, width] = fused.text.dims();
    let table = network.text.embeddings.word.weight.val().narrow(0, 0, common::VOCABULARY);
    let logits = model.heads.mlm.forward(fused.text.reshape([captions * places, width]), table);
    let logits = tokens(logits.reshape([captions, places, common::VOCABULARY]));
    let rows: Vec<(&Vec<f64>, usize)> =
        hidden.iter().map(|(caption, place, word)| (&logits[*caption][*place], *word)).collect();
    let loss: f64 = rows.iter().map(|(row, word)| cross_entropy(row, *word)).sum();
    let hits = rows.iter().filter(|(row, word)| best(row) == *word).count();
    (loss / rows.len() as f64, hits as f64 / rows.len() as f64)
}

fn holds((model, twin): (Model, Backbone), batch: &PairBatch, hidden: &[(usize, usize, usize)]) {
    let (expected, accuracy) = recovered(&model, batch, hidden);
    let loss = Mlm(toml::from_str("").unwrap()).compute(&mut Views::new(&model, &twin, batch, 0));
    assert!(close(value(&loss), expected), "{} {expected}", value(&loss));
    assert!(close(figure(&loss, "mlm_accuracy"), accuracy));
}

#[test]
fn hidden_words_are_found_from_masked_captions_and_clean_pictures() {
    let device = Device::flex();
    let batch = common::batch(&device);
    for mode in [MaskMode::Token, MaskMode::Drop] {
        holds(common::models(mode, &device), &batch, &HIDDEN);
    }
}

#[test]
fn phrases_are_no_words_to_be_found() {
    let device = Device::flex();
    let (tokens, hidden) = (5, HIDDEN_BESIDE_PHRASES);
    let batch = PairBatch {
        masked_rows: indices(hidden.iter().map(|(caption, at, _)| caption * tokens + at), &device),
        masked_words: indices(hidden.iter().map(|(.., word)| *word), &device),
        ..common::concept_batch(&device)
    };
    holds(common::concept_models(&device), &batch, &hidden);
}
