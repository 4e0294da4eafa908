//! Evaluation of a fine-tuned model on few examples, one of which may be broken.

mod common;

use std::collections::BTreeMap;

use burn::tensor::Device;
use weft_data::error::Ledger;
use weft_data::record::{Picture, Record};
use weft_data::tasks::{Contrast, Entailment, Hypothesis, TaskData};
use weft_train::inference::Inference;
use weft_train::state::TrainState;
use weft_train::tasks::{Evaluated, Examples, TaskEvaluation, contrast, evaluate_task};

/// Sentences about pictures: 16 to learn from, `val` to choose by.
fn examples(records: &[Record], val: Vec<Hypothesis>) -> Examples {
    let train = records[..16].iter().map(hypothesis).collect();
    let splits = BTreeMap::from([("train".to_string(), train), ("val".to_string(), val)]);
    let data = TaskData {
        name: "sentences".into(),
        splits,
        ledger: Ledger::default(),
        notes: BTreeMap::new(),
    };
    Examples::Entailment(data)
}

fn hypothesis(record: &Record) -> Hypothesis {
    Hypothesis {
        key: record.key.clone(),
        picture: record.picture.clone(),
        text: record.captions[0].clone(),
        label: Entailment::Neutral,
    }
}

/// What a model that has not learnt anything gives on `val`, with a budget of a tenth.
fn evaluated(records: &[Record], val: Vec<Hypothesis>) -> anyhow::Result<Evaluated> {
    let examples = examples(records, val);
    let device = Device::flex();
    let mut recipe = common::tiny(&["objectives={entailment={}}"]);
    recipe.model.task = Some(examples.head());
    let tokenizer = common::tokenizer(&recipe, records);
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device)?;
    let model = Inference::new(&recipe, tokenizer, &state.model, &device);
    let dataset = examples.dataset();
    let evaluation = TaskEvaluation {
        split: "val",
        records: dataset.split("val")?,
        checkpoint: "",
        blind: true,
        bad_budget: 0.1,
        data_set: dataset.total(),
    };
    evaluate_task(&model, &examples, &evaluation)
}

#[test]
fn the_budget_of_bad_examples_is_of_the_whole_data_set() {
    let records = common::records(24);
    let mut val: Vec<Hypothesis> = records[16..20].iter().map(hypothesis).collect();
    val[1].picture = Picture::Embedded(b"no picture");
    // One of 20, and a quarter of the split.
    let found = evaluated(&records, val.clone()).unwrap();
    assert_eq!((found.result.n, found.ledger.total()), (3, 1));
    val[2].picture = Picture::Embedded(b"no picture either");
    val[3].picture = Picture::Embedded(b"nor here");
    assert!(evaluated(&records, val).is_err());
}

/// One's own picture is no other one's: what was answered with it would pass for a blind baseline.
#[test]
fn a_single_example_has_no_blind_baseline() {
    let records = common::records(24);
    let has = |count: usize| -> [bool; 3] {
        let val = records[16..16 + count].iter().map(hypothesis).collect();
        let metrics = evaluated(&records, val).unwrap().result.metrics;
        ["accuracy", "accuracy_text_only", "accuracy_picture_only"]
            .map(|name| metrics.contains_key(name))
    };
    assert_eq!(has(1), [true, false, false]);
    assert_eq!(has(2), [true, true, true]);
}

#[test]
fn a_single_minimal_pair_has_no_blind_baseline() {
    let records = common::records(24);
    let (recipe, device) = (common::tiny(&[]), Device::flex());
    let tokenizer = common::tokenizer(&recipe, &records);
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let model = Inference::new(&recipe, tokenizer, &state.model, &device);
    let has = |count: usize| -> [bool; 3] {
        let test = records[..count].iter().map(|record| Contrast {
            key: record.key.clone(),
            kind: "swap".into(),
            captions: [record.captions[0].clone(), "nothing at all".into()],
            picture: record.picture.clone(),
            other: None,
        });
        let data = TaskData {
            name: "pairs".into(),
            splits: BTreeMap::from([("test".to_string(), test.collect())]),
            ledger: Ledger::default(),
            notes: BTreeMap::new(),
        };
        let metrics = contrast::evaluate(&model, &data, "test", "").unwrap().metrics;
        ["caption", "caption_text_only", "dual_caption_text_only"]
            .map(|name| metrics.contains_key(name))
    };
    assert_eq!(has(1), [true, false, false]);
    assert_eq!(has(2), [true, true, true]);
}
