//! Tar shards as WebDataset has them: consecutive entries `key.jpg` and `key.txt` or `key.json` are
//! one sample.
//!
//! A shard's headers are scanned once and the captions read then. Of a picture only its place in
//! the shard is kept. Where a shard cannot be read to its end, about as many samples are counted as lost
//! as the bytes behind that place would hold.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::dataset::{Gathered, SourceConfig};
use crate::error::{BadRecord, Cause, DataError};
use crate::folder::{PICTURE_EXTENSIONS, caption_lines, is_picture};
use crate::record::{Picture, Record};
use crate::table::{caption_values, no_column, tags_of};

use ending::BLOCK;
pub use pattern::{expand, is_pattern};

mod ending;
mod pattern;

/// Reads all shards, in their order.
pub(crate) fn read(shards: &[PathBuf], config: &SourceConfig) -> Result<Gathered, DataError> {
    let missing: Vec<String> =
        shards.iter().filter(|p| !p.is_file()).map(|p| p.display().to_string()).collect();
    if !missing.is_empty() {
        let looked_for = format!("{} shards of {}", shards.len(), config.source);
        let more = if missing.len() > 5 { ", ..." } else { "" };
        let named = missing[..missing.len().min(5)].join(", ");
        let found = format!("{} of them missing: {named}{more}", missing.len());
        return Err(DataError::NotFound { looked_for, found });
    }
    let scans: Vec<Scan> =
        shards.par_iter().map(|shard| scan(shard, config)).collect::<Result<_, _>>()?;

    let mut gathered = Gathered {
        looked_for: format!(
            "samples of a picture ({}) and a .txt or .json in {}",
            PICTURE_EXTENSIONS.join(", "),
            config.source
        ),
        ..Default::default()
    };
    let entries: usize = scans.iter().map(|scan| scan.entries).sum();
    gathered.found = format!("{} shards with {entries} files", shards.len());
    let with_column = scans.iter().any(|scan| scan.with_column);
    let fields: BTreeSet<String> = scans.iter().flat_map(|scan| scan.fields.clone()).collect();
    // No JSON file has the field: the name is wrong, not the files.
    if !fields.is_empty() && !with_column && scans.iter().all(|scan| scan.records.is_empty()) {
        let fields: Vec<String> = fields.into_iter().collect();
        return Err(no_column(Path::new(&config.source), &config.caption_column, &fields));
    }
    let all = scans.iter().fold((0, 0), |all, scan| (all.0 + scan.bytes, all.1 + scan.seen));
    let mut origins: HashMap<String, String> = HashMap::new();
    for scan in scans {
        gathered.seen += scan.seen;
        if let Some(lost) = scan.lost {
            // By the shard's own samples; of a shard without any, by those of the others.
            let measure = if scan.seen > 0 { (scan.bytes, scan.seen) } else { all };
            lost.count(measure, &mut gathered);
        }
        for bad in scan.bad {
            gathered.ledger.record(bad);
        }
        for record in scan.records {
            let origin = record.picture.origin();
            if let Some(first) = origins.get(&record.key) {
                let detail = format!("the key {} is that of {first} already", record.key);
                gathered.ledger.record(BadRecord { cause: Cause::DuplicateKey, origin, detail });
                continue;
            }
            origins.insert(record.key.clone(), origin);
            gathered.records.push(record);
        }
    }
    Ok(gathered)
}

/// What one shard has.
#[derive(Default)]
struct Scan {
    records: Vec<Record>,
    bad: Vec<BadRecord>,
    /// Samples that were read to their end, good and bad, and the bytes that they take.
    seen: usize,
    bytes: u64,
    lost: Option<Lost>,
    entries: usize,
    /// Names of fields in JSON files, and whether the caption's is among them.
    fields: BTreeSet<String>,
    with_column: bool,
}

/// What of a shard cannot be read: where that begins and why, and how many bytes it has.
struct Lost {
    bad: BadRecord,
    bytes: u64,
}

impl Lost {
    /// Counts about as many samples as lost as take these bytes, where `samples` take `bytes`.
    fn count(mut self, (bytes, samples): (u64, usize), gathered: &mut Gathered) {
        let count = ending::estimate(self.bytes, bytes, samples);
        // Of a file that is shorter than it was nothing says by how much.
        if self.bytes > 0 {
            let samples = if count == 1 { "sample" } else { "samples" };
            let bytes = self.bytes;
            let detail = &mut self.bad.detail;
            let _ = write!(detail, "; {bytes} bytes cannot be read, about {count} {samples}");
        }
        gathered.seen += count;
        gathered.ledger.record_lost(self.bad, count);
    }
}

/// The files of the sample that is being read.
#[derive(Default)]
struct Sample {
    key: String,
    picture: Option<Picture>,
    text: Option<Vec<u8>>,
    json: Option<Vec<u8>>,
}

