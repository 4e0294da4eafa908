//! What a run learns from: records, tokenizer, batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use weft_data::dataset::{self, Dataset, SourceConfig};
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::tags;
use weft_data::tokenizer::Tokenizer;
use weft_data::{emoji, scenes};

use crate::checkpoint::Checkpoint;
use crate::recipe::Recipe;
use crate::run_dir::RunDir;
use crate::tasks::Examples;

/// The split that checkpoints are compared on. Test splits are looked at once, at the end.
pub(super) const VALIDATION: &str = "val";
pub(super) const TRAIN: &str = "train";

/// The tokenizer that the recipe names, or one that learns from the captions of `records`; with their
/// phrases, where the recipe wants some.
pub(super) fn tokenizer(recipe: &Recipe, records: &[Record]) -> Result<Tokenizer> {
    if let Some(path) = &recipe.start.checkpoint {
        let (_, checkpoint) = Checkpoint::locate(path)?;
        let tokenizer = checkpoint.tokenizer()?;
        // Its phrases have rows in the model; how many a caption shows is the recipe's to say.
        return Ok(match &recipe.concepts {
            Some(table) => tokenizer.with_room(table.room),
            None => tokenizer,
        });
    }
    let tokenizer = match recipe.tokenizer_path()? {
        Some(path) => Tokenizer::load(&path)?,
        None => {
            let captions = records.iter().flat_map(|record| record.captions.clone());
            Tokenizer::train(captions, recipe.tokenizer.vocab_size)?
        }
    };
    let Some(table) = &recipe.concepts else { return Ok(tokenizer) };
    ensure!(
        table.tags.is_none() || records.iter().any(tags::are_known),
        "concepts.tags: no training record says what is in its picture; data.tags_column is {}, data.tags {}",
        recipe.data.tags_column.as_deref().unwrap_or("not set"),
        recipe.data.tags.as_ref().map_or("not set".into(), |path| path.display().to_string())
    );
    Ok(table.teach(tokenizer, records))
}

/// Batches for training, the first one for step `first_step`.
pub(super) fn loader(
    recipe: &Recipe,
    dataset: &Dataset,
    tokenizer: &Arc<Tokenizer>,
    first_step: u64,
) -> Result<Loader> {
    let pipeline = Pipeline {
        augment: Some(recipe.augment.clone()),
        shuffle_pairs: recipe.train.shuffle_pairs,
        tags: recipe.shown_tags(),
        ..recipe.pipeline(tokenizer.clone())
    };
    let config = LoaderConfig {
        batch_size: recipe.train.batch_size,
        per_picture: recipe.train.per_picture,
        workers: recipe.train.workers,
        queue: recipe.train.queue,
        seed: recipe.seed,
        bad_budget: recipe.data.bad_budget,
    };
    let records = Arc::new(dataset.filled_split(TRAIN)?.to_vec());
    let first = first_step * recipe.train.accumulate as u64;
    Ok(Loader::new(records, Arc::new(pipeline), config, first)?)
}

/// Fails when the data of a run are no longer what they were when it began: other records mean
/// another order, and the run would not go on but become a different one.
pub(super) fn same_splits(dataset: &Dataset, run: &RunDir) -> Result<()> {
    let path = run.splits();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let then: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let now = dataset.split_listing();
    for name in then.keys().chain(now.keys()) {
        let empty = Vec::new();
        let (then, now) = (then.get(name).unwrap_or(&empty), now.get(name).unwrap_or(&empty));
        if let Some(place) = (0..then.len().max(now.len())).find(|i| then.get(*i) != now.get(*i)) {
            let key = |keys: &[String]| keys.get(place).cloned().unwrap_or("nothing".into());
            anyhow::bail!(
                "the data have changed since the run began: record {} of {name} was {:?} and is {:?}",
                place + 1,
                key(then),
                key(now)
            );
        }
    }
    Ok(())
}

/// The splits that are looked at once, at the end.
pub fn test_splits(dataset: &Dataset) -> Vec<(&str, &[Record])> {
    let tests = dataset.splits.iter().filter(|(name, records)| {
        !matches!(name.as_str(), TRAIN | VALIDATION) && !records.is_empty()
    });
    tests.map(|(name, records)| (name.as_str(), records.as_slice())).collect()
}

/// The records of a recipe and, where it has a task, the examples that they are. `classes` are
/// those of a run that goes on.
pub(super) fn open_data(
    recipe: &Recipe,
    classes: Option<Vec<String>>,
) -> Result<(Dataset, Option<Examples>)> {
    match recipe.task() {
        None => {
            let dataset = dataset::open(&recipe.data)?;
            recipe.check_tags(&dataset)?;
            Ok((dataset, None))
        }
        Some(task) => {
            let examples = Examples::open(task, recipe, classes)?;
            Ok((examples.dataset(), Some(examples)))
        }
    }
}

/// Whom a page that shows pictures of these data must name: the emoji's artists. Those of other sprites are not known.
pub fn credits(data: &SourceConfig) -> Vec<String> {
    let own_sprites = data.scenes.sprites.is_some();
    match data.source.as_str() {
        emoji::NAME => vec![emoji::CREDIT.to_string()],
        scenes::NAME if !own_sprites => vec![emoji::CREDIT.to_string()],
        _ => Vec::new(),
    }
}
