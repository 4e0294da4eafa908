//! The training loop.

mod begin;
mod data;
mod finish;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use weft_data::codebook::Codebook;
use weft_data::dataset::Dataset;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_objectives::Objectives;

use crate::checkpoint::{self, Best, Checkpoint, Companions};
use crate::collapse::CollapseMonitor;
use crate::cut_texts::cut_texts;
use crate::evaluate::{Evaluation, retrieve};
use crate::inference::Inference;
use crate::interrupt::Interrupt;
use crate::metrics_log::{self, Line, MetricsLog};
use crate::progress;
use crate::recipe::Recipe;
use crate::report::Summary;
use crate::run_dir::{RunDir, write_atomically};
use crate::run_lock::RunLock;
use crate::state::TrainState;
use crate::step::Stepper;
use crate::tasks::{Examples, TaskEvaluation, evaluate_task, has_labels};

use data::{TRAIN, VALIDATION, loader};
pub use data::{credits, test_splits};

/// What the best checkpoint is chosen by: mean recall on `val` before re-ranking.
const CHOSEN_BY: &str = "val_rmean";
/// The same of a task: its main metric.
const TASK_CHOSEN_BY: &str = "val_accuracy";

/// A run that is about to start or to go on.
pub struct Trainer {
    recipe: Recipe,
    run: RunDir,
    dataset: Dataset,
    /// What the records are examples of, where the model is fine-tuned.
    examples: Option<Examples>,
    tokenizer: Arc<Tokenizer>,
    /// The codes of patches that the model predicts, where it does.
    codebook: Option<Codebook>,
    state: TrainState,
    progress: checkpoint::Progress,
    device: Device,
    begun: Instant,
    _lock: RunLock,
}

/// How a run ended.
pub enum Outcome {
    /// All steps are done; the summary with its table.
    Finished { summary: Summary, table: String },
    /// Stopped by the user after this step, and saved.
    Interrupted { step: u64 },
}

impl Trainer {
    /// The run directory.
    pub fn root(&self) -> &Path {
        self.run.root()
    }

    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Trains to the last step, evaluates, and writes summary and report.
    ///
    /// # Errors
    ///
    /// When a loss is not finite, too many records are bad, or something cannot be written.
    pub fn run(mut self, interrupt: &Interrupt) -> Result<Outcome> {
        eprintln!("{}", self.announcement());
        self.cut_texts()?.iter().for_each(|line| eprintln!("note: {line}"));
        let stopped = self.train(interrupt)?;
        if stopped {
            return Ok(Outcome::Interrupted { step: self.progress.step });
        }
        self.finish(interrupt)
    }

    /// Takes the steps that are left. Returns whether the user stopped it.
    fn train(&mut self, interrupt: &Interrupt) -> Result<bool> {
        let train = self.recipe.train.clone();
        let first = self.progress.step;
        if first >= train.steps {
            return Ok(false);
        }
        let stepper = Stepper::new(&self.recipe, &self.device)?;
        let stepper = stepper.with_codebook(self.codebook.as_ref());
        let mut loader = loader(&self.recipe, &self.dataset, &self.tokenizer, first)?
            .with_ledger(self.progress.ledger.clone(), self.dataset.ledger.total());
        let mut log = MetricsLog::open(&self.run.metrics(), &self.run.events(), first)?;
        let mut monitor = CollapseMonitor::new(train.collapse_below);
        // What was said before an interruption is not said again.
        metrics_log::read(&self.run.metrics())?.iter().for_each(|line| _ = monitor.look(line));
        let samples = train.batch_size * train.accumulate;
        let mut display = progress::Progress::new(stepper.names(), first, train.steps, samples);
        let (seconds_before, wait_before) = (self.progress.seconds, self.progress.data_wait);
        self.write_ledger()?;
        if self.recipe.eval.every > 0 && self.validated()?.is_none() {
            eprintln!(
                "{VALIDATION}: nothing that could be scored, so no checkpoint is chosen by it"
            );
        }

        while self.progress.step < train.steps {
            let step = self.progress.step;
            let step_begun = Instant::now();
            let batches = (0..train.accumulate)
                .map(|_| loader.next().context("the loader ended")?.map_err(Into::into))
                .collect::<Result<Vec<_>>>()?;
            let mut line = self.step(&stepper, &batches, step)?;
            line.push("epoch", batches[0].epoch as f64);
            line.push("samples_per_second", samples as f64 / step_begun.elapsed().as_secs_f64());

            self.progress.step += 1;
            let done = self.progress.step;
            let last = done == train.steps;
            let every = |steps: u64| steps > 0 && done.is_multiple_of(steps);
            let validates = self.recipe.eval.every > 0 && (every(self.recipe.eval.every) || last);
            let improved = validates && self.validate(&mut line)?;
            if every(train.log_every) || last || validates {
                log.append(&line)?;
                monitor.look(&line).iter().for_each(|warning| eprintln!("warning: {warning}"));
            }
            let ledger = loader.ledger();
            if ledger.total() > self.progress.ledger.total() {
                self.progress.ledger = ledger;
                self.write_ledger()?;
            }
            display.show(&line, loader.wait());
            self.progress.seconds = seconds_before + self.begun.elapsed().as_secs_f64();
            self.progress.data_wait = wait_before + loader.wait().as_secs_f64();
            let stopping = interrupt.requested();
            if every(train.checkpoint_every) || last || stopping || improved {
                // The log first: a checkpoint must not be ahead of it.
                log.sync()?;
                self.save()?;
            }
            if stopping {
                display.finish();
                return Ok(true);
            }
        }
        display.finish();
        if self.progress.ledger.total() > 0 {
            eprintln!("records that could not be used:\n{}", self.progress.ledger);
        }
        Ok(false)
    }

