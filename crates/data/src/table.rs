//! Tables of picture paths and captions: JSON lines, CSV and TSV.
//!
//! Rows with the same picture are one record with several captions. Its key is that of its first row:
//! the `key` column where there is one, else the picture's path as the table has it. A key is one
//! picture's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::dataset::{Gathered, SourceConfig};
use crate::error::{BadRecord, Cause, DataError};
use crate::record::{Picture, Record};
use crate::tags;

const KEY_COLUMN: &str = "key";

struct Row {
    image: String,
    key: Option<String>,
    captions: Vec<String>,
    annotations: BTreeMap<String, String>,
}

type RowError = (Cause, String);

/// Reads a file of one JSON object per line. The caption is a text or a list of texts.
pub(crate) fn read_jsonl(path: &Path, config: &SourceConfig) -> Result<Gathered, DataError> {
    let mut reader = BufReader::new(File::open(path).map_err(|error| DataError::io(path, error))?);
    let mut merger = Merger::new(path, config);
    let (mut columns, mut objects) = (BTreeSet::new(), 0);
    let (mut with_image, mut with_caption) = (false, false);
    let mut bytes = vec![];
    for line in 1.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|error| DataError::io(path, error))? == 0 {
            break;
        }
        let content = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if content.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let object = json_object(content);
        if let Ok(object) = &object {
            objects += 1;
            with_image |= object.contains_key(&config.image_column);
            with_caption |= object.contains_key(&config.caption_column);
            // Enough to help somebody who mistyped one; a table has the same ones everywhere.
            if columns.len() < 50 {
                columns.extend(object.keys().cloned());
            }
        }
        merger.add(line, object.and_then(|object| json_row(&object, config)));
    }
    if objects > 0 {
        let columns: Vec<String> = columns.into_iter().collect();
        let wanted = [(&config.image_column, with_image), (&config.caption_column, with_caption)];
        for (column, present) in wanted {
            if !present {
                return Err(no_column(path, column, &columns));
            }
        }
    }
    Ok(merger.finish())
}

fn json_object(bytes: &[u8]) -> Result<Map<String, Value>, RowError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        (Cause::InvalidUtf8, format!("expected UTF-8; byte {} is not", error.valid_up_to()))
    })?;
    serde_json::from_str(text)
        .map_err(|error| (Cause::MalformedRecord, format!("expected one JSON object: {error}")))
}

fn json_row(object: &Map<String, Value>, config: &SourceConfig) -> Result<Row, RowError> {
    let malformed = |column: &str, expected: &str, found: Option<&Value>| {
        let found = found.map_or("nothing".into(), Value::to_string);
        (Cause::MalformedRecord, format!("\"{column}\" should be {expected}, found {found}"))
    };
    let image = match object.get(&config.image_column) {
        Some(Value::String(image)) => image.clone(),
        other => return Err(malformed(&config.image_column, "the path of a picture", other)),
    };
    let found = object.get(&config.caption_column);
    let captions = found
        .and_then(caption_values)
        .ok_or_else(|| malformed(&config.caption_column, "a text or a list of texts", found))?;
    let key = match object.get(KEY_COLUMN) {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone()),
        Some(Value::Number(key)) => Some(key.to_string()),
        other => return Err(malformed(KEY_COLUMN, "a text or a number", other)),
    };
    Ok(Row { image, key, captions, annotations: tags_of(object, config)? })
}

/// The annotation that the names in the tags' field make; nothing where the field is not there.
pub(crate) fn tags_of(
    object: &Map<String, Value>,
    config: &SourceConfig,
) -> Result<BTreeMap<String, String>, RowError> {
    let Some(column) = &config.tags_column else { return Ok(BTreeMap::new()) };
    let Some(value) = object.get(column).filter(|value| !value.is_null()) else {
        return Ok(BTreeMap::new());
    };
    let names = tags::from_json(value).ok_or_else(|| {
        let detail =
            format!("\"{column}\" should be names of what is in the picture, found {value}");
        (Cause::MalformedRecord, detail)
    })?;
    Ok(BTreeMap::from([(tags::ANNOTATION.to_string(), names)]))
}

