//! The training loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::Device;
use weft_data::dataset::{self, Dataset};
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_eval::results_table;

use crate::checkpoint::{self, Best, Checkpoint, Companions};
use crate::evaluate::{Evaluation, retrieve};
use crate::inference::Inference;
use crate::interrupt::Interrupt;
use crate::metrics_log::{self, Line, MetricsLog};
use crate::progress;
use crate::recipe::Recipe;
use crate::report::{EvaluatedSplit, Summary, report};
use crate::rss::peak_rss_mib;
use crate::run_dir::{RunDir, write_atomically};
use crate::state::TrainState;
use crate::step::Stepper;

/// The split that checkpoints are compared on. Test splits are looked at once, at the end.
const VALIDATION: &str = "val";
const TRAIN: &str = "train";
/// What the best checkpoint is chosen by: mean recall on `val` before re-ranking.
const CHOSEN_BY: &str = "val_rmean";

/// A run that is about to start or to go on.
pub struct Trainer {
    recipe: Recipe,
    run: RunDir,
    dataset: Dataset,
    tokenizer: Arc<Tokenizer>,
    state: TrainState,
    progress: checkpoint::Progress,
    device: Device,
}

/// How a run ended.
pub enum Outcome {
    /// All steps are done; the summary with its table.
    Finished { summary: Summary, table: String },
    /// Stopped by the user after this step, and saved.
    Interrupted { step: u64 },
}

impl Trainer {
    /// A new run in `out`.
    pub fn begin(recipe: Recipe, out: &Path, overwrite: bool, device: &Device) -> Result<Self> {
        let dataset = open_data(&recipe)?;
        let tokenizer = match &recipe.tokenizer.path {
            Some(path) => Tokenizer::load(path)?,
            None => {
                let captions: Vec<String> =
                    dataset.split(TRAIN)?.iter().flat_map(|r| r.captions.clone()).collect();
                Tokenizer::train(captions.into_iter(), recipe.tokenizer.vocab_size)?
            }
        };
        let state = TrainState::new(&recipe, tokenizer.vocab_size(), device)?;
        // Nothing is written before everything that can be wrong with the recipe was tried.
        let run = RunDir::create(out, overwrite)?;
        write_atomically(&run.recipe(), recipe.to_toml()?.as_bytes())?;
        let splits = serde_json::to_vec_pretty(&dataset.split_listing())?;
        write_atomically(&run.splits(), &splits)?;
        Ok(Self {
            recipe,
            run,
            dataset,
            tokenizer: Arc::new(tokenizer),
            state,
            progress: checkpoint::Progress::default(),
            device: device.clone(),
        })
    }

    /// Goes on with the run in `path`: a run directory, or one of its checkpoints.
    pub fn resume(path: &Path, device: &Device) -> Result<Self> {
        let (run, checkpoint) = if path.join("manifest.json").exists() {
            let root = path.parent().and_then(Path::parent).context("a checkpoint of no run")?;
            (RunDir::open(root)?, Checkpoint::open(path)?)
        } else {
            let run = RunDir::open(path)?;
            let checkpoint = Checkpoint::latest(&run.checkpoints())?;
            (run, checkpoint)
        };
        let recipe = checkpoint.recipe()?;
        let tokenizer = checkpoint.tokenizer()?;
        let mut state = TrainState::new(&recipe, tokenizer.vocab_size(), device)?;
        checkpoint.load_state(&mut state)?;
        Ok(Self {
            dataset: open_data(&recipe)?,
            run,
            tokenizer: Arc::new(tokenizer),
            state,
            progress: checkpoint.progress()?,
            device: device.clone(),
            recipe,
        })
    }

    /// The run directory.
    pub fn root(&self) -> &Path {
        self.run.root()
    }

    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Trains to the last step, evaluates, and writes summary and report.
    pub fn run(mut self, interrupt: &Interrupt) -> Result<Outcome> {
        eprintln!("{}", self.announcement());
        let stopped = self.train(interrupt)?;
        if stopped {
            return Ok(Outcome::Interrupted { step: self.progress.step });
        }
        self.finish()
    }

