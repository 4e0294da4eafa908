//! What others have worked out for pictures, as one row for each in a tab-separated file: features of
//! regions, tags. The first column names the picture; a row stays in the file until it is asked for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{BadRecord, Cause, DataError};
use crate::record::Picture;
use crate::shards;

/// Digits of the number with which COCO's file names end.
const COCO_DIGITS: usize = 12;

/// Where each picture's row is.
#[derive(Debug, Clone, Default)]
pub struct RowTable {
    rows: HashMap<String, Row>,
    /// Which picture has the row of a name.
    taken: HashMap<String, String>,
}

/// A row in its file that has not been read yet.
#[derive(Debug, Clone)]
pub struct Row {
    path: Arc<Path>,
    offset: u64,
    len: u64,
    line: u64,
}

impl RowTable {
    /// Finds the rows of the file `path`, or of the files that a [pattern](shards::expand) stands for. What
    /// the rows hold is not looked at.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, has no row, a row without a second column, or two of one name.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let pattern = path.to_string_lossy();
        let mut table = Self::default();
        if !path.exists() && shards::is_pattern(&pattern) {
            for path in shards::expand(&pattern)? {
                table.add(&path)?;
            }
        } else {
            table.add(path)?;
        }
        Ok(table)
    }

    fn add(&mut self, path: &Path) -> Result<(), DataError> {
        let io = |error| DataError::io(path, error);
        let malformed = |line: u64, detail: String| DataError::Malformed {
            origin: format!("{}:{line}", path.display()),
            detail,
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
        let path: Arc<Path> = path.into();
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
            let len = reader.skip_until(b'\n').map_err(io)? as u64;
            let row = Row { path: path.clone(), offset: offset + named, len, line };
            let name = String::from_utf8_lossy(&name).into_owned();
            if let Some(first) = self.rows.insert(name.clone(), row) {
                let detail = format!("\"{name}\" has a row already, {}", first.origin());
                return Err(malformed(line, detail));
            }
            offset += named + len;
        }
        match line {
            1 => Err(malformed(1, "expected a row for each picture, found none".into())),
            _ => Ok(()),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of `picture`: by one of `known_as`, else by its file's name, with and without
    /// extension, or by the number with which COCO's names end (`391895` of
    /// `COCO_val2014_000000391895.jpg`).
    ///
    /// # Errors
    ///
    /// When another picture has the row already, such as one of the same name in another folder.
    pub fn find(&mut self, known_as: &[&str], picture: &Picture) -> Result<Option<Row>, DataError> {
        let names = known_as.iter().map(|name| name.to_string()).chain(names(picture));
        let Some(name) = names.into_iter().find(|name| self.rows.contains_key(name)) else {
            return Ok(None);
        };
        let row = self.rows[&name].clone();
        let origin = match picture.is_file() {
            true => picture.origin(),
            // Of a picture that is in no file its name is all there is.
            false => name.clone(),
        };
        match self.taken.entry(name) {
            Entry::Vacant(free) => _ = free.insert(origin),
            Entry::Occupied(other) if *other.get() == origin => (),
            Entry::Occupied(other) => {
                return Err(DataError::Config(format!(
                    "{}: \"{}\" is the name of {} and of {origin}; expected names that tell them \
                     apart, such as their paths",
                    row.origin(),
                    other.key(),
                    other.get()
                )));
            }
        }
        Ok(Some(row))
    }
}

impl Row {
    /// Where the row is, for messages.
    pub fn origin(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }

    /// The columns behind the name, as they stand in the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else there than when it was opened.
    pub fn columns(&self) -> Result<Vec<String>, BadRecord> {
        let bad = |cause, detail| BadRecord { cause, origin: self.origin(), detail };
        let text = self.text().map_err(|error| {
            bad(Cause::MissingFile, format!("expected {} bytes: {error}", self.len))
        })?;
        let text = String::from_utf8(text)
            .map_err(|error| bad(Cause::InvalidUtf8, format!("expected UTF-8: {error}")))?;
        Ok(text.trim_end_matches(['\r', '\n']).split('\t').map(str::to_string).collect())
    }

    fn text(&self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = vec![0; self.len as usize];
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
        Picture::AsStored { picture, .. } | Picture::WithRegions { picture, .. } => {
            return names(picture);
        }
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
        let mut table = table.unwrap();
        assert_eq!(table.len(), 4);
        let mut columns = |known_as: &[&str], file: &str| {
            let row = table.find(known_as, &Picture::File(file.into())).unwrap()?;
            Some(row.columns().unwrap())
        };
        assert_eq!(columns(&[], "a/COCO_val2014_000000391895.jpg").unwrap(), ["a"]);
        assert_eq!(columns(&[], "photo.png").unwrap(), ["b", "c"]);
        assert_eq!(columns(&[], "b/scan.jpg").unwrap(), ["d"]);
        assert_eq!(columns(&["none", "mine"], "b/scan.jpg").unwrap(), ["e"]);
        assert_eq!(columns(&["other"], "b/scan.jpg").unwrap(), ["d"]);
        // A number that is not COCO's says nothing.
        assert_eq!(columns(&[], "photo_391895.jpg"), None);
    }

    #[test]
    fn two_pictures_of_one_name_are_not_taken_for_one() {
        let (_folder, table) = table("7\ta\ntest/7.png\tb\n");
        let mut table = table.unwrap();
        let mut find =
            |known_as: &[&str], file: &str| table.find(known_as, &Picture::File(file.into()));
        assert!(find(&["train/7.png"], "train/7.png").unwrap().is_some());
        assert!(find(&["test/7.png"], "test/7.png").unwrap().is_some());
        let message = find(&["val/7.png"], "val/7.png").unwrap_err().to_string();
        assert!(message.contains("train/7.png") && message.contains("val/7.png"), "{message}");
        assert!(find(&[], "train/7.png").unwrap().is_some());
    }

    #[test]
    fn a_pattern_stands_for_several_files() {
        let folder = tempfile::tempdir().unwrap();
        for (part, text) in ["one\t1\n", "two\t2\n"].iter().enumerate() {
            std::fs::write(folder.path().join(format!("rows-{part}.tsv")), text).unwrap();
        }
        let table = RowTable::open(&folder.path().join("rows-{0..1}.tsv")).unwrap();
        assert_eq!(table.len(), 2);
        assert!(RowTable::open(&folder.path().join("rows-{0..2}.tsv")).is_err());
        std::fs::write(folder.path().join("rows-1.tsv"), "one\t2\n").unwrap();
        let message =
            RowTable::open(&folder.path().join("rows-{0..1}.tsv")).unwrap_err().to_string();
        assert!(message.contains("rows-1.tsv:1") && message.contains("rows-0.tsv:1"), "{message}");
    }

    #[test]
    fn a_file_that_is_no_table_is_refused_with_its_line() {
        for (text, expected) in [
            ("", ":1: "),
            ("one\t1\nalone\ntwo\t2\n", ":2: "),
            ("one\t1\ntwo\t2\none\t3\n", "has a row already"),
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
        let row = table.unwrap().find(&["one"], &Picture::Embedded(&[])).unwrap().unwrap();
        let bad = row.columns().unwrap_err();
        assert!(bad.origin.ends_with("rows.tsv:1") && bad.cause == Cause::MissingFile, "{bad}");
    }
}
