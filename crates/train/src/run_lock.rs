//! Which process trains in a run's folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use weft_data::lock;

/// How often the folder is asked for before it counts as another's. Who only looks whether it is free, or has waited
/// for that, holds it for a moment.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// A run's folder, held by this process.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Keeps other processes from training in the folder `root`, as long as what comes back lives.
    ///
    /// # Errors
    ///
    /// When another process does, or the folder cannot be written.
    pub fn take(root: &Path) -> Result<Self> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            if let Some(file) = try_hold(root)? {
                return Ok(Self { _file: file });
            }
        }
        bail!("{} is being trained by another process", root.display())
    }

    /// Whether another process trains in `root`, which need not be there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn is_taken(root: &Path) -> Result<bool> {
        Ok(root.is_dir() && try_hold(root)?.is_none())
    }

    /// Waits until no other process trains in `root`. Another one may begin to at once.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn wait(root: &Path) -> Result<()> {
        let path = place(root);
        lock::hold(&path).map(drop).with_context(|| path.display().to_string())
    }
}

fn try_hold(root: &Path) -> Result<Option<File>> {
    let path = place(root);
    lock::try_hold(&path).with_context(|| path.display().to_string())
}

fn place(root: &Path) -> PathBuf {
    root.join(".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_holds_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(!RunLock::is_taken(&root.join("nothing")).unwrap());
        let held = RunLock::take(root).unwrap();
        assert!(RunLock::is_taken(root).unwrap());
        let error = RunLock::take(root).unwrap_err().to_string();
        assert!(error.contains("is being trained by another process"), "{error}");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| RunLock::wait(root));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
        assert!(!RunLock::is_taken(root).unwrap());
    }

    #[test]
    fn one_who_only_looks_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let looked = try_hold(folder.path()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(PAUSE / 2);
                drop(looked);
            });
            RunLock::take(folder.path()).unwrap();
        });
    }
}
