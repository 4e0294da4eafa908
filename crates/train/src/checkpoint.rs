//! Checkpoints: directories with a manifest of content hashes, written aside and renamed.

mod progress;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weft_data::codebook::Codebook;
use weft_data::preprocess::Preprocess;
use weft_data::tokenizer::{Phrases, Tokenizer};
use weft_model::weights;

use crate::atomic::sync_folder;
use crate::recipe::Recipe;
use crate::run_dir::RunDir;
use crate::state::TrainState;

pub use progress::{Best, Progress, UNKNOWN_COMMIT};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
pub const WEIGHTS: &str = "model.safetensors";
const MOMENTUM: &str = "momentum.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const PROGRESS: &str = "progress.json";
pub const TOKENIZER: &str = "tokenizer.json";
const PREPROCESS: &str = "preprocess.json";
const RECIPE: &str = "recipe.toml";
const PHRASES: &str = "phrases.json";
const CLASSES: &str = "classes.json";
const CODEBOOK: &str = "codebook.safetensors";

/// What a checkpoint holds, by file name: size and SHA-256 of the content.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    step: u64,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// What a run writes besides its state: the same in every checkpoint.
pub struct Companions<'a> {
    pub recipe: &'a Recipe,
    pub tokenizer: &'a Tokenizer,
    pub preprocess: &'a Preprocess,
    /// Names of the task's classes; empty without them.
    pub classes: &'a [String],
    /// The codes of patches that the model predicts, where it does.
    pub codebook: Option<&'a Codebook>,
}

/// A checkpoint whose every file has the hash that its manifest says.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// Writes a checkpoint below `folder`. It bears its name only when it is complete and on disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was there before is as it was.
    pub fn save(
        folder: &Path,
        state: &TrainState,
        progress: &Progress,
        companions: &Companions,
    ) -> Result<Self> {
        let path = folder.join(name(progress.step));
        let aside = folder.join(format!(".{}.tmp", name(progress.step)));
        if aside.exists() {
            fs::remove_dir_all(&aside).with_context(|| aside.display().to_string())?;
        }
        let written = write(&aside, state, progress, companions).and_then(|()| {
            // The same step may have been saved by a run that was then resumed from before it.
            if path.exists() {
                remove(&path)?;
            }
            fs::rename(&aside, &path)?;
            sync_folder(folder);
            Ok(())
        });
        if let Err(error) = written {
            let _ = fs::remove_dir_all(&aside);
            return Err(error.context(format!("saving checkpoint {}", path.display())));
        }
        Ok(Self { path })
    }

    /// The run and the checkpoint that `path` means: a checkpoint, or a run directory with its latest
    /// one.
    ///
    /// # Errors
    ///
    /// When there is none, or it is damaged.
    pub fn locate(path: &Path) -> Result<(RunDir, Self)> {
        let (run, named) = Self::run_of(path)?;
        let checkpoint = match named {
            Some(path) => Self::open(&path)?,
            None => Self::latest(&run.checkpoints())?,
        };
        Ok((run, checkpoint))
    }

    /// The run that `path` means, and the checkpoint where it names one.
    ///
    /// # Errors
    ///
    /// When there is no run.
    pub fn run_of(path: &Path) -> Result<(RunDir, Option<PathBuf>)> {
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        // A run may lie in a folder of that name, too.
        let is_run = path.join("checkpoints").is_dir();
        let folder = path.parent().filter(|parent| !is_run && parent.ends_with("checkpoints"));
        match folder.and_then(Path::parent) {
            Some(root) => Ok((RunDir::open(root)?, Some(path))),
            None => Ok((RunDir::open(&path)?, None)),
        }
    }

    /// Opens the checkpoint in `path` and checks every file against the manifest.
    ///
    /// # Errors
    ///
    /// Names the file that is missing or has another hash.
    pub fn open(path: &Path) -> Result<Self> {
        let manifest = read_manifest(path)?;
        ensure!(
            manifest.format == FORMAT,
            "{}: format {}, expected {FORMAT}",
            path.join(MANIFEST).display(),
            manifest.format
        );
        for (file, expected) in &manifest.files {
            let found = entry(&path.join(file))?;
            ensure!(
                found == *expected,
                "{}: {} bytes with hash {}, expected {} bytes with hash {}",
                path.join(file).display(),
                found.bytes,
                &found.sha256[..12],
                expected.bytes,
                expected.sha256.get(..12).unwrap_or_default()
            );
        }
        Ok(Self { path: path.to_path_buf() })
    }

    /// The latest checkpoint below `folder`. One that is damaged is an error, which names the one
    /// before it that is whole.
    pub fn latest(folder: &Path) -> Result<Self> {
        let all = list(folder)?;
        let Some((last, before)) = all.split_last() else {
            bail!("{}: no checkpoint here", folder.display());
        };
        Self::open(last).map_err(|error| {
            match before.iter().rev().find_map(|path| Self::open(path).ok()) {
                Some(good) => error.context(format!(
                    "the latest checkpoint is damaged; the one before it is whole, use {}",
                    good.path.display()
                )),
                None => error.context("the latest checkpoint is damaged and none is whole"),
            }
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The recipe of its run.
    pub fn recipe(&self) -> Result<Recipe> {
        Recipe::read(&self.path.join(RECIPE))
    }

    /// The tokenizer of its run, with its phrases.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(&self.path.join(TOKENIZER))?;
        let path = self.path.join(PHRASES);
        if !path.exists() {
            return Ok(tokenizer);
        }
        let json = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let phrases = Phrases::from_json(&json, &path.display().to_string())?;
        Ok(tokenizer.with_phrases(phrases))
    }

    /// How pictures reach its model.
    pub fn preprocess(&self) -> Result<Preprocess> {
        read_json(&self.path.join(PREPROCESS))
    }

    /// The names of the classes of its task; none where it has none.
    pub fn classes(&self) -> Result<Vec<String>> {
        let path = self.path.join(CLASSES);
        if path.exists() { read_json(&path) } else { Ok(Vec::new()) }
    }

    /// The codes of patches that its model predicts, as `recipe`, its own, sizes them; none where it
    /// predicts none.
    pub fn codebook(&self, recipe: &Recipe) -> Result<Option<Codebook>> {
        let Some((codes, width)) = recipe.codebook() else { return Ok(None) };
        let codebook = Codebook::load(&self.path.join(CODEBOOK), codes, width);
        codebook.context("the codes that objectives.mim.target = \"tokens\" predicts").map(Some)
    }

    /// Where its run stood.
    pub fn progress(&self) -> Result<Progress> {
        read_json(&self.path.join(PROGRESS))
    }

    /// Loads weights into `model`.
    pub fn load_model(&self, model: &mut weft_model::Model) -> Result<()> {
        Ok(weights::load(model, &self.path.join(WEIGHTS))?)
    }

    /// Loads weights, momentum twin and optimiser into `state`.
    pub fn load_state(&self, state: &mut TrainState) -> Result<()> {
        self.load_model(&mut state.model)?;
        weights::load(&mut state.twin, &self.path.join(MOMENTUM))?;
        state.optimizer.load(&state.model, &self.path.join(OPTIMIZER))
    }
}

/// Complete checkpoints below `folder`, the oldest first.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let numbered = path.file_name().and_then(|name| name.to_str()).is_some_and(is_number);
        if numbered && path.is_dir() {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a checkpoint, or what is left of one that was being written or removed, is called so.
pub fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".removed").unwrap_or(name);
    let written = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    is_number(written.unwrap_or(name))
}

