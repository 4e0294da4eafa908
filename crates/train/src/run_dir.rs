//! Where a run keeps everything.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::atomic::sync_folder;
use crate::checkpoint;
use crate::event_file::PREFIX as EVENTS;
use crate::run_lock::RunLock;

pub use crate::atomic::{can_write, folder_atomically, with_ending, write_atomically};

const FAILED_STEP: &str = "failed-step-";

/// `runs/NAME/{recipe.toml, metrics.jsonl, summary.json, report.html, checkpoints/, ...}`.
#[derive(Debug, Clone)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Begins a run in `root`, which must not hold one unless `overwrite`.
    ///
    /// # Errors
    ///
    /// When it holds one, another process trains there, or it cannot be written.
    pub fn create(root: &Path, overwrite: bool) -> Result<(Self, RunLock)> {
        let run = Self { root: root.to_path_buf() };
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        let lock = run.lock()?;
        if !run.recipe().exists() && !run.has_checkpoints() {
            run.refuse_others()?;
        } else {
            if !overwrite {
                bail!(
                    "{} holds a run already: continue it with --resume {0}, put the new one \
                     elsewhere with --out, or replace it with --overwrite",
                    root.display()
                );
            }
            run.remove()?;
        }
        run.make_folders()?;
        Ok((run, lock))
    }

    /// Empties the run, for one that begins again in its place. `_lock` is this run's: without it another process could
    /// have saved a checkpoint since it was found that there is none.
    ///
    /// # Errors
    ///
    /// When it has a checkpoint, or it cannot be written.
    pub fn start_over(&self, _lock: &RunLock) -> Result<()> {
        ensure!(
            !self.has_checkpoints(),
            "{}: expected no checkpoint of a run that starts over, and there is one by now: go on from it with --resume",
            self.checkpoints().display()
        );
        self.remove()?;
        self.make_folders()
    }

    fn has_checkpoints(&self) -> bool {
        checkpoint::list(&self.checkpoints()).is_ok_and(|all| !all.is_empty())
    }

    /// Removes the run, unless there are others that go back to it.
    fn remove(&self) -> Result<()> {
        let tuned = fs::read_dir(self.tasks()).is_ok_and(|mut tasks| tasks.next().is_some());
        ensure!(
            !tuned,
            "{}: models were fine-tuned from the run that is to be replaced; remove them, or put the new \
             run elsewhere with --out",
            self.tasks().display()
        );
        self.clear().with_context(|| format!("removing the run in {}", self.root.display()))
    }

    fn make_folders(&self) -> Result<()> {
        for folder in [self.checkpoints(), self.events()] {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        // A checkpoint is of no use in a folder that a power cut takes away.
        sync_folder(&self.root);
        Ok(())
    }

    /// Fails where a file that a run writes is there, and no run that it could be of.
    fn refuse_others(&self) -> Result<()> {
        let written = [self.metrics(), self.summary(), self.report(), self.splits(), self.ledger()];
        let there = written.into_iter().chain([self.start()]).find(|path| path.exists());
        if let Some(path) = there {
            bail!(
                "{}: a run would write this file, and here is no run that it could be of: put the run elsewhere \
                 with --out",
                path.display()
            );
        }
        Ok(())
    }

    /// Keeps other processes from training in this run's folder, as long as what comes back lives.
    ///
    /// # Errors
    ///
    /// When another process does.
    pub fn lock(&self) -> Result<RunLock> {
        RunLock::take(&self.root)
    }

    /// Removes what a run writes, and nothing else that may stand in its folder. What says that it is finished goes
    /// first and what says that there is one last, so that a removal that is cut short leaves neither a finished run
    /// nor checkpoints of an unknown one.
    fn clear(&self) -> std::io::Result<()> {
        self.reopen()?;
        self.clear_folder(&self.checkpoints(), checkpoint::is_ours)?;
        self.clear_folder(&self.events(), |name| name.starts_with(EVENTS))?;
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ours = [self.metrics(), self.splits(), self.ledger(), self.start()];
            if ours.contains(&path) || name.starts_with(FAILED_STEP) {
                fs::remove_file(&path)?;
            }
        }
        remove(fs::remove_file(self.recipe()))
    }

    /// Removes from `folder` what is called as a run calls it, and the folder if nothing is left in it.
    fn clear_folder(&self, folder: &Path, is_ours: impl Fn(&str) -> bool) -> std::io::Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        let mut left = false;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !is_ours(&entry.file_name().to_string_lossy()) {
                left = true;
            } else if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        if left { Ok(()) } else { fs::remove_dir(folder) }
    }

    /// Removes what only a finished run has.
    pub(crate) fn reopen(&self) -> std::io::Result<()> {
        [self.summary(), self.report()].iter().try_for_each(|path| remove(fs::remove_file(path)))
    }

    /// The run in `root`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(root: &Path) -> Result<Self> {
        let run = Self { root: root.to_path_buf() };
        if !run.recipe().exists() {
            bail!("{}: no run here: looked for {}", root.display(), run.recipe().display());
        }
        Ok(run)
    }

    /// Puts a copy of the run, without what was fine-tuned from it, into the folder `to`, which must not
    /// exist or be empty.
    ///
    /// # Errors
    ///
    /// When `to` holds something, or a file cannot be copied.
    pub fn copy(&self, to: &Path) -> Result<Self> {
        folder_atomically(to, |folder| {
            let start = Some(self.start()).filter(|start| start.exists());
            let parts = [self.recipe(), self.metrics(), self.summary(), self.splits()];
            for part in parts.into_iter().chain(start) {
                let name = part.file_name().context("a file of the run")?;
                fs::copy(&part, folder.join(name)).with_context(|| part.display().to_string())?;
            }
            copy_folder(&self.checkpoints(), &folder.join("checkpoints"))
        })?;
        Self::open(to)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.toml")
    }

    /// The recipe of the run that this one started from, where it did.
    pub fn start(&self) -> PathBuf {
        self.root.join("start.toml")
    }

    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    pub fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Keys of each split.
    pub fn splits(&self) -> PathBuf {
        self.root.join("splits.json")
    }

    /// Bad records met so far; while steps are taken, it may be half a minute behind.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("bad-records.json")
    }

    /// Written when a step fails, above all when a loss is not finite: the keys of its batch.
    pub fn failed_step(&self, step: u64) -> PathBuf {
        self.root.join(format!("{FAILED_STEP}{step}.json"))
    }

    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Runs that fine-tune this run's model.
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }
}

/// A removal that found nothing to remove is done.
fn remove(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_checkpoint_does_not_start_over() {
        let folder = tempfile::tempdir().unwrap();
        let (run, lock) = RunDir::create(&folder.path().join("run"), false).unwrap();
        fs::write(run.recipe(), "").unwrap();
        fs::write(run.metrics(), "").unwrap();
        let saved = run.checkpoints().join("00000009");
        fs::create_dir(&saved).unwrap();
        let error = run.start_over(&lock).unwrap_err().to_string();
        assert!(error.contains("checkpoints") && error.contains("--resume"), "{error}");
        assert!(saved.exists() && run.metrics().exists() && run.recipe().exists());
        fs::remove_dir(&saved).unwrap();
        run.start_over(&lock).unwrap();
        assert!(!run.metrics().exists() && run.checkpoints().exists());
    }
}