/// The texts in a caption field; `None` where it is neither a text nor a list of them.
pub(crate) fn caption_values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(caption) => Some(vec![caption.clone()]),
        Value::Array(items) => items.iter().map(|v| v.as_str().map(String::from)).collect(),
        _ => None,
    }
}

/// Reads a table with a header line and `delimiter` between its fields.
pub(crate) fn read_csv(
    path: &Path,
    delimiter: u8,
    config: &SourceConfig,
) -> Result<Gathered, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    // Rows of another length are bad records, not the end of the file.
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(file);
    let malformed = |error: csv::Error| DataError::Malformed {
        origin: path.display().to_string(),
        detail: format!("expected a table with a header: {error}"),
    };
    let header = reader.headers().map_err(malformed)?.clone();
    let mut merger = Merger::new(path, config);
    if header.is_empty() {
        return Ok(merger.finish());
    }
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_string()).collect();
    let position = |name: &str| columns.iter().position(|column| column == name);
    let required = |name: &str| position(name).ok_or_else(|| no_column(path, name, &columns));
    let image = required(&config.image_column)?;
    let caption = required(&config.caption_column)?;
    let key = position(KEY_COLUMN);
    let named = config.tags_column.as_deref().and_then(position);

    let mut bytes = csv::ByteRecord::new();
    while reader.read_byte_record(&mut bytes).map_err(malformed)? {
        let line = bytes.position().map_or(0, |position| position.line());
        if bytes.iter().any(|field| field.contains(&b'\n')) {
            return Err(unclosed_quote(path, line));
        }
        let row = fields(&bytes, columns.len()).map(|fields| Row {
            image: fields[image].trim().to_string(),
            key: key.map(|key| fields[key].trim().to_string()).filter(|key| !key.is_empty()),
            captions: vec![fields[caption].to_string()],
            annotations: named
                .map(|named| (tags::ANNOTATION.to_string(), fields[named].to_string()))
                .into_iter()
                .collect(),
        });
        merger.add(line, row);
    }
    Ok(merger.finish())
}

/// A quotation mark at the beginning of a field that is not closed takes the rows behind it for a part of the
/// field, and they would be gone without a word. A caption is a line, so a line break is never wanted.
fn unclosed_quote(path: &Path, line: u64) -> DataError {
    DataError::Malformed {
        origin: format!("{}:{line}", path.display()),
        detail: "expected fields of one line, found a line break between quotation marks; is a quotation \
                 mark at the beginning of a field of this row not closed, or not doubled within quotation \
                 marks?"
            .into(),
    }
}

fn fields(bytes: &csv::ByteRecord, expected: usize) -> Result<csv::StringRecord, RowError> {
    if bytes.len() != expected {
        let found = bytes.len();
        let detail = format!("expected {expected} fields as in the header, found {found}");
        return Err((Cause::MalformedRecord, detail));
    }
    csv::StringRecord::from_byte_record(bytes.clone()).map_err(|error| {
        let field = error.utf8_error().field() + 1;
        (Cause::InvalidUtf8, format!("expected UTF-8; field {field} is not"))
    })
}

pub(crate) fn no_column(path: &Path, column: &str, columns: &[String]) -> DataError {
    DataError::Config(format!(
        "{}: no column \"{column}\"; its columns are {} (name others with --image-column and \
         --caption-column, or set data.image_column and data.caption_column)",
        path.display(),
        columns.join(", ")
    ))
}

/// Puts rows together that belong to one picture.
struct Merger<'a> {
    path: &'a Path,
    root: PathBuf,
    /// Places of records, by every key that a row of theirs has.
    by_key: HashMap<String, usize>,
    by_image: HashMap<String, usize>,
    /// The records' pictures, as the table has them.
    images: Vec<String>,
    gathered: Gathered,
}

