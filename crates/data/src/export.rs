//! A data set as tar shards that others read, too: WebDataset's `key.png`, `key.txt`, `key.json`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::dataset::Dataset;
use crate::error::{BadRecord, Cause, DataError, Ledger};
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
/// # Errors
///
/// Where the split does not exist, the folder has shards of this split already, or a file cannot be
/// written. A record that cannot be read or written goes into the ledger.
pub fn export(
    dataset: &Dataset,
    split: &str,
    folder: &Path,
    per_shard: usize,
) -> Result<Exported, DataError> {
    let records = dataset.split(split)?;
    if per_shard == 0 {
        return Err(DataError::Config("0 records in a shard: expected at least 1".into()));
    }
    std::fs::create_dir_all(folder).map_err(|error| DataError::io(folder, error))?;
    refuse_old_shards(split, folder)?;
    let mut exported = Exported { shards: vec![], records: 0, ledger: Ledger::default() };
    for (number, records) in records.chunks(per_shard).enumerate() {
        let path = folder.join(format!("{split}-{number:06}.tar"));
        let entries: Vec<Result<Entries, BadRecord>> = records.par_iter().map(entries).collect();
        let mut good = vec![];
        for entries in entries {
            match entries {
                Ok(entries) => good.push(entries),
                Err(bad) => {
                    exported.ledger.record(bad);
                }
            }
        }
        write(&path, &good).map_err(|error| DataError::io(&path, error))?;
        exported.records += good.len();
        exported.shards.push(path);
    }
    Ok(exported)
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

fn entries(record: &Record) -> Result<Entries, BadRecord> {
    let bad = |detail: String| BadRecord {
        cause: Cause::MalformedRecord,
        origin: format!("{} ({})", record.picture.origin(), record.key),
        detail,
    };
    let key = &record.key;
    let name = key.rsplit('/').next().unwrap_or(key);
    if name.is_empty() || key.contains('.') || key.starts_with('/') {
        let detail = format!("the key {key:?} cannot name a file of a shard: expected no \".\"");
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

/// Writes beside the place and renames: a shard is whole or not there.
fn write(path: &Path, records: &[Entries]) -> std::io::Result<()> {
    let partial = path.with_extension("tar.partial");
    let mut archive = tar::Builder::new(BufWriter::new(File::create(&partial)?));
    for (name, content) in records.iter().flatten() {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content.as_slice())?;
    }
    archive.into_inner()?.flush()?;
    std::fs::rename(&partial, path)
}
