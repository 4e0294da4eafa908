//! Names of what is in a picture, as the data set or a detector gives them (MVP's tag concepts).

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{BadRecord, Cause, DataError};
use crate::record::Record;
use crate::row_table::RowTable;

/// Where a record's tags are among its annotations: names with commas between them.
pub const ANNOTATION: &str = "tags";

/// How tags reach the image encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagConfig {
    /// Most tags of a picture, each counted once; what is more is left out at the end.
    pub most: usize,
    /// Probability with which a picture is shown without its tags in training. Our addition, for data whose
    /// tags are the truth: at test time nobody knows them.
    pub drop: f64,
    /// Whether the model is shown tags outside training, too: those of a detector, which is always there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_test: bool,
}

/// The names that `record` has as tags.
pub fn of(record: &Record) -> impl Iterator<Item = &str> {
    let names = record.annotations.get(ANNOTATION).map_or("", String::as_str);
    names.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Whether the data set says of the record what is in its picture, be it nothing.
pub fn are_known(record: &Record) -> bool {
    record.annotations.contains_key(ANNOTATION)
}

/// What a table of tags came to.
#[derive(Debug, Default)]
pub struct Attached {
    /// Records with a row.
    pub found: u64,
    /// What was wrong with rows.
    pub bad: Vec<BadRecord>,
}

/// Gives each record the tags in its row of `table`, and takes away all others: one without a good row has
/// none.
///
/// A row's last column is a text with commas between names, or JSON: a list of names, or what detectors
/// write, `[{"class": "man", ...}, ...]`, alone or as `{"objects": ...}`.
///
/// # Errors
///
/// When two pictures have one row.
pub fn attach<'a>(
    table: &mut RowTable,
    records: impl IntoIterator<Item = &'a mut Record>,
) -> Result<Attached, DataError> {
    let mut attached = Attached::default();
    for record in records {
        record.annotations.remove(ANNOTATION);
        let Some(row) = table.find(&[&record.key], &record.picture)? else { continue };
        attached.found += 1;
        let names = row.columns().and_then(|columns| {
            let text = columns.last().map_or("", String::as_str);
            from_text(text).ok_or_else(|| BadRecord {
                cause: Cause::MalformedRecord,
                origin: row.origin(),
                detail: format!("expected names of what is in the picture, found {text}"),
            })
        });
        match names {
            Ok(names) => _ = record.annotations.insert(ANNOTATION.into(), names),
            Err(problem) => attached.bad.push(problem),
        }
    }
    Ok(attached)
}

/// As annotations have them, from a text with commas or from JSON.
fn from_text(text: &str) -> Option<String> {
    let text = text.trim();
    match text.starts_with(['[', '{']) {
        true => from_json(&serde_json::from_str(text).ok()?),
        false => Some(text.to_string()),
    }
}

/// As annotations have them, each once: from a text, a list of names, or a detector's list of objects.
/// `None` where it is none of them.
pub(crate) fn from_json(value: &Value) -> Option<String> {
    let items = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Array(items) => items,
        Value::Object(fields) => fields.get("objects")?.as_array()?,
        _ => return None,
    };
    let names: Vec<&str> = items.iter().map(name_in).collect::<Option<_>>()?;
    let first = |at: &usize| !names[*at].is_empty() && !names[..*at].contains(&names[*at]);
    Some((0..names.len()).filter(first).map(|at| names[at]).collect::<Vec<_>>().join(", "))
}

/// The names of `more` behind those of `names`, each once.
pub(crate) fn join(names: &str, more: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for name in names.split(',').chain(more.split(',')).map(str::trim) {
        if !name.is_empty() && !all.contains(&name) {
            all.push(name);
        }
    }
    all.join(", ")
}

/// A name, or that of a detected object.
fn name_in(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item.get("class")?.as_str()).map(str::trim)
}