impl<'a> Merger<'a> {
    fn new(path: &'a Path, config: &SourceConfig) -> Self {
        let looked_for = format!(
            "rows with the columns \"{}\" and \"{}\" in {}",
            config.image_column,
            config.caption_column,
            path.display()
        );
        Merger {
            path,
            root: config.image_root(path),
            by_key: HashMap::new(),
            by_image: HashMap::new(),
            images: vec![],
            gathered: Gathered { looked_for, ..Default::default() },
        }
    }

    fn add(&mut self, line: u64, row: Result<Row, RowError>) {
        self.gathered.seen += 1;
        if let Err((cause, detail)) = row.and_then(|row| self.merge(line, row)) {
            self.bad(line, "", cause, detail);
        }
    }

    fn bad(&mut self, line: u64, place: &str, cause: Cause, detail: String) {
        let origin = format!("{}:{line}{place}", self.path.display());
        self.gathered.ledger.record(BadRecord { cause, origin, detail });
    }

    fn merge(&mut self, line: u64, row: Row) -> Result<(), RowError> {
        let image = row.image.strip_prefix("./").unwrap_or(&row.image).to_string();
        if image.is_empty() {
            return Err((Cause::MalformedRecord, "expected the path of a picture".into()));
        }
        let known = self.by_image.get(&image).copied();
        // Of a picture that is known already, a row without a key needs none.
        let key = row.key.or_else(|| known.is_none().then(|| image.clone()));
        self.is_free(key.as_deref(), &image)?;
        let picture = self.root.join(&image);
        if known.is_none() && !picture.is_file() {
            let detail = format!("the picture {} does not exist", picture.display());
            return Err((Cause::MissingFile, detail));
        }
        let given = row.captions.len();
        let captions: Vec<String> = row.captions.iter().map(|c| c.trim().to_string()).collect();
        let captions: Vec<String> = captions.into_iter().filter(|c| !c.is_empty()).collect();
        if captions.is_empty() {
            return Err((Cause::EmptyCaption, format!("no caption for {image}")));
        }
        if captions.len() < given {
            let detail = format!("{} of {given} captions of {image}", given - captions.len());
            self.bad(line, " (others kept)", Cause::EmptyCaption, detail);
        }
        let index = known.unwrap_or(self.images.len());
        if let Some(key) = &key {
            self.by_key.insert(key.clone(), index);
        }
        match known {
            Some(index) => {
                let record = &mut self.gathered.records[index];
                record.captions.extend(captions);
                for (name, more) in row.annotations {
                    let names = record.annotations.entry(name).or_default();
                    *names = tags::join(names, &more);
                }
            }
            None => {
                self.by_image.insert(image.clone(), index);
                let key = key.unwrap_or_else(|| image.clone());
                self.images.push(image);
                let record = Record::new(key, captions, Picture::File(picture));
                let record = record.annotated(row.annotations);
                self.gathered.records.push(record);
            }
        }
        Ok(())
    }

    /// An error where `key` is another picture's.
    fn is_free(&self, key: Option<&str>, image: &str) -> Result<(), RowError> {
        let Some((key, &owner)) = key.and_then(|key| Some((key, self.by_key.get(key)?))) else {
            return Ok(());
        };
        if self.images[owner] == image {
            return Ok(());
        }
        let mut detail = format!("\"{key}\" is the key of {} already", self.images[owner]);
        if let Some(&own) = self.by_image.get(image) {
            let _ =
                write!(detail, ", and {image} has the key \"{}\"", self.gathered.records[own].key);
        }
        Err((Cause::DuplicateKey, detail))
    }

    fn finish(self) -> Gathered {
        let found = format!("{} rows", self.gathered.seen);
        Gathered { found, ..self.gathered }
    }
}
