//! The end of a run: test splits, summary and report.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use weft_eval::{TaskResult, results_table};

use super::data::{credits, test_splits};
use super::{Outcome, Trainer};
use crate::checkpoint;
use crate::collapse::collapses;
use crate::evaluate::retrieve;
use crate::inference::Inference;
use crate::interrupt::Interrupt;
use crate::metrics_log;
use crate::report::{EvaluatedSplit, Summary, report};
use crate::rss::peak_rss_mib;
use crate::run_dir::write_atomically;
use crate::tasks::{evaluate_task, has_labels};

/// What the test splits gave.
#[derive(Default)]
struct Tested<'a> {
    results: Vec<TaskResult>,
    /// Those that were searched, for the report's gallery.
    searched: Vec<EvaluatedSplit<'a>>,
}

impl Trainer {
    /// Evaluates the test splits and writes report and summary.
    pub(super) fn finish(self, interrupt: &Interrupt) -> Result<Outcome> {
        let begun = Instant::now();
        let model = self.inference();
        let Some(tested) = self.test(&model, interrupt)? else {
            // The weights are saved; --resume comes straight back to the evaluation.
            return Ok(Outcome::Interrupted { step: self.progress.step });
        };
        let summary = self.summary(begun, &tested.results);
        self.write_report(&model, &summary, &tested)?;
        // Last: a run with a summary is finished.
        write_atomically(&self.run.summary(), &serde_json::to_vec_pretty(&summary)?)?;
        Ok(Outcome::Finished { summary, table: results_table(&tested.results) })
    }

    /// Evaluates the test splits, each once; nothing comes back when the user stops it.
    fn test(&self, model: &Inference, interrupt: &Interrupt) -> Result<Option<Tested<'_>>> {
        if !self.recipe.eval.test {
            return Ok(Some(Tested::default()));
        }
        let splits = test_splits(&self.dataset);
        if splits.is_empty() {
            eprintln!("no test split, so nothing to evaluate: see data.test_fraction");
        }
        let checkpoint = checkpoint::place(&self.run.checkpoints(), self.progress.step);
        let checkpoint = checkpoint.display().to_string();
        let mut tested = Tested::default();
        for (name, records) in splits {
            if interrupt.requested() {
                return Ok(None);
            }
            let ledger = match &self.examples {
                Some(_) if !has_labels(records) => {
                    eprintln!("{name}: no labels, so nothing to score");
                    continue;
                }
                Some(examples) => {
                    let evaluation = self.task_evaluation(name, records, &checkpoint, true);
                    let evaluated = evaluate_task(model, examples, &evaluation)?;
                    tested.results.push(evaluated.result);
                    evaluated.ledger
                }
                None => {
                    let rerank = self.recipe.eval.rerank;
                    let evaluation = self.evaluation(name, records, &checkpoint, rerank);
                    let retrieved = retrieve(model, &evaluation)?;
                    let ledger = retrieved.ledger.clone();
                    tested.results.push(retrieved.result.clone());
                    tested.searched.push(EvaluatedSplit { records, retrieved });
                    ledger
                }
            };
            if ledger.total() > 0 {
                eprintln!("left out of {name}:\n{ledger}");
            }
        }
        Ok(Some(tested))
    }

    fn summary(&self, tests_begun: Instant, results: &[TaskResult]) -> Summary {
        let train = &self.recipe.train;
        let samples = train.steps as f64 * (train.batch_size * train.accumulate) as f64;
        let trained = self.progress.seconds;
        let mut summary = Summary {
            recipe: self.recipe.name.clone(),
            seed: self.recipe.seed,
            steps: train.steps,
            seconds: trained + tests_begun.elapsed().as_secs_f64(),
            samples_per_second: samples / trained.max(1e-9),
            data_wait_fraction: self.progress.data_wait / trained.max(1e-9),
            peak_rss_mib: peak_rss_mib(),
            commits: self.progress.commits.clone(),
            best: self.progress.best,
            chance: BTreeMap::new(),
            metrics: BTreeMap::new(),
        };
        results.iter().for_each(|result| summary.add(result));
        summary
    }

    fn write_report(&self, model: &Inference, summary: &Summary, tested: &Tested) -> Result<()> {
        let lines = metrics_log::read(&self.run.metrics())?;
        let mut notes = vec![
            "Held-out pictures; none was trained on, and no checkpoint was chosen by them.".into(),
            "Gallery: captions at equal distances through each split, not chosen by result.".into(),
        ];
        notes.extend(self.cut_texts()?);
        notes.extend(collapses(self.recipe.train.collapse_below, &lines));
        let credits = credits(&self.recipe.data);
        let mut report = report(model, summary, &lines, &tested.searched, notes, credits)?;
        report.results.clone_from(&tested.results);
        write_atomically(&self.run.report(), report.html()?.as_bytes())
    }
}
