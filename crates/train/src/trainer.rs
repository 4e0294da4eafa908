//! A run: what it has, what it says of itself, how it is validated and saved.

mod bad_records;
mod begin;
mod data;
mod finish;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use weft_data::codebook::Codebook;
use weft_data::dataset::Dataset;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_objectives::Objectives;

use crate::checkpoint::{self, Best, Checkpoint, Companions};
use crate::cut_texts::cut_texts;
use crate::evaluate::{Evaluation, retrieve};
use crate::inference::Inference;
use crate::interrupt::Interrupt;
use crate::metrics_log::Line;
use crate::recipe::Recipe;
use crate::report::Summary;
use crate::run_dir::RunDir;
use crate::run_lock::RunLock;
use crate::state::TrainState;
use crate::tasks::{Examples, TaskEvaluation, evaluate_task, has_labels};

use data::{TRAIN, VALIDATION};
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
    /// Of this program.
    commit: String,
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

    /// The same by a program that was made of `commit`, which the run's summary then names.
    pub fn of_commit(self, commit: &str) -> Self {
        Self { commit: commit.into(), ..self }
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
        let data_set = self.dataset.total();
        TaskEvaluation { split, records, checkpoint, blind, bad_budget, data_set }
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
