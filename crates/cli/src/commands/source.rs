//! What several commands ask for: a checkpoint, and pictures to use it on.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use weft_data::dataset::{self, Dataset, SourceConfig};
use weft_data::{emoji, scenes, tasks};
use weft_train::Recipe;
use weft_train::checkpoint::Checkpoint;
use weft_train::inference::Inference;

use crate::backend::Backend;

/// Where a model is and what it computes on.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// A run directory (its latest checkpoint is used) or a checkpoint.
    #[arg(long, default_value = "runs/quick")]
    pub checkpoint: PathBuf,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    pub backend: Backend,
}

impl ModelArgs {
    /// Loads the model.
    pub fn load(&self) -> Result<(Checkpoint, Inference)> {
        let device = self.backend.device()?;
        let found = Checkpoint::locate(&self.checkpoint);
        let (_, checkpoint) = match self.checkpoint.exists() {
            true => found?,
            false => found.context("train a model first, or name another with --checkpoint")?,
        };
        let model = Inference::load(&checkpoint, &device)?;
        Ok((checkpoint, model))
    }
}

/// Reads a number that must not be 0.
pub fn at_least_one() -> impl clap::builder::TypedValueParser<Value = usize> {
    clap::builder::RangedU64ValueParser::<usize>::new().range(1..)
}

/// Which pictures and captions.
#[derive(clap::Args)]
pub struct DataArgs {
    /// emoji, scenes, a folder, a .jsonl, .csv or .tsv file, tar shards, or a Karpathy .json; by default
    /// the data of the recipe or of the model, and without either emoji.
    #[arg(long)]
    pub data: Option<String>,
    /// Root of the picture paths in a JSONL, CSV or Karpathy file.
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// The column of a table, or the key of a JSONL file, with the pictures' paths (data.image_column).
    #[arg(long, value_name = "NAME")]
    pub image_column: Option<String>,
    /// The one with the captions (data.caption_column).
    #[arg(long, value_name = "NAME")]
    pub caption_column: Option<String>,
    /// Of a model that sees a detector's regions: the file with those of these pictures.
    #[arg(long)]
    pub regions: Option<PathBuf>,
    /// The file with the names of what is in these pictures (data.tags). Outside training a model is shown
    /// them only if concepts.tags.at_test is set.
    #[arg(long)]
    pub tags: Option<PathBuf>,
}

impl DataArgs {
    /// `config` with what the arguments say.
    pub fn apply(&self, config: &SourceConfig) -> SourceConfig {
        let mut config = config.clone();
        // Absolute, so that a run finds its data again from wherever it is resumed.
        let absolute = |path: &str| std::path::absolute(path).unwrap_or_else(|_| path.into());
        if let Some(source) = &self.data {
            config.source = match source.as_str() {
                emoji::NAME | scenes::NAME | tasks::EASY_VQA => source.clone(),
                path => absolute(path).to_string_lossy().into_owned(),
            };
            config.images = None;
        }
        if let Some(images) = &self.images {
            config.images = Some(absolute(&images.to_string_lossy()));
        }
        if let Some(column) = &self.image_column {
            config.image_column.clone_from(column);
        }
        if let Some(column) = &self.caption_column {
            config.caption_column.clone_from(column);
        }
        if let Some(regions) = &self.regions {
            config.regions = Some(absolute(&regions.to_string_lossy()));
        }
        if let Some(tags) = &self.tags {
            config.tags = Some(absolute(&tags.to_string_lossy()));
        }
        config
    }

    /// What a model of `recipe` is used on. Where it is shown no tags outside training, no file of them is
    /// asked for; with other data, none of the training's is.
    ///
    /// # Errors
    ///
    /// Where the model is shown a detector's tags, and there is no file of them for these data: names that the
    /// data have themselves are not a detector's.
    pub fn evaluated(&self, recipe: &Recipe) -> Result<SourceConfig> {
        let config = self.apply(&recipe.data);
        let shown = recipe.tags_at_test().is_some();
        let of_training = shown && config.source == recipe.data.source;
        let tags = config.tags.filter(|_| of_training || self.tags.is_some());
        ensure!(
            !shown || recipe.data.tags.is_none() || tags.is_some(),
            "the model is shown a detector's tags (concepts.tags.at_test): name those of {} with --tags",
            config.source
        );
        // Other data have captions.
        let expressions = config.expressions && self.data.is_none();
        Ok(SourceConfig { tags, expressions, ..config })
    }

    /// Opens the data set, not to train on it.
    pub fn open(&self, recipe: &Recipe) -> Result<Dataset> {
        let dataset = dataset::open(&self.evaluated(recipe)?)?;
        recipe.check_tags(&dataset)?;
        Ok(dataset)
    }
}
