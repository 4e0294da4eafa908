//! Sources: what each reader finds, what it says of bad input, and the built-in emoji.

mod emoji;
mod errors;
mod readers;
mod shards;
mod tables;

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use weft_data::dataset::{Dataset, SourceConfig, open};
use weft_data::record::Record;

/// A folder with these files; a picture's content is its name.
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

/// A configuration that forgives everything.
fn lenient(source: impl AsRef<Path>) -> SourceConfig {
    SourceConfig { bad_budget: 1.0, ..SourceConfig::new(source.as_ref().to_string_lossy()) }
}

fn open_lenient(source: impl AsRef<Path>) -> Dataset {
    open(&lenient(source)).unwrap()
}

fn error(config: &SourceConfig) -> String {
    open(config).unwrap_err().to_string()
}

fn records(dataset: &Dataset) -> Vec<&Record> {
    let mut records: Vec<&Record> = dataset.splits.values().flatten().collect();
    records.sort_by(|a, b| a.key.cmp(&b.key));
    records
}

fn keys(dataset: &Dataset) -> Vec<&str> {
    records(dataset).iter().map(|record| record.key.as_str()).collect()
}

fn captions<'a>(dataset: &'a Dataset, key: &str) -> &'a [String] {
    &dataset.splits.values().flatten().find(|record| record.key == key).unwrap().captions
}

/// A tar file of these entries.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Asserts that the text has every part.
fn names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no \"{part}\" in: {text}");
    }
}
