//! A data set as tar shards that others read, too: WebDataset's `key.png`, `key.txt`, `key.json`.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::dataset::Dataset;
use crate::error::{BadRecord, Cause, DataError, Ledger};
use crate::folder::is_picture;
use crate::record::Record;

/// What was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The shards, in order.
    pub shards: Vec<PathBuf>,
    /// Records in them.
    pub records: usize,
    /// The records that could not be written.
    pub ledger: Ledger,
}

/// Writes a split as `folder/split-000000.tar`, `split-000001.tar`, ..., each of `per_shard` records
/// but for the last one. The same records give the same bytes.
///
/// Of each record there are the picture as it is stored (a generated one as PNG), `.txt` with a
/// caption on each line, and `.json` with `caption` (a list) and the annotations; annotations that
/// are JSON themselves stay what they are. [`crate::dataset::open`] reads the shards back.
///
/// A record is called by its key there, without the extension of a picture's file, which keys of
/// tables have.
///
/// # Errors
///
/// Where the split does not exist, the folder has shards of this split already, a file cannot be
/// written, or more than `budget` (a fraction) of the records cannot be read or written; then no shard
/// is left. Within the budget, those records go into the ledger.
pub fn export(
    dataset: &Dataset,
    split: &str,
    folder: &Path,
    per_shard: usize,
    budget: f64,
) -> Result<Exported, DataError> {
    let records = dataset.split(split)?;
    if per_shard == 0 {
        return Err(DataError::Config("0 records in a shard: expected at least 1".into()));
    }
    std::fs::create_dir_all(folder).map_err(|error| DataError::io(folder, error))?;
    refuse_old_shards(split, folder)?;
    let mut exported = Exported { shards: vec![], records: 0, ledger: Ledger::default() };
    let done = write_shards(records, split, folder, per_shard, &mut exported)
        .and_then(|()| exported.ledger.check(budget, records.len()))
        .and_then(|()| name_shards(&exported.shards));
    if let Err(error) = done {
        // The first error is the one to tell.
        exported.shards.iter().for_each(|shard| _ = std::fs::remove_file(partial(shard)));
        return Err(error);
    }
    Ok(exported)
}

/// Writes the shards beside their places, none of them empty.
fn write_shards(
    records: &[Record],
    split: &str,
    folder: &Path,
    per_shard: usize,
    exported: &mut Exported,
) -> Result<(), DataError> {
    let mut names = HashSet::new();
    for records in records.chunks(per_shard) {
        let entries: Vec<Result<Entries, BadRecord>> = records.par_iter().map(entries).collect();
        let mut good = vec![];
        for (record, entries) in records.iter().zip(entries) {
            let new = entries.and_then(|entries| {
                if names.insert(name(&record.key).to_string()) {
                    return Ok(entries);
                }
                let detail =
                    format!("another record is {} in the shards already", name(&record.key));
                Err(bad(record, Cause::DuplicateKey, detail))
            });
            match new {
                Ok(entries) => good.push(entries),
                Err(bad) => _ = exported.ledger.record(bad),
            }
        }
        if good.is_empty() {
            continue;
        }
        let path = folder.join(format!("{split}-{:06}.tar", exported.shards.len()));
        exported.shards.push(path.clone());
        write(&partial(&path), &good).map_err(|error| DataError::io(&path, error))?;
        exported.records += good.len();
    }
    Ok(())
}

/// Gives shards that are all written their names.
fn name_shards(shards: &[PathBuf]) -> Result<(), DataError> {
    shards.iter().try_for_each(|shard| {
        std::fs::rename(partial(shard), shard).map_err(|error| DataError::io(shard, error))
    })
}

/// Where a shard is while it is written.
fn partial(shard: &Path) -> PathBuf {
    shard.with_extension("tar.partial")
}

/// Left over, they would be taken for a part of the new ones.
fn refuse_old_shards(split: &str, folder: &Path) -> Result<(), DataError> {
    let entries = std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))?;
    for entry in entries {
        let name = entry.map_err(|error| DataError::io(folder, error))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix(&format!("{split}-")).and_then(|n| n.strip_suffix(".tar"));
        if number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit())) {
            return Err(DataError::Config(format!(
                "{} has {name} already; expected a folder without shards of {split}",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Names and contents of the files of one record.
type Entries = Vec<(String, Vec<u8>)>;

fn bad(record: &Record, cause: Cause, detail: String) -> BadRecord {
    let origin = format!("{} ({})", record.picture.origin(), record.key);
    BadRecord { cause, origin, detail }
}

/// What a record is called in a shard: its key, without a picture's extension.
fn name(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((name, extension)) if is_picture(&extension.to_lowercase()) => name,
        _ => key,
    }
}

/// Whether readers of shards take `name` for one that has no extension, in a folder of the shard.
fn can_name(name: &str) -> bool {
    let mut parts = name.split('/');
    let file = parts.next_back().unwrap_or_default();
    !file.is_empty() && !file.contains('.') && parts.all(|part| !["", ".", ".."].contains(&part))
}

fn entries(record: &Record) -> Result<Entries, BadRecord> {
    let bad = |detail: String| bad(record, Cause::MalformedRecord, detail);
    let key = name(&record.key);
    if !can_name(key) {
        let detail = format!(
            "the key {:?} cannot name files of a shard: expected a relative path whose last part has no \".\"",
            record.key
        );
        return Err(bad(detail));
    }
    if let Some(caption) = record.captions.iter().find(|caption| caption.contains(['\n', '\r'])) {
        return Err(bad(format!("expected captions of one line, found {caption:?}")));
    }
    let picture = record.picture.read()?;
    let extension = extension(&picture)
        .ok_or_else(|| bad("expected the bytes of a JPEG, PNG, WebP or GIF".into()))?;
    let mut text = record.captions.join("\n").into_bytes();
    text.push(b'\n');
    let mut json = Map::new();
    json.insert("caption".into(), record.captions.clone().into());
    json.extend(annotations(&record.annotations));
    Ok(vec![
        (format!("{key}.{extension}"), picture),
        (format!("{key}.txt"), text),
        (format!("{key}.json"), Value::from(json).to_string().into_bytes()),
    ])
}

/// The annotations, those that are a JSON list or object as what they are.
fn annotations(annotations: &BTreeMap<String, String>) -> Map<String, Value> {
    let value = |text: &String| {
        let parsed = serde_json::from_str::<Value>(text).ok();
        let nested = parsed.filter(|value| value.is_array() || value.is_object());
        nested.unwrap_or_else(|| text.clone().into())
    };
    annotations.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

fn extension(bytes: &[u8]) -> Option<&'static str> {
    use image::ImageFormat::{Gif, Jpeg, Png, WebP};
    Some(match image::guess_format(bytes).ok()? {
        Png => "png",
        Jpeg => "jpg",
        WebP => "webp",
        Gif => "gif",
        _ => return None,
    })
}

fn write(path: &Path, records: &[Entries]) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(File::create(path)?));
    for (name, content) in records.iter().flatten() {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content.as_slice())?;
    }
    archive.into_inner()?.flush()
}
