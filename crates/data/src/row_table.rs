//! What others have worked out for pictures, as one row for each in a tab-separated file: features of
//! regions, tags. The first column names the picture; a row stays in the file until it is asked for.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{BadRecord, Cause, DataError};
use crate::record::Picture;

/// Digits of the number with which COCO's file names end.
const COCO_DIGITS: usize = 12;

/// Where each picture's row of a file is.
#[derive(Debug, Clone)]
pub struct RowTable {
    path: Arc<Path>,
    rows: HashMap<String, Place>,
}

/// A row in its file.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    len: u64,
    line: u64,
}

/// A row that has not been read yet.
#[derive(Debug, Clone)]
pub struct Row {
    path: Arc<Path>,
    place: Place,
}

impl RowTable {
    /// Finds the rows of `path`, whose contents are not looked at.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, has no row, a row without a second column, or two of one name.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let io = |error| DataError::io(path, error);
        let malformed = |line: u64, detail: String| DataError::Malformed {
            origin: format!("{}:{line}", path.display()),
            detail,
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
        let mut rows = HashMap::new();
        let (mut offset, mut line, mut name) = (0, 0, Vec::new());
        loop {
            line += 1;
            name.clear();
            let named = reader.read_until(b'\t', &mut name).map_err(io)? as u64;
            if named == 0 {
                break;
            }
            if name.pop() != Some(b'\t') || name.contains(&b'\n') {
                let detail = "expected a picture's name, a tab and what is known of it".into();
                return Err(malformed(line, detail));
            }
            let rest = reader.skip_until(b'\n').map_err(io)? as u64;
            let place = Place { offset: offset + named, len: rest, line };
            let name = String::from_utf8_lossy(&name).into_owned();
            if let Some(first) = rows.insert(name.clone(), place) {
                let detail = format!("\"{name}\" stands in line {} already", first.line);
                return Err(malformed(line, detail));
            }
            offset += named + rest;
        }
        if rows.is_empty() {
            return Err(malformed(1, "expected a row for each picture, found none".into()));
        }
        Ok(Self { path: path.into(), rows })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of `picture`: by `key` where there is one, else by its file's name, with and without
    /// extension, or by the number with which COCO's names end (`391895` of
    /// `COCO_val2014_000000391895.jpg`).
    pub fn find(&self, key: Option<&str>, picture: &Picture) -> Option<Row> {
        let names = key.map(str::to_string).into_iter().chain(names(picture));
        let place = names.filter_map(|name| self.rows.get(&name)).next()?;
        Some(Row { path: self.path.clone(), place: *place })
    }
}

impl Row {
    /// Where the row is, for messages.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.path.display(), self.place.line)
    }

    /// The columns behind the name, as they stand in the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else there than when it was opened.
    pub fn columns(&self) -> Result<Vec<String>, BadRecord> {
        let bad = |cause, detail| BadRecord { cause, origin: self.origin(), detail };
        let text = self.text().map_err(|error| {
            bad(Cause::MissingFile, format!("expected {} bytes: {error}", self.place.len))
        })?;
        let text = String::from_utf8(text)
            .map_err(|error| bad(Cause::InvalidUtf8, format!("expected UTF-8: {error}")))?;
        Ok(text.trim_end_matches(['\r', '\n']).split('\t').map(str::to_string).collect())
    }

    fn text(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.place.offset))?;
        let mut text = vec![0; self.place.len as usize];
        file.read_exact(&mut text)?;
        Ok(text)
    }
}

/// By what a table may know a picture.
fn names(picture: &Picture) -> Vec<String> {
    let file = match picture {
        Picture::File(path) => path.clone(),
        Picture::InArchive { entry, .. } => PathBuf::from(entry),
        Picture::Cropped { whole, .. } => return names(whole),
        Picture::WithRegions { picture, .. } => return names(picture),
        Picture::Embedded(_) | Picture::Generated(_) => return Vec::new(),
    };
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let stem = text(file.file_stem());
    let number = stem.as_ref().and_then(|stem| coco_number(stem));
    [text(file.file_name()), stem, number].into_iter().flatten().collect()
}

/// `391895` of `COCO_val2014_000000391895`.
fn coco_number(stem: &str) -> Option<String> {
    let digits = stem.rsplit('_').next()?;
    let number = digits.len() == COCO_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| digits.parse::<u64>().ok()).flatten().map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> (tempfile::TempDir, Result<RowTable, DataError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.tsv");
        std::fs::write(&path, text).unwrap();
        let table = RowTable::open(&path);
        (folder, table)
    }

    #[test]
    fn a_row_is_found_by_key_name_stem_and_coco_number() {
        let (_folder, table) = table("391895\ta\nphoto.png\tb\tc\r\nscan\td\nmine\te");
        let table = table.unwrap();
        assert_eq!(table.len(), 4);
        let columns = |key: Option<&str>, file: &str| {
            let row = table.find(key, &Picture::File(file.into()))?;
            Some(row.columns().unwrap())
        };
        assert_eq!(columns(None, "a/COCO_val2014_000000391895.jpg").unwrap(), ["a"]);
        assert_eq!(columns(None, "photo.png").unwrap(), ["b", "c"]);
        assert_eq!(columns(None, "a.tar/scan.jpg").unwrap(), ["d"]);
        assert_eq!(columns(Some("mine"), "scan.jpg").unwrap(), ["e"]);
        assert_eq!(columns(Some("other"), "scan.jpg").unwrap(), ["d"]);
        // A number that is not COCO's says nothing.
        assert_eq!(columns(None, "photo_391895.jpg"), None);
    }

    #[test]
    fn a_file_that_is_no_table_is_refused_with_its_line() {
        for (text, expected) in [
            ("", ":1: "),
            ("one\t1\nalone\ntwo\t2\n", ":2: "),
            ("one\t1\ntwo\t2\none\t3\n", "line 1 already"),
        ] {
            let (_folder, table) = table(text);
            let message = table.unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_file_that_shrank_is_named() {
        let (folder, table) = table("one\t1234567\n");
        std::fs::write(folder.path().join("rows.tsv"), "one\t1").unwrap();
        let row = table.unwrap().find(Some("one"), &Picture::Embedded(&[])).unwrap();
        let bad = row.columns().unwrap_err();
        assert!(bad.origin.ends_with("rows.tsv:1") && bad.cause == Cause::MissingFile, "{bad}");
    }
}
