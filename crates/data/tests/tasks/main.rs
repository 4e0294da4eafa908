//! The published files of tasks: hand-made samples of each format, good and bad.

mod answers;
mod classes;
mod contrasts;
mod expressions;
mod normalise;
mod pairs_and_hypotheses;
mod questions;
mod robust;
mod stored;

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use weft_data::error::{Cause, Ledger};
use weft_data::tasks::TaskSource;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(dir.path(), name, content.as_bytes());
    }
    dir
}

fn write(dir: &Path, name: &str, content: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn strict(source: impl AsRef<Path>) -> TaskSource {
    TaskSource::new(source.as_ref().to_string_lossy())
}

/// Forgives everything.
fn lenient(source: impl AsRef<Path>) -> TaskSource {
    TaskSource { bad_budget: 1.0, ..strict(source) }
}

/// Asserts that the text has every part.
fn names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no \"{part}\" in: {text}");
    }
}

/// Asserts the number of bad records of each cause, and that there are no others.
fn assert_causes(ledger: &Ledger, causes: &[(Cause, usize)]) {
    for &(cause, count) in causes {
        assert_eq!(ledger.count(cause), count, "{cause}:\n{ledger}");
    }
    let total: usize = causes.iter().map(|(_, count)| count).sum();
    assert_eq!(ledger.total(), total, "{ledger}");
}