    fn write_ledger(&self) -> Result<()> {
        if self.progress.ledger.total() == 0 {
            return Ok(());
        }
        let bytes = serde_json::to_vec_pretty(&self.progress.ledger)?;
        write_atomically(&self.run.ledger(), &bytes)
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
            let path = self.run.failed_step(step + 1);
            let saved = serde_json::to_vec_pretty(&keys)
                .map_err(Into::into)
                .and_then(|bytes| write_atomically(&path, &bytes));
            match saved {
                Ok(()) => error.context(format!("the batch's keys are in {}", path.display())),
                Err(second) => error.context(format!("and its keys could not be saved: {second}")),
            }
        })
    }

    /// The records that checkpoints are chosen by; nothing where there are none, or their answers are not known.
    fn validated(&self) -> Result<Option<&[Record]>> {
        let records = self.dataset.split(VALIDATION)?;
        let usable = !records.is_empty() && (self.examples.is_none() || has_labels(records));
        Ok(usable.then_some(records))
    }

    /// Retrieval on the validation split, or the task, into `line`. Returns whether it is the best so far.
    fn validate(&mut self, line: &mut Line) -> Result<bool> {
        let Some(records) = self.validated()? else { return Ok(false) };
        let value = match &self.examples {
            None => {
                let evaluation = self.evaluation(VALIDATION, records, "", 0);
                let dual = retrieve(&self.inference(), &evaluation)?.dual;
                line.push("val_i2t_r1", dual.i2t_r1);
                line.push("val_t2i_r1", dual.t2i_r1);
                line.push(CHOSEN_BY, dual.rmean());
                dual.rmean()
            }
            Some(examples) => {
                let evaluation = self.task_evaluation(VALIDATION, records, "", false);
                let score = evaluate_task(&self.inference(), examples, &evaluation)?.score;
                line.push(TASK_CHOSEN_BY, score);
                score
            }
        };
        let improved = self.progress.best.is_none_or(|best| value > best.value);
        if improved {
            self.progress.best = Some(Best { step: self.progress.step, value });
        }
        Ok(improved)
    }

    fn save(&self) -> Result<()> {
        let folder = self.run.checkpoints();
        let companions = Companions {
            recipe: &self.recipe,
            tokenizer: &self.tokenizer,
            preprocess: &self.recipe.preprocessing(),
            classes: &self.examples.as_ref().map(Examples::classes).unwrap_or_default(),
            codebook: self.codebook.as_ref(),
        };
        Checkpoint::save(&folder, &self.state, &self.progress, &companions)?;
        let keep = self.recipe.train.keep_last;
        if let Err(error) = checkpoint::prune(&folder, keep, self.progress.best) {
            // Too many checkpoints are no reason to lose a run.
            eprintln!("warning: old checkpoints could not be removed: {error:#}");
        }
        Ok(())
    }

    fn evaluation<'a>(
        &self,
        split: &'a str,
        records: &'a [Record],
        checkpoint: &'a str,
        rerank: usize,
    ) -> Evaluation<'a> {
        let bad_budget = self.recipe.data.bad_budget;
        let data_set = self.dataset.total();
        Evaluation { split, records, checkpoint, rerank, bad_budget, data_set }
    }

    fn task_evaluation<'a>(
        &self,
        split: &'a str,
        records: &'a [Record],
        checkpoint: &'a str,
        blind: bool,
    ) -> TaskEvaluation<'a> {
        let bad_budget = self.recipe.data.bad_budget;
        TaskEvaluation { split, records, checkpoint, blind, bad_budget }
    }

    fn inference(&self) -> Inference {
        Inference::new(&self.recipe, self.tokenizer.clone(), &self.state.model, &self.device)
    }

    /// What there is to say of training texts that are cut.
    fn cut_texts(&self) -> Result<Option<String>> {
        let max_tokens = self.recipe.model.text.longest();
        Ok(cut_texts(self.dataset.split(TRAIN)?, &self.tokenizer, max_tokens))
    }

    /// What is about to happen, before the first step: sizes that decide the result.
    fn announcement(&self) -> String {
        use burn::module::Module;
        let train = &self.recipe.train;
        let batch = train.batch_size * train.accumulate;
        let mut text = format!(
            "{}\nrecipe {} seed {} | {} parameters | steps {} to {} | effective batch {batch}",
            self.dataset.summary(),
            self.recipe.name,
            self.recipe.seed,
            self.state.model.num_params(),
            self.progress.step,
            train.steps,
        );
        let Objectives { itc, itm, .. } = &self.recipe.objectives;
        if itc.is_some() {
            text += &format!(" | {} negatives per sample in ITC", train.batch_size - 1);
        }
        if let Some(itm) = itm {
            text += &format!(" | {} {} negatives per pair in ITM", itm.per_pair, itm.negatives);
        }
        if let Some(phrases) = self.tokenizer.phrases() {
            text += &format!(" | {} phrases", phrases.vocabulary.len());
        }
        text
    }
}
