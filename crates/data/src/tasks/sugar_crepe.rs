//! SugarCrepe (Hsieh et al., NeurIPS 2023): a caption of a picture of COCO and one that is false of
//! it.
//!
//! Seven files, one per kind (`swap_obj.json`, `swap_att.json`, `add_obj.json`, `add_att.json`,
//! `replace_obj.json`, `replace_att.json`, `replace_rel.json`), each an object from index to
//! `{filename, caption, negative_caption}`. The pictures are those of `val2017`. Everything is one
//! split, `test`; the kind is the file's, the key `kind/index`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::{Checked, Gathering, Lenient, Pictures, Place, name, read_json, text};
use super::{Contrast, TaskData, TaskSource};
use crate::error::DataError;

const KINDS: [&str; 7] =
    ["swap_obj", "swap_att", "add_obj", "add_att", "replace_obj", "replace_att", "replace_rel"];
const ENTRY: &str = "{\"filename\": text, \"caption\": text, \"negative_caption\": text}";

#[derive(Deserialize)]
struct Entry {
    filename: String,
    caption: String,
    negative_caption: String,
}

pub(super) fn files(place: &Place) -> Result<Vec<PathBuf>, DataError> {
    place.files(|name| name.strip_suffix(".json").is_some_and(|stem| KINDS.contains(&stem)))
}

pub(super) fn open(
    source: &TaskSource,
    place: &Place,
    looked_for: &str,
) -> Result<TaskData<Contrast>, DataError> {
    source.gather(place, looked_for, files(place)?, read_kind)
}

fn read_kind(
    path: &Path,
    pictures: &mut Pictures,
    gathering: &mut Gathering<Contrast>,
) -> Result<(), DataError> {
    let file = name(path);
    let kind = file.trim_end_matches(".json");
    let entries: BTreeMap<String, Lenient<Entry>> =
        read_json(path, &format!("{{index: {ENTRY}}}"))?;
    // In the order of the numbers, which the file's own order is.
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_by_key(|(index, _)| (index.parse::<u64>().unwrap_or(u64::MAX), index.clone()));
    for (index, entry) in entries {
        let key = format!("{kind}/{index}");
        let origin = format!("{}: {index}", path.display());
        let contrast = entry.good(ENTRY).and_then(|entry| contrast(&key, kind, entry, pictures));
        gathering.add("test", &key, origin, contrast);
    }
    Ok(())
}

fn contrast(key: &str, kind: &str, entry: Entry, pictures: &mut Pictures) -> Checked<Contrast> {
    let captions =
        [text(&entry.caption, "caption")?, text(&entry.negative_caption, "negative_caption")?];
    let file = &entry.filename;
    let picture = pictures.find(&[file.clone(), format!("val2017/{file}")])?;
    Ok(Contrast { key: key.to_owned(), kind: kind.to_owned(), captions, picture, other: None })
}
