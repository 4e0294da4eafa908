//! A small recipe, and batches of it.

use std::sync::Arc;

use weft_data::batch::Batch;
use weft_data::dataset::{self, SourceConfig};
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::tokenizer::Tokenizer;
use weft_train::Recipe;

const TINY: [&str; 11] = [
    "train.batch_size=8",
    "tokenizer.vocab_size=200",
    "model.init_std=0.1",
    "model.vision.image_size=36",
    "model.vision.transformer.width=32",
    "model.vision.transformer.depth=1",
    "model.text.transformer.width=32",
    "model.text.transformer.depth=1",
    "model.fusion.transformer.width=32",
    "model.fusion.transformer.depth=1",
    "optimizer.warmup_lr=1e-3",
];

/// The recipe `quick`, tiny, with further settings.
pub fn tiny(settings: &[&str]) -> Recipe {
    let settings: Vec<String> = TINY.iter().chain(settings).map(|s| s.to_string()).collect();
    Recipe::open("quick").unwrap().with(&settings).unwrap()
}

/// The first batches of the recipe's training split.
pub fn batches(recipe: &Recipe, count: usize) -> Vec<Batch> {
    let dataset = dataset::open(&SourceConfig::default()).unwrap();
    let records = dataset.split("train").unwrap().to_vec();
    let captions = records.iter().take(200).flat_map(|record| record.captions.clone());
    let tokenizer = Tokenizer::train(captions, recipe.tokenizer.vocab_size).unwrap();
    let pipeline = Pipeline {
        tokenizer: Arc::new(tokenizer),
        preprocess: recipe.preprocessing(),
        augment: None,
        mask: recipe.mask.clone(),
        patch_size: recipe.model.vision.patch_size,
        max_tokens: recipe.model.text.max_tokens,
        seed: recipe.seed,
        shuffle_pairs: false,
    };
    let config = LoaderConfig {
        batch_size: recipe.train.batch_size,
        workers: 1,
        queue: 2,
        seed: 0,
        bad_budget: 0.0,
    };
    let loader = Loader::new(Arc::new(records), Arc::new(pipeline), config, 0).unwrap();
    loader.take(count).map(|batch| batch.unwrap()).collect()
}
