//! The steps of a run.

use std::time::Instant;

use anyhow::{Context, Result};
use weft_data::batch::Batch;
use weft_data::loader::Loader;

use super::Trainer;
use super::bad_records::BadRecords;
use super::data::{VALIDATION, loader};
use crate::collapse::CollapseMonitor;
use crate::interrupt::Interrupt;
use crate::metrics_log::{self, Line, MetricsLog};
use crate::progress::Progress;
use crate::run_dir::write_atomically;
use crate::step::Stepper;

/// What there is only while steps are taken.
struct Steps {
    stepper: Stepper,
    loader: Loader,
    log: MetricsLog,
    monitor: CollapseMonitor,
    display: Progress,
    bad_records: BadRecords,
    /// What earlier processes took for the steps before, and waited for data, in seconds.
    seconds_before: f64,
    wait_before: f64,
}

impl Trainer {
    /// Takes the steps that are left. Returns whether the user stopped it.
    pub(super) fn train(&mut self, interrupt: &Interrupt) -> Result<bool> {
        if self.progress.step >= self.recipe.train.steps {
            return Ok(false);
        }
        let mut steps = self.open_steps()?;
        if self.recipe.eval.every > 0 && self.validated()?.is_none() {
            eprintln!(
                "{VALIDATION}: nothing that could be scored, so no checkpoint is chosen by it"
            );
        }
        self.progress.taken_by(&self.commit);
        let ended = self.take_steps(&mut steps, interrupt);
        // However it ended: whoever looks into a budget that is spent needs the records above all.
        let written = steps.bad_records.write(steps.loader.ledger());
        let stopped = ended?;
        written?;
        steps.display.finish();
        if !stopped && self.progress.ledger.total() > 0 {
            eprintln!("records that could not be used:\n{}", self.progress.ledger);
        }
        Ok(stopped)
    }

    fn open_steps(&self) -> Result<Steps> {
        let (train, first) = (&self.recipe.train, self.progress.step);
        let stepper = Stepper::new(&self.recipe, &self.device)?;
        let stepper = stepper.with_codebook(self.codebook.as_ref());
        let loader = loader(&self.recipe, &self.dataset, &self.tokenizer, first)?
            .with_ledger(self.progress.ledger.clone(), self.dataset.ledger.total());
        let log = MetricsLog::open(&self.run.metrics(), &self.run.events(), first)?;
        let mut monitor = CollapseMonitor::new(train.collapse_below);
        // What was said before an interruption is not said again.
        metrics_log::read(&self.run.metrics())?.iter().for_each(|line| _ = monitor.look(line));
        let display = Progress::new(stepper.names(), first, train.steps, self.samples());
        let mut bad_records = BadRecords::new(self.run.ledger());
        bad_records.write(&self.progress.ledger)?;
        let (seconds_before, wait_before) = (self.progress.seconds, self.progress.data_wait);
        Ok(Steps {
            stepper,
            loader,
            log,
            monitor,
            display,
            bad_records,
            seconds_before,
            wait_before,
        })
    }

    /// Takes step after step, and saves now and then. Returns whether the user stopped it.
    fn take_steps(&mut self, steps: &mut Steps, interrupt: &Interrupt) -> Result<bool> {
        while self.progress.step < self.recipe.train.steps {
            let line = self.next_step(steps)?;
            let improved = self.look_at(line, steps)?;
            steps.bad_records.write_now_and_then(steps.loader.ledger())?;
            let stopping = interrupt.requested();
            if self.is_due(self.recipe.train.checkpoint_every) || stopping || improved {
                self.save_with(steps)?;
            }
            if stopping {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one step.
    fn next_step(&mut self, steps: &mut Steps) -> Result<Line> {
        let begun = Instant::now();
        let batches = (0..self.recipe.train.accumulate)
            .map(|_| steps.loader.next().context("the loader ended")?.map_err(Into::into))
            .collect::<Result<Vec<_>>>()?;
        let mut line = self.step(&steps.stepper, &batches)?;
        line.push("epoch", batches[0].epoch as f64);
        let speed = self.samples() as f64 / begun.elapsed().as_secs_f64();
        line.push("samples_per_second", speed);
        self.progress.step += 1;
        Ok(line)
    }

    /// The step itself; if it fails, the keys of its batch are kept for whoever looks into it.
    fn step(&mut self, stepper: &Stepper, batches: &[Batch]) -> Result<Line> {
        let step = self.progress.step;
        let line = stepper.step(&mut self.state, batches, step);
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

    /// Validates, where that is due, logs and shows the step of `line`. Returns whether the model is the best so far.
    fn look_at(&mut self, mut line: Line, steps: &mut Steps) -> Result<bool> {
        let every = self.recipe.eval.every;
        let validates = every > 0 && self.is_due(every);
        let improved = validates && self.validate(&mut line)?;
        if self.is_due(self.recipe.train.log_every) || validates {
            steps.log.append(&line)?;
            steps.monitor.look(&line).iter().for_each(|warning| eprintln!("warning: {warning}"));
        }
        let waited = steps.loader.wait();
        steps.display.show(&line, waited);
        self.progress.seconds = steps.seconds_before + self.begun.elapsed().as_secs_f64();
        self.progress.data_wait = steps.wait_before + waited.as_secs_f64();
        Ok(improved)
    }

    /// Saves a checkpoint with all that was met so far.
    fn save_with(&mut self, steps: &mut Steps) -> Result<()> {
        let ledger = steps.loader.ledger();
        if ledger.total() > self.progress.ledger.total() {
            self.progress.ledger = ledger.clone();
        }
        // The logs first: a checkpoint must not be ahead of them.
        steps.bad_records.write(ledger)?;
        steps.log.sync()?;
        self.save()
    }

    /// Whether something that is done each `every` steps, if that is not 0, and after the last one, is to be done now.
    fn is_due(&self, every: u64) -> bool {
        let done = self.progress.step;
        done == self.recipe.train.steps || (every > 0 && done.is_multiple_of(every))
    }

    /// Samples of a step.
    fn samples(&self) -> usize {
        self.recipe.train.batch_size * self.recipe.train.accumulate
    }
}