    /// Takes the steps that are left. Returns whether the user stopped it.
    fn train(&mut self, interrupt: &Interrupt) -> Result<bool> {
        let train = self.recipe.train.clone();
        let first = self.progress.step;
        if first >= train.steps {
            return Ok(false);
        }
        let stepper = Stepper::new(&self.recipe, &self.device);
        let mut loader = self.loader(first)?;
        let mut log = MetricsLog::open(&self.run.metrics(), &self.run.events(), first)?;
        let names = self.recipe.objectives.build().iter().map(|o| o.name()).collect();
        let samples = train.batch_size * train.accumulate;
        let mut display = progress::Progress::new(names, first, train.steps, samples);
        let (seconds_before, wait_before) = (self.progress.seconds, self.progress.data_wait);
        let begun = Instant::now();
        let mut ledger_total = 0;

        while self.progress.step < train.steps {
            let step = self.progress.step;
            let batches = (0..train.accumulate)
                .map(|_| loader.next().context("the loader ended")?.map_err(Into::into))
                .collect::<Result<Vec<_>>>()?;
            let step_begun = Instant::now();
            let mut line = self.step(&stepper, &batches, step)?;
            line.push("epoch", batches[0].epoch as f64);
            line.push("samples_per_second", samples as f64 / step_begun.elapsed().as_secs_f64());

            self.progress.step += 1;
            self.progress.seconds = seconds_before + begun.elapsed().as_secs_f64();
            self.progress.data_wait = wait_before + loader.wait().as_secs_f64();
            let (done, stopping) = (self.progress.step, interrupt.requested());
            let last = done == train.steps;
            let validates =
                self.recipe.eval.every > 0 && (done.is_multiple_of(self.recipe.eval.every) || last);
            if validates {
                self.validate(&mut line)?;
            }
            if done.is_multiple_of(train.log_every) || last || validates {
                log.append(&line)?;
            }
            let ledger = loader.ledger();
            if ledger.total() > ledger_total {
                ledger_total = ledger.total();
                let bytes = serde_json::to_vec_pretty(&ledger)?;
                write_atomically(&self.run.ledger(), &bytes)?;
            }
            display.show(&line, loader.wait());
            if done.is_multiple_of(train.checkpoint_every) || last || stopping {
                self.save()?;
            }
            if stopping && !last {
                display.finish();
                return Ok(true);
            }
        }
        display.finish();
        if ledger_total > 0 {
            eprintln!("records that could not be used:\n{}", loader.ledger());
        }
        Ok(false)
    }

    /// Takes one step; if it fails, the keys of its batch are kept for whoever looks into it.
    fn step(
        &mut self,
        stepper: &Stepper,
        batches: &[weft_data::batch::Batch],
        step: u64,
    ) -> Result<Line> {
        let state = &mut self.state;
        let line = stepper.step(state, batches, step);
        line.map_err(|error| {
            let keys: Vec<&String> = batches.iter().flat_map(|batch| &batch.keys).collect();
            let path = self.run.non_finite(step + 1);
            let saved = serde_json::to_vec_pretty(&keys)
                .map_err(Into::into)
                .and_then(|bytes| write_atomically(&path, &bytes));
            match saved {
                Ok(()) => error.context(format!("the batch's keys are in {}", path.display())),
                Err(second) => error.context(format!("and its keys could not be saved: {second}")),
            }
        })
    }

