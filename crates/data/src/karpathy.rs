//! Karpathy's split files for COCO and Flickr30k: one JSON file that names the pictures, their
//! split and their five sentences.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::dataset::{Gathered, SourceConfig};
use crate::error::{BadRecord, Cause, DataError};
use crate::record::{Picture, Record};

#[derive(Deserialize)]
struct SplitFile {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    /// The folder below the root; COCO has it, Flickr30k does not.
    filepath: Option<String>,
    filename: Option<String>,
    split: Option<String>,
    #[serde(default)]
    sentences: Vec<Sentence>,
    imgid: Option<u64>,
    cocoid: Option<u64>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: Option<String>,
}

/// Reads a split file. `restval`, which everybody trains on, goes to `train`.
pub(crate) fn read(path: &Path, config: &SourceConfig) -> Result<Gathered, DataError> {
    let bytes = std::fs::read(path).map_err(|error| DataError::io(path, error))?;
    let file: SplitFile = serde_json::from_slice(&bytes).map_err(|error| DataError::Malformed {
        origin: path.display().to_string(),
        detail: format!(
            "expected a Karpathy split file, {{\"images\": [{{\"filename\", \"split\", \
             \"sentences\": [{{\"raw\"}}]}}]}}: {error} (a file of one object per line should be \
             named .jsonl)"
        ),
    })?;
    let root = config.image_root(path);
    let mut gathered = Gathered {
        looked_for: format!("pictures in the split file {}", path.display()),
        found: format!("{} images", file.images.len()),
        seen: file.images.len(),
        ..Default::default()
    };
    let mut splits = vec![];
    let mut keys = HashSet::new();
    for (index, image) in file.images.iter().enumerate() {
        let origin = format!("{}: images[{index}]", path.display());
        match record(image, &root, &origin, &mut gathered) {
            Ok((split, record)) if keys.insert(record.key.clone()) => {
                gathered.records.push(record);
                splits.push(split);
            }
            Ok((_, Record { key, .. })) => {
                let detail = format!("\"{key}\" stands in the file already");
                gathered.ledger.record(BadRecord { cause: Cause::DuplicateKey, origin, detail });
            }
            Err((cause, detail)) => _ = gathered.ledger.record(BadRecord { cause, origin, detail }),
        }
    }
    gathered.own_splits = Some(splits);
    Ok(gathered)
}

fn record(
    image: &Image,
    root: &Path,
    origin: &str,
    gathered: &mut Gathered,
) -> Result<(String, Record), (Cause, String)> {
    let malformed = |detail: &str| (Cause::MalformedRecord, detail.to_string());
    let name = image.filename.as_deref().ok_or_else(|| malformed("expected a \"filename\""))?;
    let split = match image.split.as_deref() {
        Some("train" | "restval") => "train",
        Some("val") => "val",
        Some("test") => "test",
        other => {
            let found = other.unwrap_or("nothing");
            let detail = format!("split of {name}: expected train, restval, val or test");
            return Err((Cause::MalformedRecord, format!("{detail}, found {found}")));
        }
    };
    let given = image.sentences.len();
    let captions = image.sentences.iter().filter_map(|sentence| sentence.raw.as_deref());
    let captions: Vec<String> =
        captions.map(|c| c.trim().to_string()).filter(|c| !c.is_empty()).collect();
    if captions.is_empty() {
        return Err((Cause::EmptyCaption, format!("no sentence for {name}")));
    }
    // COCO's pictures are often unpacked without the folder that the file names.
    let below = image.filepath.as_ref().map(|folder| Path::new(folder).join(name));
    let candidates = below.iter().map(|below| root.join(below)).chain([root.join(name)]);
    let picture = candidates.clone().find(|path| path.is_file()).ok_or_else(|| {
        let tried: Vec<String> = candidates.map(|path| path.display().to_string()).collect();
        (Cause::MissingFile, format!("no picture {}", tried.join(" or ")))
    })?;
    if captions.len() < given {
        gathered.ledger.record(BadRecord {
            cause: Cause::EmptyCaption,
            origin: format!("{origin} (others kept)"),
            detail: format!("{} of {given} sentences of {name}", given - captions.len()),
        });
    }
    let id = image.cocoid.or(image.imgid);
    let annotations: BTreeMap<String, String> =
        id.map(|id| ("image_id".to_string(), id.to_string())).into_iter().collect();
    let record = Record::new(name, captions, Picture::File(picture)).annotated(annotations);
    Ok((split.to_string(), record))
}
