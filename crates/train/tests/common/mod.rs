//! A small recipe, and batches of it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weft_data::batch::Batch;
use weft_data::dataset::{self, SourceConfig};
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::regions;
use weft_data::row_table::RowTable;
use weft_data::tags;
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

/// Records of the training split, `count` at equal distances.
pub fn records(count: usize) -> Vec<Record> {
    let dataset = dataset::open(&SourceConfig::default()).unwrap();
    let all = dataset.split("train").unwrap();
    all.iter().step_by(all.len() / count).take(count).cloned().collect()
}

/// A tokenizer of the records' captions.
pub fn tokenizer(recipe: &Recipe, records: &[Record]) -> Arc<Tokenizer> {
    let captions = records.iter().flat_map(|record| record.captions.clone());
    Arc::new(Tokenizer::train(captions, recipe.tokenizer.vocab_size).unwrap())
}

/// Endless batches of the records: pictures as evaluation sees them, tags as training does.
pub fn batches(
    recipe: &Recipe,
    tokenizer: &Arc<Tokenizer>,
    records: &[Record],
) -> impl Iterator<Item = Batch> {
    let pipeline = Pipeline { tags: recipe.shown_tags(), ..recipe.pipeline(tokenizer.clone()) };
    let pipeline = Arc::new(pipeline);
    let config = LoaderConfig {
        batch_size: recipe.train.batch_size,
        per_picture: 1,
        workers: 1,
        queue: 2,
        seed: recipe.seed,
        bad_budget: 0.0,
    };
    let loader = Loader::new(Arc::new(records.to_vec()), pipeline, config, 0).unwrap();
    loader.map(|batch| batch.unwrap())
}

/// The same records with two tags each, in a table in `folder`.
pub fn with_tags(mut records: Vec<Record>, folder: &Path) -> Vec<Record> {
    let path = folder.join("tags.tsv");
    let rows = records.iter().map(|record| format!("{}\tthing, {}\n", record.key, record.key));
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    tags::attach(&mut RowTable::open(&path).unwrap(), &mut records).unwrap();
    assert!(records.iter().all(|record| tags::of(record).count() == 2));
    records
}

/// The same records with a detector's regions, one, two or three of `features` numbers each, in a table in
/// `folder`.
pub fn with_regions(mut records: Vec<Record>, features: usize, folder: &Path) -> Vec<Record> {
    let path = folder.join("regions.tsv");
    let rows = records.iter().enumerate().map(|(at, record)| {
        let count = 1 + at % 3;
        let numbers = (0..count * features).map(|i| ((at * 7 + i * 3) % 11 + 1) as f32 / 11.0);
        let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        format!("{}\t{count}\t{}\n", record.key, STANDARD.encode(bytes))
    });
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    regions::attach(&mut RowTable::open(&path).unwrap(), &mut records).unwrap();
    records
}
