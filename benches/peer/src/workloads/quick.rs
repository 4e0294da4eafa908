//! The model and the data of the recipe `quick`, as training sets them up.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use weft_data::batch::Batch;
use weft_data::dataset;
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_train::Recipe;
use weft_train::state::TrainState;

use crate::workload::Context;

/// The recipe with what it is run on.
pub struct Quick {
    pub recipe: Recipe,
    pub records: Vec<Record>,
    pub tokenizer: Arc<Tokenizer>,
}

impl Quick {
    pub fn open(context: &Context) -> Result<Self> {
        let mut recipe = Recipe::open("quick")?;
        recipe.train.fused = context.fused;
        let records = dataset::open(&recipe.data)?.split("train")?.to_vec();
        let captions: Vec<String> = records.iter().flat_map(|r| r.captions.clone()).collect();
        let tokenizer = Tokenizer::train(captions.into_iter(), recipe.tokenizer.vocab_size)?;
        Ok(Self { recipe, records, tokenizer: Arc::new(tokenizer) })
    }

    pub fn state(&self, context: &Context) -> Result<TrainState> {
        TrainState::new(&self.recipe, self.tokenizer.vocab_size(), &context.device)
    }

    /// The first `count` batches of a run.
    pub fn batches(&self, count: usize) -> Result<Vec<Batch>> {
        let recipe = &self.recipe;
        let augment = Some(recipe.augment.clone());
        let pipeline = Pipeline { augment, ..recipe.pipeline(self.tokenizer.clone()) };
        let config = LoaderConfig {
            batch_size: recipe.train.batch_size,
            per_picture: 1,
            workers: 1,
            queue: 1,
            seed: recipe.seed,
            bad_budget: recipe.data.bad_budget,
        };
        let mut loader =
            Loader::new(Arc::new(self.records.clone()), Arc::new(pipeline), config, 0)?;
        let mut batch = || Ok(loader.next().context("the loader ended")??);
        (0..count).map(|_| batch()).collect()
    }
}