fn scan(shard: &Path, config: &SourceConfig) -> Result<Scan, DataError> {
    let file = File::open(shard).map_err(|error| DataError::io(shard, error))?;
    let length = file.metadata().map_err(|error| DataError::io(shard, error))?.len();
    let mut archive = tar::Archive::new(file);
    let mut scan = Scan::default();
    let mut sample: Option<Sample> = None;
    // Why the shard ended before its end.
    let mut broken = None;
    // Where the last entry ends, filled up to whole blocks.
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(|error| DataError::io(shard, error))? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                broken = Some(format!("after {} files: {error}", scan.entries));
                break;
            }
        };
        let begin = end;
        end = (entry.raw_file_position() + entry.size()).next_multiple_of(BLOCK);
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let Some((key, extension)) = key_and_extension(&name) else { continue };
        scan.entries += 1;
        if sample.as_ref().is_none_or(|sample| sample.key != key) {
            if let Some(complete) = sample.take() {
                scan.close(shard, complete, config);
                scan.bytes = begin;
            }
            sample = Some(Sample { key, ..Default::default() });
        }
        if offset + len > length {
            let there = length.saturating_sub(offset);
            broken = Some(format!("{name} should have {len} bytes, {there} are there"));
            break;
        }
        let Some(current) = sample.as_mut() else { continue };
        if is_picture(&extension) {
            let archive = shard.to_path_buf();
            current.picture = Some(Picture::InArchive { archive, entry: name, offset, len });
        } else if extension == "txt" || extension == "json" {
            let mut bytes = vec![];
            entry.read_to_end(&mut bytes).map_err(|error| DataError::io(shard, error))?;
            let slot = if extension == "txt" { &mut current.text } else { &mut current.json };
            *slot = Some(bytes);
        }
    }
    if broken.is_none() {
        let fault = ending::fault(&mut archive.into_inner(), end, length);
        let fault = fault.map_err(|error| DataError::io(shard, error))?;
        broken = fault.map(|fault| format!("after {} files: {fault}", scan.entries));
    }
    match (sample, broken) {
        (last, Some(detail)) => scan.break_off(shard, last, config, detail, [end, length]),
        (Some(last), None) => {
            scan.close(shard, last, config);
            scan.bytes = end;
        }
        (None, None) => (),
    }
    Ok(scan)
}

/// `a/b.seg.png` -> (`a/b`, `seg.png`). `None` for hidden files.
fn key_and_extension(name: &str) -> Option<(String, String)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let file_at = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file_at + name[file_at..].find('.')?;
    let hidden = dot == file_at;
    (!hidden).then(|| (name[..dot].to_string(), name[dot + 1..].to_lowercase()))
}

impl Scan {
    /// Takes a sample whose files have all been seen.
    fn close(&mut self, shard: &Path, sample: Sample, config: &SourceConfig) {
        self.seen += 1;
        let origin = format!("{}:{}", shard.display(), sample.key);
        match self.record(sample, config, &origin) {
            Ok(record) => self.records.push(record),
            Err((cause, detail)) => self.bad.push(BadRecord { cause, origin, detail }),
        }
    }

    /// Takes what a broken shard of `length` bytes has of its last sample; nothing behind `end` can be read.
    fn break_off(
        &mut self,
        shard: &Path,
        last: Option<Sample>,
        config: &SourceConfig,
        detail: String,
        [end, length]: [u64; 2],
    ) {
        let mut origin = shard.display().to_string();
        if let Some(last) = last {
            let _ = write!(origin, ":{}", last.key);
            // Whatever the sample lacks, it lacks because the shard breaks off: it is one of those lost.
            if let Ok(record) = self.record(last, config, &origin) {
                self.records.push(record);
                self.seen += 1;
                self.bytes = end;
            }
        }
        let bad = BadRecord { cause: Cause::TruncatedArchive, origin, detail };
        self.lost = Some(Lost { bad, bytes: length.saturating_sub(self.bytes) });
    }

    fn record(
        &mut self,
        sample: Sample,
        config: &SourceConfig,
        origin: &str,
    ) -> Result<Record, (Cause, String)> {
        // Of captions in a text the JSON beside it may be anything, unless tags are wanted from it.
        let wanted = sample.text.is_none() || config.tags_column.is_some();
        let json = sample.json.filter(|_| wanted);
        let fields = json.map(|json| utf8(json).and_then(|json| object(&json))).transpose()?;
        let captions = match (sample.text, &fields) {
            (Some(text), _) => utf8(text).map(|text| caption_lines(&text))?,
            (None, Some(fields)) => self.json_captions(fields, &config.caption_column)?,
            (None, None) => {
                let detail = format!("expected {}.txt or {0}.json beside it", sample.key);
                return Err((Cause::MissingFile, detail));
            }
        };
        let picture = sample.picture.ok_or_else(|| {
            let detail = format!("expected a picture {}.jpg, .png, ... beside it", sample.key);
            (Cause::MissingFile, detail)
        })?;
        let given = captions.len();
        let captions: Vec<String> =
            captions.iter().map(|c| c.trim().to_string()).filter(|c| !c.is_empty()).collect();
        if captions.is_empty() {
            return Err((Cause::EmptyCaption, "expected at least one caption".into()));
        }
        if captions.len() < given {
            let detail = format!("{} of {given} captions", given - captions.len());
            let origin = format!("{origin} (others kept)");
            self.bad.push(BadRecord { cause: Cause::EmptyCaption, origin, detail });
        }
        let tags = fields.map(|fields| tags_of(&fields, config)).transpose()?.unwrap_or_default();
        Ok(Record::new(sample.key, captions, picture).annotated(tags))
    }

    fn json_captions(
        &mut self,
        fields: &Map<String, Value>,
        column: &str,
    ) -> Result<Vec<String>, (Cause, String)> {
        let captions = fields.get(column);
        self.with_column |= captions.is_some();
        self.fields.extend(fields.keys().cloned());
        captions.and_then(caption_values).ok_or_else(|| {
            let found = captions.map_or("nothing".to_string(), Value::to_string);
            let expected = "should be a text or a list of texts";
            (Cause::MalformedRecord, format!("\"{column}\" {expected}, found {found}"))
        })
    }
}

fn object(json: &str) -> Result<Map<String, Value>, (Cause, String)> {
    serde_json::from_str(json)
        .map_err(|error| (Cause::MalformedRecord, format!("expected a JSON object: {error}")))
}

fn utf8(bytes: Vec<u8>) -> Result<String, (Cause, String)> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (Cause::InvalidUtf8, format!("expected UTF-8 captions; byte {at} is not"))
    })
}
