//! From a user's path, or the name of the built-in data set, to records in splits.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Ledger};
use crate::record::Record;
use crate::row_table::RowTable;
use crate::scenes::ScenesConfig;
use crate::tasks::{self, TaskSource};
use crate::{emoji, folder, karpathy, regions, scenes, shards, split, table, tags};

/// Where pictures and captions come from, and how they are split.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// `emoji` or `scenes` (built in), or a path: a folder, a `.jsonl`, `.csv` or `.tsv` file, a `.tar` file or
    /// a pattern of them such as `shards-{000..009}.tar`, or a Karpathy split file (`.json`).
    pub source: String,
    /// Root of the picture paths in a JSONL, CSV or Karpathy file; by default the file's own folder.
    pub images: Option<PathBuf>,
    pub image_column: String,
    pub caption_column: String,
    /// Column or field with the names of what is in the picture: a text with commas or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_column: Option<String>,
    /// A file with the names of what is in each picture (see [`tags::attach`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<PathBuf>,
    /// A file with each picture's boxes and their features (see [`regions`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<PathBuf>,
    /// The source is one of phrases that refer to something in a picture, `scenes` or RefCOCO's files: they
    /// are the picture's captions, and no rectangle is learnt from. (A phrase whose rectangle is bad is left out.)
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expressions: bool,
    /// The share of records that may be unusable before the run stops.
    pub bad_budget: f64,
    /// Share of the records in `val`, for sources without splits of their own.
    pub val_fraction: f64,
    /// Share of the records in `test`, for sources without splits of their own.
    pub test_fraction: f64,
    /// A split is a function of this and the records' keys.
    pub split_seed: u64,
    /// For the source `scenes`: which scenes there are.
    pub scenes: ScenesConfig,
}

impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig {
            source: emoji::NAME.into(),
            images: None,
            image_column: "image".into(),
            caption_column: "caption".into(),
            tags_column: None,
            tags: None,
            regions: None,
            expressions: false,
            bad_budget: 0.01,
            val_fraction: 0.05,
            test_fraction: 0.05,
            split_seed: 0,
            scenes: ScenesConfig::default(),
        }
    }
}

impl SourceConfig {
    /// The configuration with defaults for a source.
    pub fn new(source: impl Into<String>) -> Self {
        SourceConfig { source: source.into(), ..Default::default() }
    }

    fn validate(&self) -> Result<(), DataError> {
        let fraction = |name: &str, value: f64, most: f64| {
            if (0.0..=most).contains(&value) {
                return Ok(());
            }
            Err(DataError::Config(format!("data.{name} is {value}; expected 0 to {most}")))
        };
        fraction("bad_budget", self.bad_budget, 1.0)?;
        fraction("val_fraction", self.val_fraction, 0.9)?;
        fraction("test_fraction", self.test_fraction, 0.9)?;
        if self.val_fraction + self.test_fraction > 0.9 {
            return Err(DataError::Config(format!(
                "data.val_fraction + data.test_fraction is {}; expected at most 0.9, so that \
                 something is left to train on",
                self.val_fraction + self.test_fraction
            )));
        }
        Ok(())
    }

    /// The same as the readers of the tasks' own files take it.
    pub fn of_tasks(&self) -> TaskSource {
        TaskSource {
            images: self.images.clone(),
            regions: self.regions.clone(),
            bad_budget: self.bad_budget,
            val_fraction: self.val_fraction,
            test_fraction: self.test_fraction,
            split_seed: self.split_seed,
            ..TaskSource::new(&self.source)
        }
    }

    /// The folder that picture paths in `file` are relative to.
    pub(crate) fn image_root(&self, file: &Path) -> PathBuf {
        match &self.images {
            Some(images) => images.clone(),
            None => file.parent().unwrap_or(Path::new("")).to_path_buf(),
        }
    }
}

/// Records in named splits, with what was wrong with those that were left out.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub name: String,
    /// `train`, `val`, and the test splits.
    pub splits: BTreeMap<String, Vec<Record>>,
    pub ledger: Ledger,
    /// Counts that a reader of the run wants to know.
    pub notes: BTreeMap<String, u64>,
}

