//! Sets of tensors over several files, with an index that says which file holds which tensor.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::array::Array;
use crate::error::WeightsError;
use crate::mapped::Mapped;
use crate::unique::Unique;
use crate::weights::{Source, open_file};

/// Behind a weights file's name, this makes the name of its index.
pub(crate) const INDEX_SUFFIX: &str = ".index.json";

/// The longest index. A line of it takes about 100 bytes.
const MAX_INDEX: usize = 64 << 20;

#[derive(Deserialize)]
struct Index {
    weight_map: Unique<String>,
}

/// An open index with its shards.
pub(crate) struct Sharded {
    index: PathBuf,
    shards: Vec<Box<dyn Source>>,
    /// The shard of each tensor.
    places: BTreeMap<String, usize>,
}

impl Sharded {
    /// Opens the index and every shard it names, and checks that each tensor is there.
    pub(crate) fn open(index: &Path) -> Result<Self, WeightsError> {
        let weight_map = read_index(index)?;
        let mut files: Vec<&String> = weight_map.values().collect();
        files.sort_unstable();
        files.dedup();
        let paths = files
            .iter()
            .map(|file| shard_path(index, file))
            .collect::<Result<Vec<_>, WeightsError>>()?;
        let shards =
            paths.iter().map(|path| open_file(path)).collect::<Result<Vec<_>, WeightsError>>()?;
        let mut places = BTreeMap::new();
        for (name, file) in &weight_map {
            // Every file of the map is in `files`.
            let place = files.partition_point(|&other| other < file);
            if shards[place].shape(name).is_none() {
                let detail = format!("promised by {}, and not in this shard", index.display());
                return Err(WeightsError::tensor(&paths[place], name, detail));
            }
            places.insert(name.clone(), place);
        }
        Ok(Self { index: index.into(), shards, places })
    }
}

impl Source for Sharded {
    fn names(&self) -> Vec<&str> {
        self.places.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shards[*self.places.get(name)?].shape(name)
    }

    fn read(&self, name: &str) -> Result<Array, WeightsError> {
        let missing = || WeightsError::missing(&self.index, name);
        self.shards[*self.places.get(name).ok_or_else(missing)?].read(name)
    }

    fn ignored(&self) -> usize {
        self.shards.iter().map(|shard| shard.ignored()).sum()
    }
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>, WeightsError> {
    let file = Mapped::open(path)?;
    if file.bytes().len() > MAX_INDEX {
        let detail = format!("an index of more than {MAX_INDEX} bytes is not read");
        return Err(WeightsError::file(path, detail));
    }
    let index: Index = serde_json::from_slice(file.bytes()).map_err(|source| {
        WeightsError::file(path, format!("expected an index with a weight_map: {source}"))
    })?;
    Ok(index.weight_map.0)
}

/// Where a shard stands: in the folder of the index or below it.
fn shard_path(index: &Path, file: &str) -> Result<PathBuf, WeightsError> {
    let relative = Path::new(file);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || file.is_empty() {
        let detail = format!("the shard {file:?} is not inside the folder of the index");
        return Err(WeightsError::file(index, detail));
    }
    let path = index.with_file_name(relative);
    if !path.is_file() {
        let detail = format!("the shard {file:?} is missing");
        return Err(WeightsError::file(index, detail));
    }
    Ok(path)
}
