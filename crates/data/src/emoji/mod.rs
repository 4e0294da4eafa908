//! The built-in data set: every emoji as a picture with sentences about it.
//!
//! It needs no download and no folder, has real compositions (who, doing what, in which skin tone),
//! and is small enough to train on in minutes. `datasets/emoji.toml` says where it comes from.

mod caption;
mod catalogue;
mod groups;
pub mod similar;
mod split;

use std::collections::BTreeMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::error::{DataError, Ledger};
use crate::record::{Picture, Record};
use catalogue::{Entry, catalogue};
use similar::Thumbnail;

pub use split::{TEST_COMPOSITIONS, TEST_CONCEPTS, TRAIN, VAL};

/// The name by which the data set is asked for.
pub const NAME: &str = "emoji";

/// Whom a page that shows the pictures must name.
pub const CREDIT: &str =
    "Emoji art: Twemoji, copyright Twitter, Inc and other contributors, CC-BY 4.0";

/// Where the data set comes from, its licences and its checksum.
pub const MANIFEST: &str = include_str!("../../../../datasets/emoji.toml");

/// Of several places with the same flag, those that are named second.
const FLAG_OF_ANOTHER: &[&str] = &[
    "flag: Bouvet Island",
    "flag: Ceuta & Melilla",
    "flag: Clipperton Island",
    "flag: Diego Garcia",
    "flag: U.S. Outlying Islands",
];

/// Opens the data set. The splits are a function of `split_seed` alone.
pub fn open(split_seed: u64) -> Result<Dataset, DataError> {
    let entries = catalogue();
    let pictures = entries.len();
    let (entries, also) = without_repeats(entries)?;
    let assigned = split::assign(&entries, split_seed);

    let mut splits: BTreeMap<String, Vec<Record>> = [TRAIN, VAL, TEST_CONCEPTS, TEST_COMPOSITIONS]
        .map(|name| (name.to_string(), vec![]))
        .into();
    for ((entry, also), split) in entries.iter().zip(&also).zip(assigned) {
        splits.entry(split.to_string()).or_default().push(record(entry, also));
    }
    for records in splits.values_mut() {
        records.sort_by(|a, b| a.key.cmp(&b.key));
    }
    let notes = BTreeMap::from([
        ("pictures in the source".to_string(), pictures as u64),
        ("near-duplicates left out".to_string(), (pictures - entries.len()) as u64),
    ]);
    Ok(Dataset { name: NAME.into(), splits, ledger: Ledger::default(), notes })
}

/// SHA-256 over all pictures of the source in order of their keys: of each the key, a zero byte,
/// the number of bytes (64 bits, little-endian) and the bytes.
pub fn checksum() -> String {
    let mut entries = catalogue();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let mut hash = Sha256::new();
    for entry in entries {
        hash.update(entry.key.as_bytes());
        hash.update([0]);
        hash.update((entry.png.len() as u64).to_le_bytes());
        hash.update(entry.png);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Leaves out pictures that repeat another. Returns with each that stays the captions of those it
/// stands for.
fn without_repeats(entries: Vec<Entry>) -> Result<(Vec<Entry>, Vec<Vec<String>>), DataError> {
    let thumbnails: Vec<Thumbnail> = entries
        .par_iter()
        .map(|entry| Thumbnail::of(&entry.key, entry.png))
        .collect::<Result<_, _>>()?;
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&index| rank(&entries[index]));
    let repeats = similar::repeats(&thumbnails, &order);

    let mut also = vec![vec![]; entries.len()];
    for (index, kept) in repeats.iter().enumerate() {
        // A flag stays true under its other names. Families do not: drawn as silhouettes, they
        // show adults and children, not women and girls.
        if let Some(kept) = kept.filter(|_| entries[index].is_flag()) {
            also[kept].push(caption::canonical(&entries[index]));
        }
    }
    let kept = entries.into_iter().zip(also).zip(repeats).filter(|(_, repeats)| repeats.is_none());
    Ok(kept.map(|(kept, _)| kept).unzip())
}

/// Of pictures that are alike the one with the lowest rank stays, then the first in Unicode's order.
fn rank(entry: &Entry) -> u8 {
    let specific_family = entry.base.starts_with("family") && !entry.base.contains("adult");
    u8::from(specific_family || FLAG_OF_ANOTHER.contains(&entry.base.as_str()))
}

fn record(entry: &Entry, also: &[String]) -> Record {
    let mut captions = caption::captions(entry);
    captions.extend(also.iter().cloned());
    let mut annotations = BTreeMap::from([
        ("name".to_string(), entry.emoji.name().to_string()),
        ("base".to_string(), entry.base.clone()),
        ("group".to_string(), caption::group_name(entry.emoji).to_string()),
        ("siblings".to_string(), groups::sibling_group(entry)),
        ("emoji".to_string(), entry.emoji.as_str().to_string()),
        ("concept".to_string(), entry.concept.clone()),
    ]);
    let tone = (!entry.tones.is_empty()).then(|| entry.tone());
    let gender = entry.gender.map(str::to_string);
    let optional = [("gender", gender), ("tone", tone), ("hair", entry.hair.clone())];
    for (name, value) in optional {
        if let Some(value) = value {
            annotations.insert(name.to_string(), value);
        }
    }
    Record::new(&entry.key, captions, Picture::Embedded(entry.png)).annotated(annotations)
}