    /// Retrieval on the validation split, into `line`; remembers the best step.
    fn validate(&mut self, line: &mut Line) -> Result<()> {
        let records = self.dataset.split(VALIDATION)?;
        if records.is_empty() {
            return Ok(());
        }
        let model = self.inference();
        let evaluation = self.evaluation(VALIDATION, records, "", 0);
        let result = retrieve(&model, &evaluation)?.result;
        let names = weft_eval::Retrieval::NAMES;
        let mean = names.iter().map(|name| result.metrics[*name]).sum::<f64>() / names.len() as f64;
        for name in ["i2t_r1", "t2i_r1"] {
            line.push(&format!("{VALIDATION}_{name}"), result.metrics[name]);
        }
        line.push(CHOSEN_BY, mean);
        if self.progress.best.is_none_or(|best| mean > best.value) {
            self.progress.best = Some(Best { step: self.progress.step, value: mean });
            // The best step is only worth remembering with its weights.
            self.save()?;
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let folder = self.run.checkpoints();
        let companions = Companions {
            recipe: &self.recipe,
            tokenizer: &self.tokenizer,
            preprocess: &self.recipe.preprocessing(),
        };
        Checkpoint::save(&folder, &self.state, &self.progress, &companions)?;
        checkpoint::prune(&folder, self.recipe.train.keep_last, self.progress.best)
    }

    /// Evaluates the test splits and writes summary and report.
    fn finish(self) -> Result<Outcome> {
        let begun = Instant::now();
        let model = self.inference();
        let checkpoint = self.run.checkpoints().join(format!("{:08}", self.progress.step));
        let checkpoint = checkpoint.display().to_string();
        let mut splits = Vec::new();
        for (name, records) in test_splits(&self.dataset) {
            let evaluation = self.evaluation(name, records, &checkpoint, self.recipe.eval.rerank);
            splits.push(EvaluatedSplit { records, retrieved: retrieve(&model, &evaluation)? });
        }
        let train = &self.recipe.train;
        let samples = train.steps as f64 * (train.batch_size * train.accumulate) as f64;
        let mut summary = Summary {
            recipe: self.recipe.name.clone(),
            seed: self.recipe.seed,
            steps: train.steps,
            seconds: self.progress.seconds + begun.elapsed().as_secs_f64(),
            samples_per_second: samples / self.progress.seconds.max(1e-9),
            data_wait_fraction: self.progress.data_wait / self.progress.seconds.max(1e-9),
            peak_rss_mib: peak_rss_mib(),
            chance: BTreeMap::new(),
            metrics: BTreeMap::new(),
        };
        splits.iter().for_each(|split| summary.add(&split.retrieved.result));
        write_atomically(&self.run.summary(), &serde_json::to_vec_pretty(&summary)?)?;

        let lines = metrics_log::read(&self.run.metrics())?;
        let notes = vec![
            "Held-out pictures; none was trained on, and no checkpoint was chosen by them.".into(),
            "Gallery: captions at equal distances through each split, not chosen by result.".into(),
        ];
        let report = report(&model, &summary, &lines, &splits, notes, credits(&self.dataset))?;
        write_atomically(&self.run.report(), report.html()?.as_bytes())?;
        let results: Vec<_> = splits.into_iter().map(|split| split.retrieved.result).collect();
        Ok(Outcome::Finished { summary, table: results_table(&results) })
    }

    fn evaluation<'a>(
        &self,
        split: &'a str,
        records: &'a [Record],
        checkpoint: &'a str,
        rerank: usize,
    ) -> Evaluation<'a> {
        let bad_budget = self.recipe.data.bad_budget;
        Evaluation { split, records, checkpoint, rerank, bad_budget }
    }

    fn inference(&self) -> Inference {
        Inference::new(&self.recipe, self.tokenizer.clone(), &self.state.model, &self.device)
    }

    fn loader(&self, first_step: u64) -> Result<Loader> {
        let recipe = &self.recipe;
        let pipeline = Pipeline {
            tokenizer: self.tokenizer.clone(),
            preprocess: recipe.preprocessing(),
            augment: Some(recipe.augment.clone()),
            mask: recipe.mask.clone(),
            patch_size: recipe.model.vision.patch_size,
            max_tokens: recipe.model.text.max_tokens,
            seed: recipe.seed,
            shuffle_pairs: recipe.train.shuffle_pairs,
        };
        let config = LoaderConfig {
            batch_size: recipe.train.batch_size,
            workers: recipe.train.workers,
            queue: recipe.train.queue,
            seed: recipe.seed,
            bad_budget: recipe.data.bad_budget,
        };
        let records = Arc::new(self.dataset.split(TRAIN)?.to_vec());
        let first = first_step * recipe.train.accumulate as u64;
        Ok(Loader::new(records, Arc::new(pipeline), config, first)?)
    }

    /// What is about to happen, before the first step: sizes that decide the result.
    fn announcement(&self) -> String {
        use burn::module::Module;
        let train = &self.recipe.train;
        let batch = train.batch_size * train.accumulate;
        format!(
            "{}\nrecipe {} seed {} | {} parameters | steps {} to {} | effective batch {batch} | \
             {} in-batch negatives per sample (ITC), 2 hard negatives per pair (ITM)",
            self.dataset.summary(),
            self.recipe.name,
            self.recipe.seed,
            self.state.model.num_params(),
            self.progress.step,
            train.steps,
            train.batch_size - 1,
        )
    }
}

/// The splits that are looked at once, at the end.
pub fn test_splits(dataset: &Dataset) -> Vec<(&str, &[Record])> {
    let tests = dataset.splits.iter().filter(|(name, records)| {
        !matches!(name.as_str(), TRAIN | VALIDATION) && !records.is_empty()
    });
    tests.map(|(name, records)| (name.as_str(), records.as_slice())).collect()
}

fn open_data(recipe: &Recipe) -> Result<Dataset> {
    Ok(dataset::open(&recipe.data)?)
}

/// Time in a form for people.
pub fn minutes(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// Whom the pictures of the report are owed to.
fn credits(dataset: &Dataset) -> Vec<String> {
    match dataset.name.as_str() {
        weft_data::emoji::NAME => vec![weft_data::emoji::CREDIT.to_string()],
        _ => Vec::new(),
    }
}
