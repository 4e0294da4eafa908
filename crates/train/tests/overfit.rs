//! Sixteen pairs can be learned by heart.

mod common;

use burn::tensor::Device;
use weft_data::record::Record;
use weft_train::Recipe;
use weft_train::evaluate::{Evaluation, retrieve};
use weft_train::inference::Inference;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

const PAIRS: usize = 16;
const STEPS: u64 = 400;

fn recipe() -> Recipe {
    let settings = [
        "train.steps=400",
        "train.batch_size=16",
        "train.momentum=0.9",
        "optimizer.lr=2e-3",
        "optimizer.warmup_steps=20",
        "tokenizer.vocab_size=200",
        "model.init_std=0.08",
        "model.projection_width=32",
        "model.vision.image_size=36",
        "model.vision.transformer.width=48",
        "model.vision.transformer.depth=2",
        "model.text.transformer.width=48",
        "model.text.transformer.depth=1",
        "model.fusion.transformer.width=48",
        "model.fusion.transformer.depth=2",
        "eval.rerank=16",
    ];
    Recipe::open("quick").unwrap().with(&settings.map(String::from)).unwrap()
}

/// Sixteen pictures from all over the data set, with one caption each.
fn records() -> Vec<Record> {
    let mut records = common::records(PAIRS);
    records.iter_mut().for_each(|record| record.captions.truncate(1));
    records
}

#[test]
fn every_loss_falls_and_retrieval_is_perfect() {
    let (recipe, records, device) = (recipe(), records(), Device::flex());
    let tokenizer = common::tokenizer(&recipe, &records);
    let batches = common::batches(&recipe, &tokenizer, &records);
    let stepper = Stepper::new(&recipe, &device).unwrap();
    let mut state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let mut lines = Vec::new();
    for (step, batch) in (0..STEPS).zip(batches) {
        lines.push(stepper.step(&mut state, &[batch], step).unwrap());
    }
    let mean = |name: &str, from: usize| {
        lines[from..from + 10].iter().map(|line| line.get(name).unwrap()).sum::<f64>() / 10.0
    };
    // By how much each must fall: matching and contrast to nearly nothing, words to what the other
    // words and the picture tell, features to less than the spread of their targets.
    for (name, factor) in [("itc", 0.05), ("itm", 0.2), ("mlm", 0.2), ("mrm", 0.5), ("mim", 0.7)] {
        let (first, last) = (mean(name, 0), mean(name, lines.len() - 10));
        println!("{name}: {first:.4} -> {last:.4}");
        assert!(last < factor * first, "{name}: {first} -> {last}");
    }
    // The features did not become easy by becoming all alike.
    let spread = mean("mrm_image_spread", lines.len() - 10);
    assert!(spread > 0.3, "the targets have collapsed: spread {spread}");

    let model = Inference::new(&recipe, tokenizer, &state.model, &device);
    let evaluation = Evaluation {
        split: "train",
        records: &records,
        checkpoint: "",
        rerank: recipe.eval.rerank,
        bad_budget: 0.0,
        data_set: PAIRS,
    };
    let metrics = retrieve(&model, &evaluation).unwrap().result.metrics;
    for name in ["i2t_r1", "t2i_r1", "i2t_r1_reranked", "t2i_r1_reranked"] {
        assert_eq!(metrics[name], 100.0, "{name}");
    }
}