/// What a reader has found, before it is split.
#[derive(Default)]
pub(crate) struct Gathered {
    pub records: Vec<Record>,
    /// The records' splits, for sources with splits of their own.
    pub own_splits: Option<Vec<String>>,
    pub ledger: Ledger,
    /// Records looked at, good and bad: rows of a table, samples of a shard, pictures of a folder.
    pub seen: usize,
    /// What was looked for and what was there, for the message where nothing is left.
    pub looked_for: String,
    pub found: String,
}

/// Opens a source: finds the records, checks the budget of bad ones, splits the rest.
///
/// # Errors
///
/// Where the path is wrong, nothing of the expected kind is there, a column does not exist, a shard
/// is missing, or too many records cannot be used.
pub fn open(config: &SourceConfig) -> Result<Dataset, DataError> {
    config.validate()?;
    let mut dataset = open_source(config)?;
    let total = dataset.total();
    if let Some(path) = &config.tags {
        let records = dataset.splits.values_mut().flatten();
        let attached = tags::attach(&mut RowTable::open(path)?, records)?;
        attached.bad.into_iter().for_each(|bad| _ = dataset.ledger.record(bad));
        dataset.ledger.check(config.bad_budget, total)?;
        dataset.found("data.tags", path, attached.found)?;
    }
    if let Some(path) = &config.regions {
        let records = dataset.splits.values_mut().flatten();
        let found = regions::attach(&mut RowTable::open(path)?, records)?;
        dataset.found("data.regions", path, found)?;
    }
    Ok(dataset)
}

fn open_source(config: &SourceConfig) -> Result<Dataset, DataError> {
    if config.expressions {
        return tasks::captions::open(config);
    }
    if config.source == emoji::NAME {
        return emoji::open(config.split_seed);
    }
    if config.source == scenes::NAME {
        return scenes::open(&config.scenes);
    }
    let gathered = gather(config)?;
    if gathered.seen > 0 {
        gathered.ledger.check(config.bad_budget, gathered.seen)?;
    }
    if gathered.records.is_empty() {
        let mut found = gathered.found;
        if gathered.ledger.total() > 0 {
            let _ = write!(found, "; none of it can be used:\n{}", gathered.ledger);
        }
        return Err(DataError::NotFound { looked_for: gathered.looked_for, found });
    }
    let (splits, notes) = match gathered.own_splits {
        Some(own) => split::by_name(gathered.records, own),
        None => split::by_key(gathered.records, config),
    };
    Ok(Dataset { name: config.source.clone(), splits, ledger: gathered.ledger, notes })
}