impl TagConfig {
    /// The tags of `record` that training shows, by their rows in the embedding table, each once; those
    /// without a row are left out.
    pub fn shown(
        &self,
        record: &Record,
        row: impl Fn(&str) -> Option<u32>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<u32> {
        if rng.random::<f64>() < self.drop {
            return Vec::new();
        }
        self.all(record, row)
    }

    /// The tags of `record`, as [`shown`](Self::shown) has them where it shows any.
    pub fn all(&self, record: &Record, row: impl Fn(&str) -> Option<u32>) -> Vec<u32> {
        // A tag that stands there twice would be the answer beside its own mask.
        let mut shown = HashSet::new();
        let rows = of(record).filter_map(|name| row(&name.to_lowercase()));
        rows.filter(|row| shown.insert(*row)).take(self.most).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::addressed;
    use crate::record::Picture;

    fn record(tags: &str) -> Record {
        let annotations = BTreeMap::from([(ANNOTATION.to_string(), tags.to_string())]);
        let captions = vec!["a picture".to_string()];
        Record::new("one", captions, Picture::Embedded(&[])).annotated(annotations)
    }

    fn row(name: &str) -> Option<u32> {
        ["panda", "ice cream", "violin"].iter().position(|known| *known == name).map(|at| at as u32)
    }

    #[test]
    fn names_stand_between_commas() {
        let tagged = record("panda, ice cream,, violin ");
        assert_eq!(of(&tagged).collect::<Vec<_>>(), ["panda", "ice cream", "violin"]);
        assert_eq!(of(&record("")).count(), 0);
        let none = Record::new("two", vec![], Picture::Embedded(&[]));
        assert_eq!(of(&none).count(), 0);
    }

    #[test]
    fn all_that_detectors_write_is_read() {
        for (text, expected) in [
            ("panda, ice cream", "panda, ice cream"),
            (r#"["panda", "ice cream", "panda"]"#, "panda, ice cream"),
            (r#"[{"class": "man", "rect": [1, 2, 3, 4]}, {"class": "hat"}]"#, "man, hat"),
            (r#"{"objects": [{"class": "man"}], "image_h": 3}"#, "man"),
            ("[]", ""),
        ] {
            assert_eq!(from_text(text).as_deref(), Some(expected), "{text}");
        }
        for bad in ["[1, 2]", "{}", "[\"panda\"", r#"{"objects": 3}"#] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_table_gives_tags_and_names_its_bad_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags.tsv");
        std::fs::write(&path, "one\tpanda\ntwo\t[3]\n").unwrap();
        let mut table = RowTable::open(&path).unwrap();
        let mut records =
            ["one", "two", "three"].map(|key| Record { key: key.into(), ..record("gnu") });
        let Attached { found, bad } = attach(&mut table, &mut records).unwrap();
        let tags = records.each_ref().map(|record| record.annotations.get(ANNOTATION));
        assert_eq!(tags, [Some(&"panda".to_string()), None, None]);
        assert_eq!(found, 2);
        assert!(bad.len() == 1 && bad[0].origin.ends_with("tags.tsv:2"), "{bad:?}");
    }

    #[test]
    fn a_tag_is_shown_once_and_counted_once() {
        let config = TagConfig { most: 2, drop: 0.0, at_test: true };
        let tagged = record("panda, Panda, gnu, panda, ice cream, violin");
        assert_eq!(config.all(&tagged, row), [0, 1]);
        // Names that share a row are one tag.
        assert_eq!(config.all(&tagged, |_| Some(7)), [7]);
    }

    #[test]
    fn tags_are_shown_as_often_as_the_configuration_says() {
        let config = TagConfig { most: 2, drop: 0.25, at_test: false };
        let tagged = record("Panda, gnu, ice cream, violin");
        let draws = 4000;
        let shown = (0..draws).filter(|draw| {
            let tags = config.shown(&tagged, row, &mut addressed(1, *draw, "one", "tags"));
            assert!(tags.is_empty() || tags == [0, 1], "{tags:?}");
            !tags.is_empty()
        });
        // Four standard deviations of a binomial of 4,000 draws are 0.028.
        assert!((shown.count() as f64 / draws as f64 - 0.75).abs() < 0.028);
    }
}
