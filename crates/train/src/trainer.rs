//! The training loop.

mod data;
mod finish;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use weft_data::codebook::Codebook;
use weft_data::dataset::Dataset;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_objectives::Objectives;

use crate::checkpoint::{self, Best, Checkpoint, Companions};
use crate::codebook;
use crate::collapse::CollapseMonitor;
use crate::cut_texts::cut_texts;
use crate::evaluate::{Evaluation, retrieve};
use crate::inference::Inference;
use crate::interrupt::Interrupt;
use crate::metrics_log::{self, Line, MetricsLog};
use crate::progress;
use crate::recipe::Recipe;
use crate::report::Summary;
use crate::run_dir::{RunDir, RunLock, write_atomically};
use crate::state::TrainState;
use crate::step::Stepper;
use crate::tasks::{Examples, TaskEvaluation, evaluate_task, has_labels};

use data::{TRAIN, VALIDATION, loader, open_data, same_splits, tokenizer};
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

/// The recipe of the run of the checkpoint in `path`, which a run in `out` starts from; an error where it is the run
/// that lies there, which would be replaced by its own child.
fn start_of(path: &Path, out: &Path) -> Result<String> {
    let (run, checkpoint) = Checkpoint::locate(path)?;
    ensure!(
        out.canonicalize().ok().as_deref() != Some(run.root()),
        "{}: the run that this one starts from lies there; put the new one elsewhere with --out",
        out.display()
    );
    checkpoint.recipe()?.to_toml()
}

impl Trainer {
    /// A new run in `out`.
    ///
    /// # Errors
    ///
    /// When the data cannot be read, the recipe does not fit them, or `out` holds a run and must not
    /// be overwritten.
    pub fn begin(mut recipe: Recipe, out: &Path, overwrite: bool, device: &Device) -> Result<Self> {
        let begun = Instant::now();
        recipe.check_padding()?;
        let (dataset, examples) = open_data(&recipe, None)?;
        // What the head is follows from the data, and belongs to what a run is.
        recipe.model.task = examples.as_ref().map(Examples::head);
        let tokenizer = Arc::new(tokenizer(&recipe, dataset.filled_split(TRAIN)?)?);
        let (pad, padding) = (tokenizer.pad_id() as usize, recipe.model.text.padding_id);
        ensure!(
            padding.is_none_or(|id| id == pad),
            "model.text.padding_id is {padding:?}, the tokenizer's padding token has the id {pad}"
        );
        recipe.model.concepts = recipe.concepts.as_ref().map(|table| table.of_model(&tokenizer));
        let (mut state, start) = TrainState::begin(&recipe, tokenizer.vocab_size(), device)?;
        recipe.stages()?.iter().try_for_each(|stage| stage.check_freeze(&mut state.model))?;
        for line in start {
            eprintln!("{line}");
        }
        // Nothing is written, let alone overwritten, before what can be wrong was tried.
        loader(&recipe, &dataset, &tokenizer, 0)?;
        let pipeline = recipe.pipeline(tokenizer.clone());
        let codebook = codebook::begin(&recipe, dataset.split(TRAIN)?, &pipeline)?;
        let codebook = codebook.map(|(codebook, line)| {
            eprintln!("{line}");
            codebook
        });
        let text = recipe.to_toml()?;
        let started =
            recipe.start.checkpoint.as_deref().map(|path| start_of(path, out)).transpose()?;
        let splits = serde_json::to_vec_pretty(&dataset.split_listing())?;
        let (run, lock) = RunDir::create(out, overwrite)?;
        // The recipe first: what is cut short behind it is a run that can start over.
        write_atomically(&run.recipe(), text.as_bytes())?;
        started.iter().try_for_each(|text| write_atomically(&run.start(), text.as_bytes()))?;
        write_atomically(&run.splits(), &splits)?;
        let progress =
            checkpoint::Progress { ledger: dataset.ledger.clone(), ..Default::default() };
        let device = device.clone();
        Ok(Self {
            recipe,
            run,
            dataset,
            examples,
            tokenizer,
            codebook,
            state,
            progress,
            device,
            begun,
            _lock: lock,
        })
    }

    /// Goes on with the run in `path`: a run directory, or one of its checkpoints. A run that was
    /// stopped before its first checkpoint starts over.
    ///
    /// # Errors
    ///
    /// When there is no run, its checkpoint is damaged, or its data are no longer what they were.
    pub fn resume(path: &Path, device: &Device) -> Result<Self> {
        let begun = Instant::now();
        if let Ok(run) = RunDir::open(path)
            && checkpoint::list(&run.checkpoints()).is_ok_and(|all| all.is_empty())
            && !path.join("manifest.json").exists()
        {
            ensure!(
                !run.summary().exists(),
                "{}: the run is finished and its checkpoints are gone: there is nothing to go on from",
                path.display()
            );
            eprintln!("{}: no checkpoint yet: starting over", path.display());
            return Self::begin(Recipe::read(&run.recipe())?, path, true, device);
        }
        let (run, checkpoint) = Checkpoint::locate(path)?;
        let lock = run.lock()?;
        let recipe = checkpoint.recipe()?;
        let tokenizer = Arc::new(checkpoint.tokenizer()?);
        let mut state = TrainState::new(&recipe, tokenizer.vocab_size(), device)?;
        checkpoint.load_state(&mut state)?;
        let (dataset, examples) = open_data(&recipe, Some(checkpoint.classes()?))?;
        same_splits(&dataset, &run)?;
        let codebook = checkpoint.codebook(&recipe)?;
        let progress = checkpoint.progress()?;
        checkpoint::sweep(&run.checkpoints())?;
        checkpoint::discard_after(&run.checkpoints(), progress.step)?;
        if progress.step < recipe.train.steps {
            run.reopen().with_context(|| run.root().display().to_string())?;
        }
        let device = device.clone();
        Ok(Self {
            recipe,
            run,
            dataset,
            examples,
            tokenizer,
            codebook,
            state,
            progress,
            device,
            begun,
            _lock: lock,
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