/// Takes the checkpoints of steps after `step` away: a run that goes on from `step` makes its own.
pub fn discard_after(folder: &Path, step: u64) -> Result<()> {
    let last = folder.join(name(step));
    list(folder)?.iter().filter(|path| **path > last).try_for_each(|path| remove(path))
}

/// Clears away what a killed process left of a checkpoint that it was writing or removing.
pub fn sweep(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let left =
            path.extension().is_some_and(|extension| extension == "tmp" || extension == "removed");
        if left && path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The place of the checkpoint of `step` below `folder`.
pub fn place(folder: &Path, step: u64) -> PathBuf {
    folder.join(name(step))
}

/// Removes a checkpoint. It is renamed first: a removal that is cut short must not leave half a
/// checkpoint under its name.
fn remove(path: &Path) -> Result<()> {
    let aside = path.with_extension("removed");
    fs::rename(path, &aside).with_context(|| path.display().to_string())?;
    fs::remove_dir_all(&aside).with_context(|| aside.display().to_string())
}

/// Removes all but the latest `keep` checkpoints and the best one.
pub fn prune(folder: &Path, keep: usize, best: Option<Best>) -> Result<()> {
    let all = list(folder)?;
    let best = best.map(|best| folder.join(name(best.step)));
    let mut superfluous = all.iter().rev().skip(keep).filter(|path| Some(*path) != best.as_ref());
    superfluous.try_for_each(|path| remove(path))
}

fn name(step: u64) -> String {
    format!("{step:08}")
}

fn write(
    folder: &Path,
    state: &TrainState,
    progress: &Progress,
    companions: &Companions,
) -> Result<()> {
    fs::create_dir_all(folder)?;
    weights::save(&state.model, &folder.join(WEIGHTS))?;
    weights::save(&state.twin, &folder.join(MOMENTUM))?;
    state.optimizer.save(&folder.join(OPTIMIZER))?;
    companions.tokenizer.save(&folder.join(TOKENIZER))?;
    if let Some(phrases) = companions.tokenizer.phrases() {
        fs::write(folder.join(PHRASES), phrases.to_json()?)?;
    }
    fs::write(folder.join(RECIPE), companions.recipe.to_toml()?)?;
    fs::write(folder.join(PREPROCESS), serde_json::to_vec_pretty(companions.preprocess)?)?;
    fs::write(folder.join(PROGRESS), serde_json::to_vec_pretty(progress)?)?;
    if !companions.classes.is_empty() {
        fs::write(folder.join(CLASSES), serde_json::to_vec_pretty(companions.classes)?)?;
    }
    if let Some(codebook) = companions.codebook {
        codebook.save(&folder.join(CODEBOOK))?;
    }

    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        sync_file(&file.path())?;
        files.insert(file.file_name().to_string_lossy().into_owned(), entry(&file.path())?);
    }
    let manifest = Manifest { format: FORMAT, step: progress.step, files };
    let path = folder.join(MANIFEST);
    fs::write(&path, serde_json::to_vec_pretty(&manifest)?)?;
    sync_file(&path)?;
    sync_folder(folder);
    Ok(())
}

/// Puts a file on disk. Not every system lets one ask for it who has opened the file for reading alone.
fn sync_file(path: &Path) -> Result<()> {
    let file = fs::File::options().write(true).open(path);
    file.and_then(|file| file.sync_all()).with_context(|| path.display().to_string())
}

fn entry(path: &Path) -> Result<Entry> {
    let mut file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).with_context(|| path.display().to_string())?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hash.update(&buffer[..read]);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { bytes, sha256 })
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    read_json(&path.join(MANIFEST))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}
