//! The base recipes compute what the published encoders do that their headers name.

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use weft_data::tokenizer::Tokenizer;
use weft_model::published::{PublishedError, start_text, start_vision};
use weft_train::Recipe;
use weft_train::trainer::Trainer;

/// `openai/clip-vit-base-patch16`, as published.
const CLIP: &str = r#"{"model_type": "clip", "projection_dim": 512, "vision_config": {
    "model_type": "clip_vision_model", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224, "patch_size": 16,
    "num_channels": 3, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05}}"#;

/// `facebook/deit-base-patch16-224`, and `google/vit-base-patch16-224` alike.
const DEIT: &str = r#"{"model_type": "vit", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224, "patch_size": 16,
    "num_channels": 3, "qkv_bias": true, "hidden_act": "gelu", "layer_norm_eps": 1e-12}"#;

const ROBERTA: &str = r#"{"model_type": "roberta", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
    "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "type_vocab_size": 1,
    "pad_token_id": 1, "vocab_size": 50265}"#;

const BERT: &str = r#"{"model_type": "bert", "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "type_vocab_size": 2,
    "pad_token_id": 0, "vocab_size": 30522}"#;

/// A folder with no more than `config`: whoever gets past it misses the weights.
fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

fn only_weights_are_missing(error: &PublishedError, what: &str) {
    assert!(!matches!(error, PublishedError::Disagrees { .. }), "{what}: {error}");
    assert!(error.to_string().contains("safetensors"), "{what}: {error}");
}

#[test]
fn image_encoders_agree_with_the_published_ones() {
    for (name, config) in [("base-unimo3", CLIP), ("base-mamo", DEIT), ("base-mvp", DEIT)] {
        let (device, folder) = (Device::flex(), folder(config));
        let sizes = Recipe::open(name).unwrap().model.vision;
        let found = start_vision(sizes.init(&device), &sizes, folder.path(), &device);
        only_weights_are_missing(&found.err().unwrap(), name);
    }
}

#[test]
fn text_encoders_agree_with_the_published_ones() {
    for (name, config) in [
        ("base-unimo3", ROBERTA),
        ("base-mamo", BERT),
        ("base-mvp", BERT),
        ("base-mvp-regions", BERT),
    ] {
        let (device, folder) = (Device::flex(), folder(config));
        let recipe = Recipe::open(name).unwrap();
        let (sizes, words) = (&recipe.model.text, recipe.tokenizer.vocab_size);
        let text = (sizes.init(words, &device), sizes);
        let found = start_text(text, None, words, folder.path(), &device);
        only_weights_are_missing(&found.err().unwrap(), name);
    }
}

/// Known before any caption is read: the data are not there at all.
#[test]
fn a_tokenizer_that_will_pad_with_another_token_is_refused_first() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|setting| setting.to_string()).collect();
        let recipe = Recipe::open("base-unimo3").unwrap().with(&settings).unwrap();
        let out = folder.path().join("run");
        format!("{:#}", Trainer::begin(recipe, &out, false, &Device::flex()).err().unwrap())
    };
    let nowhere = "data.source=nowhere.tar";
    let message = begin(&[nowhere]);
    assert!(message.contains("model.text.padding_id is 1"), "{message}");
    let message = begin(&[nowhere, "model.text.padding_id=0"]);
    assert!(message.contains("nowhere.tar"), "{message}");
    assert!(!Path::new(&folder.path().join("run")).exists());
}

#[test]
fn a_tokenizer_that_learns_pads_with_its_first_token() {
    let captions = ["a dog", "a red hat"].map(String::from);
    let tokenizer = Tokenizer::train(captions.into_iter(), 100).unwrap();
    assert_eq!(tokenizer.pad_id(), Tokenizer::LEARNED_PAD_ID);
}
