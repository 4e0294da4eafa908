//! A folder of pictures, each with a text file of the same name: `cat.jpg` and `cat.txt`.
//!
//! Every non-empty line of the text file is a caption. The key is the path below the folder without
//! the extension.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Gathered;
use crate::error::{BadRecord, Cause, DataError};
use crate::record::{Picture, Record};

/// Extensions of pictures, lower case.
pub(crate) const PICTURE_EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "gif"];

pub(crate) fn is_picture(extension: &str) -> bool {
    PICTURE_EXTENSIONS.contains(&extension)
}

/// The captions in a text: its lines, without those that are empty.
pub(crate) fn caption_lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()
}

/// The files of one key.
#[derive(Default)]
struct Files {
    pictures: Vec<PathBuf>,
    text: Option<PathBuf>,
}

pub(crate) fn read(root: &Path) -> Result<Gathered, DataError> {
    let mut paths = vec![];
    walk(root, &mut HashSet::new(), &mut paths)?;
    paths.sort();

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_key: BTreeMap<String, Files> = BTreeMap::new();
    for path in &paths {
        let extension =
            path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        *kinds.entry(extension.clone()).or_default() += 1;
        if is_picture(&extension) {
            by_key.entry(key(root, path)).or_default().pictures.push(path.clone());
        } else if extension == "txt" {
            by_key.entry(key(root, path)).or_default().text = Some(path.clone());
        }
    }
    let mut gathered = Gathered {
        looked_for: format!(
            "pictures ({}), each with a .txt of captions, in {}",
            PICTURE_EXTENSIONS.join(", "),
            root.display()
        ),
        found: format!("{} files{}", paths.len(), list_kinds(&kinds)),
        ..Default::default()
    };
    // Text files alone are no data set with holes, they are something else.
    if by_key.values().all(|files| files.pictures.is_empty()) {
        return Ok(gathered);
    }
    for (key, files) in by_key {
        gathered.seen += files.pictures.len().max(1);
        match record(key, files, &mut gathered) {
            Ok(record) => gathered.records.push(record),
            Err(bad) => _ = gathered.ledger.record(bad),
        }
    }
    Ok(gathered)
}

/// The record of one key, or what is wrong with it.
fn record(key: String, files: Files, gathered: &mut Gathered) -> Result<Record, BadRecord> {
    let bad = |cause, path: &Path, detail: String| BadRecord {
        cause,
        origin: path.display().to_string(),
        detail,
    };
    let mut pictures = files.pictures.into_iter();
    let picture = match (pictures.next(), &files.text) {
        (Some(picture), _) => picture,
        (None, text) => {
            let text = text.as_deref().unwrap_or(Path::new(&key));
            let detail = format!("captions without a picture; expected {key}.jpg, .png, ...");
            return Err(bad(Cause::MissingFile, text, detail));
        }
    };
    for other in pictures {
        let detail = format!("the key {key} is that of {} already", picture.display());
        gathered.ledger.record(bad(Cause::DuplicateKey, &other, detail));
    }
    let Some(text) = files.text else {
        let detail = format!("a picture without captions; expected {key}.txt beside it");
        return Err(bad(Cause::MissingFile, &picture, detail));
    };
    let bytes =
        fs::read(&text).map_err(|error| bad(Cause::MissingFile, &text, error.to_string()))?;
    let content = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        bad(Cause::InvalidUtf8, &text, format!("expected UTF-8; byte {at} is not"))
    })?;
    let captions = caption_lines(&content);
    if captions.is_empty() {
        let detail = "expected a caption on each line, found none".to_string();
        return Err(bad(Cause::EmptyCaption, &text, detail));
    }
    Ok(Record::new(key, captions, Picture::File(picture)))
}

/// The path below `root`, without its extension, with `/` on every system.
fn key(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// All files below a folder, except hidden ones. A folder that links back to one above it is
/// visited once.
fn walk(
    folder: &Path,
    visited: &mut HashSet<PathBuf>,
    paths: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    let real = fs::canonicalize(folder).map_err(|error| DataError::io(folder, error))?;
    if !visited.insert(real) {
        return Ok(());
    }
    let mut entries = vec![];
    for entry in fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
        let entry = entry.map_err(|error| DataError::io(folder, error))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry.path());
        }
    }
    // The system lists in any order; which of two links is visited must not depend on it.
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, visited, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// `: 3 .mp4, 1 .pdf`, the most frequent first.
fn list_kinds(kinds: &BTreeMap<String, usize>) -> String {
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = kinds.iter().take(8).map(|(extension, count)| match extension.as_str() {
        "" => format!("{count} without extension"),
        extension => format!("{count} .{extension}"),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}
