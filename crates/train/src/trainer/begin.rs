//! The beginning of a run, and how one goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use weft_data::codebook::Codebook;
use weft_data::dataset::Dataset;
use weft_data::tokenizer::Tokenizer;

use super::Trainer;
use super::data::{TRAIN, loader, open_data, same_splits, tokenizer};
use crate::checkpoint::{self, Checkpoint, Progress, UNKNOWN_COMMIT};
use crate::codebook;
use crate::recipe::Recipe;
use crate::run_dir::{RunDir, write_atomically};
use crate::run_lock::RunLock;
use crate::state::TrainState;
use crate::tasks::Examples;

/// A run before there is anything of it on disk: what can be wrong with it was tried.
struct NewRun {
    recipe: Recipe,
    /// The recipe of the run that it starts from, where it does.
    started: Option<String>,
    dataset: Dataset,
    examples: Option<Examples>,
    tokenizer: Arc<Tokenizer>,
    codebook: Option<Codebook>,
    state: TrainState,
    device: Device,
    begun: Instant,
}

impl Trainer {
    /// A new run in `out`.
    ///
    /// # Errors
    ///
    /// When the data cannot be read, the recipe does not fit them, or `out` holds a run and must not
    /// be overwritten.
    pub fn begin(recipe: Recipe, out: &Path, overwrite: bool, device: &Device) -> Result<Self> {
        let new = NewRun::prepare(recipe, out, device)?;
        let (run, lock) = RunDir::create(out, overwrite)?;
        new.write(run, lock)
    }

    /// Goes on with the run in `path`: a run directory, or one of its checkpoints. A run that was
    /// stopped before its first checkpoint starts over.
    ///
    /// # Errors
    ///
    /// When there is no run, another process trains it, its checkpoint is damaged, or its data are no longer what they
    /// were.
    pub fn resume(path: &Path, device: &Device) -> Result<Self> {
        let begun = Instant::now();
        let (run, named) = Checkpoint::run_of(path)?;
        // Before anything is looked at: whoever trains there may save checkpoints, and end, at any moment.
        let lock = run.lock()?;
        if named.is_none() && checkpoint::list(&run.checkpoints()).is_ok_and(|all| all.is_empty()) {
            return Self::start_over(path, run, lock, device);
        }
        let (run, checkpoint) = Checkpoint::locate(path)?;
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
            commit: UNKNOWN_COMMIT.into(),
            device,
            begun,
            _lock: lock,
        })
    }

    /// Begins the run in `path`, which has no checkpoint, once more.
    fn start_over(path: &Path, run: RunDir, lock: RunLock, device: &Device) -> Result<Self> {
        ensure!(
            !run.summary().exists(),
            "{}: the run is finished and its checkpoints are gone: there is nothing to go on from",
            path.display()
        );
        eprintln!("{}: no checkpoint yet: starting over", path.display());
        let new = NewRun::prepare(Recipe::read(&run.recipe())?, run.root(), device)?;
        run.start_over(&lock)?;
        new.write(run, lock)
    }
}

impl NewRun {
    /// Reads all that a run in `out` needs, and writes nothing.
    fn prepare(mut recipe: Recipe, out: &Path, device: &Device) -> Result<Self> {
        let begun = Instant::now();
        recipe.check_padding()?;
        recipe.check_similarity()?;
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
        let started =
            recipe.start.checkpoint.as_deref().map(|path| start_of(path, out)).transpose()?;
        let device = device.clone();
        Ok(Self { recipe, started, dataset, examples, tokenizer, codebook, state, device, begun })
    }

    /// Puts the run into the empty folder of `run`, which `lock` holds.
    fn write(self, run: RunDir, lock: RunLock) -> Result<Trainer> {
        let text = self.recipe.to_toml()?;
        let splits = serde_json::to_vec_pretty(&self.dataset.split_listing())?;
        // The recipe first: what is cut short behind it is a run that can start over.
        write_atomically(&run.recipe(), text.as_bytes())?;
        self.started.iter().try_for_each(|text| write_atomically(&run.start(), text.as_bytes()))?;
        write_atomically(&run.splits(), &splits)?;
        let progress = Progress { ledger: self.dataset.ledger.clone(), ..Default::default() };
        Ok(Trainer {
            recipe: self.recipe,
            run,
            dataset: self.dataset,
            examples: self.examples,
            tokenizer: self.tokenizer,
            codebook: self.codebook,
            state: self.state,
            progress,
            commit: UNKNOWN_COMMIT.into(),
            device: self.device,
            begun: self.begun,
            _lock: lock,
        })
    }
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