fn gather(config: &SourceConfig) -> Result<Gathered, DataError> {
    let path = Path::new(&config.source);
    if path.is_dir() {
        return folder::read(path);
    }
    // A path that exists is never a pattern, whatever characters it has.
    if !path.exists() && shards::is_pattern(&config.source) {
        return shards::read(&shards::expand(&config.source)?, config);
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if !path.exists() {
        return Err(nothing_at(path));
    }
    match extension.as_deref() {
        Some("jsonl" | "ndjson") => table::read_jsonl(path, config),
        Some("csv") => table::read_csv(path, b',', config),
        Some("tsv") => table::read_csv(path, b'\t', config),
        Some("tar") => shards::read(&[path.to_path_buf()], config),
        Some("json") => karpathy::read(path, config),
        _ => Err(DataError::NotFound {
            looked_for: format!(
                "a data set: \"{}\", \"{}\", a folder, or a .jsonl, .csv, .tsv, .tar or Karpathy \
                 .json file",
                emoji::NAME,
                scenes::NAME
            ),
            found: format!("the file {}, which is none of them", path.display()),
        }),
    }
}

/// The error for a path that does not exist: names the entries there that are most like it.
fn nothing_at(path: &Path) -> DataError {
    let there = path.ancestors().skip(1).map(or_here).find(|folder| folder.is_dir());
    let there = there.unwrap_or(Path::new("/"));
    let below = path.strip_prefix(there).unwrap_or(path);
    let wanted = below.components().next().map(|part| part.as_os_str().to_string_lossy());
    let wanted = wanted.unwrap_or_default();
    let mut names: Vec<String> = std::fs::read_dir(there)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let distance = |name: &String| (strsim::damerau_levenshtein(name, &wanted), name.clone());
    names.sort_by_cached_key(distance);
    let total = names.len();
    names.truncate(5);
    let found = match total {
        0 => format!("no \"{wanted}\" in {}, which is empty", there.display()),
        _ => format!(
            "no \"{wanted}\" in {}, which has {total} entries, the nearest: {}",
            there.display(),
            names.join(", ")
        ),
    };
    let looked_for = format!(
        "the data set \"{}\" (or \"{}\", \"{}\")",
        path.display(),
        emoji::NAME,
        scenes::NAME
    );
    DataError::NotFound { looked_for, found }
}

/// The parent of a bare file name is the empty path, which means here.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The split `name` of `data`.
pub(crate) fn split<'a, T>(
    splits: &'a BTreeMap<String, Vec<T>>,
    name: &str,
    data: &str,
) -> Result<&'a [T], DataError> {
    splits.get(name).map(Vec::as_slice).ok_or_else(|| {
        let names: Vec<&str> = splits.keys().map(String::as_str).collect();
        DataError::Config(format!("no split \"{name}\" in {data}; it has {}", names.join(", ")))
    })
}

impl Dataset {
    /// Number of records in all splits.
    pub fn total(&self) -> usize {
        self.splits.values().map(Vec::len).sum()
    }

    /// The records of one split.
    pub fn split(&self, name: &str) -> Result<&[Record], DataError> {
        split(&self.splits, name, &self.name)
    }

    /// The records of one split, of which there must be some.
    ///
    /// # Errors
    ///
    /// Where the split does not exist, or is empty: names the source and what its splits have.
    pub fn filled_split(&self, name: &str) -> Result<&[Record], DataError> {
        let records = self.split(name)?;
        if !records.is_empty() {
            return Ok(records);
        }
        let sizes =
            self.splits.iter().map(|(split, records)| format!("{split}: {}", records.len()));
        let found = format!("none; it has {}", sizes.collect::<Vec<_>>().join(", "));
        let looked_for = format!("records in the split \"{name}\" of {}", self.name);
        Err(DataError::NotFound { looked_for, found })
    }

    /// Notes how many pictures have a row in the file `path`; an error where none has.
    fn found(&mut self, key: &str, path: &Path, rows: u64) -> Result<(), DataError> {
        if rows == 0 {
            let looked_for = format!("rows of the pictures of {} in {key}", self.name);
            let found = format!("none in {}", path.display());
            return Err(DataError::NotFound { looked_for, found });
        }
        self.notes.insert(format!("pictures with a row in {key}"), rows);
        Ok(())
    }

    /// The keys of each split, for the run directory.
    pub fn split_listing(&self) -> BTreeMap<String, Vec<String>> {
        let keys = |records: &Vec<Record>| records.iter().map(|r| r.key.clone()).collect();
        self.splits.iter().map(|(name, records)| (name.clone(), keys(records))).collect()
    }

    /// A few lines for people: sizes of the splits, notes, and what was left out.
    pub fn summary(&self) -> String {
        let captions: usize = self.splits.values().flatten().map(|r| r.captions.len()).sum();
        let mut text = format!("{}: {} pictures with {captions} captions", self.name, self.total());
        for (name, records) in &self.splits {
            let _ = write!(text, "\n  {name}: {}", records.len());
        }
        for (note, count) in &self.notes {
            let _ = write!(text, "\n  {note}: {count}");
        }
        if self.ledger.total() > 0 {
            let _ = write!(text, "\nleft out {}:\n{}", self.ledger.total(), self.ledger);
        }
        text
    }
}
