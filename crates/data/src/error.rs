//! What can go wrong with data, and how much of it a run forgives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why one record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The bytes are not a picture that can be decoded.
    BrokenPicture,
    /// The picture has more pixels than [`crate::decode::MAX_PIXELS`].
    OversizedPicture,
    /// The caption is missing, empty or white space.
    EmptyCaption,
    /// A file that a record names does not exist or cannot be read.
    MissingFile,
    /// An archive ends in the middle of an entry, or what it has behind one cannot be read.
    TruncatedArchive,
    /// The key stands in the data set already.
    DuplicateKey,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A line or an entry that does not parse as a record.
    MalformedRecord,
    /// A question or a statement is missing, empty or white space.
    EmptyText,
    /// A question of a split with answers has none.
    MissingAnswer,
    /// An answer that is none of those that there are.
    UnknownAnswer,
    /// A label that is none of those that there are.
    UnknownLabel,
    /// A name or a number of something that the file it belongs to lacks.
    UnknownReference,
    /// A rectangle that is inverted, empty or outside its picture, or of a picture of another size.
    BadRegion,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::BrokenPicture => "broken picture",
            Cause::OversizedPicture => "oversized picture",
            Cause::EmptyCaption => "empty caption",
            Cause::MissingFile => "missing file",
            Cause::TruncatedArchive => "truncated archive",
            Cause::DuplicateKey => "duplicate key",
            Cause::InvalidUtf8 => "invalid UTF-8",
            Cause::MalformedRecord => "malformed record",
            Cause::EmptyText => "empty text",
            Cause::MissingAnswer => "missing answer",
            Cause::UnknownAnswer => "unknown answer",
            Cause::UnknownLabel => "unknown label",
            Cause::UnknownReference => "unknown reference",
            Cause::BadRegion => "bad region",
        })
    }
}

/// One record that cannot be used: where it stands and what was expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    pub cause: Cause,
    /// The file, with the line or the entry where there is one.
    pub origin: String,
    /// What was found and what was expected.
    pub detail: String,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.cause, self.detail)
    }
}

/// An error that ends the reading of a data set.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: std::io::Error },
    /// Nothing of the expected kind is there.
    #[error("looked for {looked_for}; found {found}")]
    NotFound { looked_for: String, found: String },
    /// A file as a whole cannot be read as what it should be.
    #[error("{origin}: {detail}")]
    Malformed { origin: String, detail: String },
    /// A setting that cannot work.
    #[error("{0}")]
    Config(String),
    /// More bad records than the budget allows.
    #[error("{0}")]
    Budget(String),
    /// A thread that prepares data failed: a bug in `weft` or in a library it uses.
    #[error("data worker: {0}")]
    Worker(String),
}

impl DataError {
    pub fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        DataError::Io { path: path.into(), error }
    }
}

/// How many bad records of each cause are named in messages.
const NAMED: usize = 3;

/// The bad records met so far: counted per cause, the first few kept to be named.
///
/// A record counts once however often it is met, so that a run of many epochs spends its budget on
/// distinct records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ledger {
    causes: BTreeMap<Cause, Tally>,
    /// All of them, by cause and place.
    seen: BTreeSet<(Cause, String)>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    count: usize,
    first: Vec<BadRecord>,
}

impl Ledger {
    /// Counts `bad` unless the same record was counted for the same cause before. Returns whether
    /// it is new.
    pub fn record(&mut self, bad: BadRecord) -> bool {
        self.record_lost(bad, 1)
    }

    /// As [`record`](Self::record), for `count` records that were lost together at one place, such as those
    /// behind a fault of an archive.
    pub fn record_lost(&mut self, bad: BadRecord, count: usize) -> bool {
        if !self.seen.insert((bad.cause, bad.origin.clone())) {
            return false;
        }
        let tally = self.causes.entry(bad.cause).or_default();
        tally.count += count;
        if tally.first.len() < NAMED {
            tally.first.push(bad);
        }
        true
    }

    /// Number of distinct bad records, with those that were lost.
    pub fn total(&self) -> usize {
        self.causes.values().map(|tally| tally.count).sum()
    }

    /// Number of distinct bad records of one cause.
    pub fn count(&self, cause: Cause) -> usize {
        self.causes.get(&cause).map_or(0, |tally| tally.count)
    }

    /// Fails when more than `budget` (a fraction) of `records` records are bad.
    pub fn check(&self, budget: f64, records: usize) -> Result<(), DataError> {
        self.check_after(0, budget, records)
    }

    /// The same of the bad records after the first `before`.
    pub fn check_after(&self, before: usize, budget: f64, records: usize) -> Result<(), DataError> {
        let total = self.total().saturating_sub(before);
        if total as f64 <= budget * records as f64 {
            return Ok(());
        }
        Err(DataError::Budget(format!(
            "{total} of {records} records cannot be used, more than the budget of {}% \
             (data.bad_budget); the first of each cause:\n{self}",
            budget * 100.0
        )))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (cause, tally)) in self.causes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "  {cause}: {}", tally.count)?;
            for bad in &tally.first {
                write!(f, "\n    {}: {}", bad.origin, bad.detail)?;
            }
        }
        Ok(())
    }
}
