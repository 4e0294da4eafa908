//! Where a run keeps everything.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// `runs/NAME/{recipe.toml, metrics.jsonl, summary.json, report.html, checkpoints/, ...}`.
#[derive(Debug, Clone)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Begins a run in `root`, which must not hold one unless `overwrite`.
    pub fn create(root: &Path, overwrite: bool) -> Result<Self> {
        let run = Self { root: root.to_path_buf() };
        if run.recipe().exists() {
            if !overwrite {
                bail!(
                    "{} holds a run already: continue it with --resume {0}, put the new one \
                     elsewhere with --out, or replace it with --overwrite",
                    root.display()
                );
            }
            fs::remove_dir_all(root).with_context(|| format!("removing {}", root.display()))?;
        }
        for folder in [run.checkpoints(), run.events()] {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(run)
    }

    /// The run in `root`.
    pub fn open(root: &Path) -> Result<Self> {
        let run = Self { root: root.to_path_buf() };
        if !run.recipe().exists() {
            bail!("{}: no run here: looked for {}", root.display(), run.recipe().display());
        }
        Ok(run)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.toml")
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

    /// Bad records met so far.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("bad-records.json")
    }

    /// Written when a loss is not finite: the keys of the batch.
    pub fn non_finite(&self, step: u64) -> PathBuf {
        self.root.join(format!("non-finite-step-{step}.json"))
    }

    pub fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }
}

/// Writes a file aside and renames it, so that a reader finds the old one or the new one whole.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&aside)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().with_context(|| path.display().to_string())
}
