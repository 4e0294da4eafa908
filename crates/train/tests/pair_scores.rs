//! By what pairs are ordered, for each kind of wrong pairs that the matching head was trained against.

mod common;

use burn::tensor::Device;
use weft_data::error::Ledger;
use weft_train::inference::Inference;
use weft_train::state::TrainState;

/// Of one model, whose initial temperature is the recipe's.
fn scores(negatives: &str) -> [Vec<f32>; 4] {
    let itm = format!("objectives.itm.negatives={negatives}");
    let (recipe, device) = (common::tiny(&[&itm]), Device::flex());
    let records = common::records(16);
    let tokenizer = common::tokenizer(&recipe, &records);
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let inference = Inference::new(&recipe, tokenizer, &state.model, &device);
    let (images, _) = inference.images(&records[..3], &mut Ledger::default()).unwrap().unwrap();
    let texts = inference.texts(&["a dog", "a red hat"].map(String::from)).unwrap();
    let pairs = [(0, 1), (2, 0), (1, 1), (1, 0)];
    let temperature = recipe.model.temperature as f32;
    let belief = inference.similarities(&images, &texts, &pairs);
    [
        inference.pair_scores(&images, &texts, &pairs).unwrap(),
        inference.matches(&images, &texts, &pairs).unwrap(),
        belief.iter().map(|similarity| similarity / temperature).collect(),
        belief,
    ]
}

/// Negatives sampled by similarity leave it out of the head's odds, so it is put back; odds against random ones, and
/// within a shortlist those against the hardest, are the truth's already.
#[test]
fn similarity_is_added_where_negatives_were_drawn_by_it() {
    for negatives in ["random", "hardest"] {
        let [found, odds, ..] = scores(negatives);
        assert_eq!(found, odds, "{negatives}");
    }
    let [found, odds, belief, similarity] = scores("sampled");
    assert!(similarity.iter().all(|s| s.abs() > 1e-3), "it would hide a mistake");
    for ((found, odds), belief) in found.iter().zip(&odds).zip(&belief) {
        assert!((found - odds - belief).abs() < 1e-4 * (1.0 + belief.abs()));
    }
}
