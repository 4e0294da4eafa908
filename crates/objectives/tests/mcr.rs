//! MCR in plain loops, through a whole model: which phrases and tags are hidden, and among what they are found.

mod common;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use common::plain::{Tokens, best, close, cross_entropy, figure, tokens, value};
use weft_model::{Backbone, MlmHead, Model};
use weft_objectives::mcr::Mcr;
use weft_objectives::{Loss, Objective, PairBatch, Views};

/// Words, and behind them phrases.
const ROWS: usize = common::VOCABULARY + common::PHRASES;

/// Caption, place and what stood there, of each hidden phrase of the common batch: the hidden words beside them
/// are none.
const HIDDEN_PHRASES: [(usize, usize, usize); 2] = [(0, 2, 12), (1, 3, 14)];

/// The same of pictures and tags.
const HIDDEN_TAGS: [(usize, usize, usize); 2] = [(0, 1, 15), (2, 0, 13)];

/// Makes `row` the head's answer to everything. What is normalised has a length of sqrt(10), rows of the table
/// differ by 1.2 in each of ten channels at most: no two logits are more than 12 apart.
fn answering(head: Option<&mut MlmHead>, row: usize, device: &Device) {
    let mut bias = vec![0.0f32; ROWS];
    bias[row] = 20.0;
    let bias = Tensor::<1>::from_data(TensorData::new(bias, [ROWS]), &device.clone().autodiff());
    head.unwrap().bias = Param::from_tensor(bias);
}

/// Models that take every phrase and every tag for the same row of the table.
fn models([phrase, tag]: [usize; 2], device: &Device) -> (Model, Backbone) {
    let (mut model, twin) = common::concept_models(device);
    answering(model.heads.phrases.as_mut(), phrase, device);
    answering(model.heads.tags.as_mut(), tag, device);
    (model, twin)
}

/// Logits over the table, of each place of each example.
fn logits(model: &Model, head: &MlmHead, states: Tensor<3>) -> Tokens {
    let [examples, places, width] = states.dims();
    let table = model.backbone.text.embeddings.word.weight.val();
    let logits = head.forward(states.reshape([examples * places, width]), table);
    tokens(logits.reshape([examples, places, ROWS]))
}

/// Cross-entropy and accuracy of what is hidden.
fn recovered(logits: &Tokens, hidden: &[(usize, usize, usize)]) -> (f64, f64) {
    let rows = hidden.iter().map(|(example, place, was)| (&logits[*example][*place], *was));
    let rows: Vec<(&Vec<f64>, usize)> = rows.collect();
    let loss: f64 = rows.iter().map(|(row, was)| cross_entropy(row, *was)).sum();
    let hits = rows.iter().filter(|(row, was)| best(row) == *was).count();
    (loss / rows.len() as f64, hits as f64 / rows.len() as f64)
}

/// By the text encoder alone.
fn phrases(model: &Model, batch: &PairBatch) -> (f64, f64) {
    let texts = model.backbone.encode_texts(batch.masked_ids.clone(), &batch.padding);
    let head = model.heads.phrases.as_ref().unwrap();
    recovered(&logits(model, head, texts.output()), &HIDDEN_PHRASES)
}

/// By the image encoder alone.
fn tags(model: &Model, batch: &PairBatch) -> (f64, f64) {
    let masked = &batch.tags.as_ref().unwrap().masked;
    let (_, states) = model.backbone.encode_images_with_tags(batch.images.clone(), masked);
    let head = model.heads.tags.as_ref().unwrap();
    recovered(&logits(model, head, states), &HIDDEN_TAGS)
}

fn computed(mcr: &str, (model, twin): &(Model, Backbone), batch: &PairBatch) -> Loss {
    Mcr(toml::from_str(mcr).unwrap()).compute(&mut Views::new(model, twin, batch, 0))
}

fn names(loss: &Loss) -> Vec<&str> {
    loss.figures.iter().map(|(name, _)| *name).collect()
}

#[test]
fn hidden_phrases_and_tags_are_found_among_all_rows_of_the_table() {
    let device = Device::flex();
    let batch = common::concept_batch(&device);
    // One of the two phrases and a word; a word and one of the two tags; one of each.
    for (answers, accuracies) in
        [([12, 5], [0.5, 0.0]), ([5, 13], [0.0, 0.5]), ([14, 15], [0.5, 0.5])]
    {
        let models = models(answers, &device);
        let (phrases, tags) = (phrases(&models.0, &batch), tags(&models.0, &batch));
        assert_eq!([phrases.1, tags.1], accuracies);
        let loss = computed("", &models, &batch);
        let right = phrases.0 + tags.0;
        assert!(close(value(&loss), right), "{answers:?}: {} {right}", value(&loss));
        assert_eq!(figure(&loss, "mcr_phrase_accuracy"), phrases.1);
        assert_eq!(figure(&loss, "mcr_tag_accuracy"), tags.1);
    }
}

#[test]
fn one_of_the_two_may_be_recovered_alone() {
    let device = Device::flex();
    let batch = common::concept_batch(&device);
    let models = common::concept_models(&device);
    let loss = computed("recover = \"phrases\"", &models, &batch);
    assert!(close(value(&loss), phrases(&models.0, &batch).0));
    assert_eq!(names(&loss), ["mcr_phrase_accuracy"]);
    let loss = computed("recover = \"tags\"", &models, &batch);
    assert!(close(value(&loss), tags(&models.0, &batch).0));
    assert_eq!(names(&loss), ["mcr_tag_accuracy"]);
}

#[test]
fn what_is_not_there_costs_nothing() {
    let device = Device::flex();
    let batch = common::concept_batch(&device);
    let models = common::concept_models(&device);
    let untagged = PairBatch { tags: None, ..batch.clone() };
    let loss = computed("", &models, &untagged);
    assert!(close(value(&loss), phrases(&models.0, &batch).0));
    assert_eq!(names(&loss), ["mcr_phrase_accuracy"]);
    // Neither phrases nor tags.
    let loss = computed("", &models, &common::batch(&device));
    assert_eq!(value(&loss), 0.0);
    assert!(names(&loss).is_empty());
}
