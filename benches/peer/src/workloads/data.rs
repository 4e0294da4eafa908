//! The data path: JPEG pictures decoded, cropped, flipped, changed by RandAugment and normalised.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use weft_data::augment::Augment;
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::mask::MaskConfig;
use weft_data::pipeline::{PadTo, Pipeline};
use weft_data::preprocess::Preprocess;
use weft_data::record::{Picture, Record};
use weft_data::tokenizer::Tokenizer;

use crate::protocol::Check;
use crate::workload::{Context, Facts, Workload};

const BATCH: usize = 32;
/// Batches that are prepared ahead, for each worker: DataLoader's default.
const AHEAD: usize = 2;

struct Data {
    records: Arc<Vec<Record>>,
    pipeline: Arc<Pipeline>,
    threads: usize,
    /// `None` between rounds, so that no worker computes then.
    loader: Option<Loader>,
    next_step: u64,
    shape: Vec<f64>,
    mean: f64,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let folder = context
        .pictures
        .as_ref()
        .context("no pictures: make some with python/pictures.py and name them by --pictures")?;
    let records = records(folder)?;
    // The loader wants captions; a short one costs next to nothing.
    let captions = records.iter().flat_map(|record| record.captions.clone());
    let tokenizer = Arc::new(Tokenizer::train(captions, 100)?);
    let pipeline = Pipeline {
        tokenizer,
        preprocess: Preprocess::default(),
        augment: Some(Augment::default()),
        mask: MaskConfig::default(),
        patch_size: 16,
        max_tokens: 8,
        pad_to: PadTo::Max,
        seed: 0,
        shuffle_pairs: false,
        share_pictures: false,
        regions: None,
        tags: None,
    };
    Ok(Box::new(Data {
        records: Arc::new(records),
        pipeline: Arc::new(pipeline),
        threads: context.threads,
        loader: None,
        next_step: 0,
        shape: vec![],
        mean: 0.0,
    }))
}

fn records(folder: &Path) -> Result<Vec<Record>> {
    let named = || folder.display().to_string();
    let mut records = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(named)? {
        let path = entry.with_context(named)?.path();
        if path.extension().is_some_and(|extension| extension == "jpg") {
            let key = path.display().to_string();
            records.push(Record::new(key, vec!["a photograph".into()], Picture::File(path)));
        }
    }
    ensure!(records.len() >= BATCH, "{}: fewer than {BATCH} .jpg files", named());
    records.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(records)
}

impl Data {
    fn batch(&mut self) -> Result<weft_data::batch::Batch> {
        let loader = self.loader.as_mut().context("a step outside a round")?;
        self.next_step += 1;
        Ok(loader.next().context("the loader ended")??)
    }
}

impl Workload for Data {
    fn facts(&self) -> Facts {
        Facts {
            unit: "pictures per core",
            parameters: None,
            check: Check::from([("shape".into(), self.shape.clone())]),
            notes: vec![format!("mean of the first batch {:.3}", self.mean)],
        }
    }

    /// Starts the workers and takes what is prepared ahead: what follows comes as fast as it is made.
    fn prepare(&mut self) -> Result<()> {
        let queue = AHEAD * self.threads;
        let config = LoaderConfig {
            batch_size: BATCH,
            per_picture: 1,
            workers: self.threads,
            queue,
            seed: 0,
            bad_budget: 0.0,
        };
        let (records, pipeline) = (self.records.clone(), self.pipeline.clone());
        self.loader = Some(Loader::new(records, pipeline, config, self.next_step)?);
        for _ in 0..queue {
            self.batch()?;
        }
        Ok(())
    }

    /// Takes a batch of each worker, because they finish at about the same time.
    fn step(&mut self) -> Result<f64> {
        for _ in 0..self.threads {
            let batch = self.batch()?;
            if self.shape.is_empty() {
                let [channels, rows, columns] = batch.picture_shape;
                let shape = [batch.len(), channels, rows, columns];
                self.shape = shape.iter().map(|side| *side as f64).collect();
                let sum: f64 = batch.images.iter().map(|value| f64::from(*value)).sum();
                self.mean = sum / batch.images.len() as f64;
            }
        }
        // All workers together make `threads` batches, so each core makes one.
        Ok(BATCH as f64)
    }

    fn settle(&mut self) {
        self.loader = None;
    }
}
