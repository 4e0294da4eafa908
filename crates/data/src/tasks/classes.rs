//! Classification: a folder per class.
//!
//! `root/{train,val,test}/{class}/*.jpg`, or `root/{class}/*.jpg`, which is split by the pictures'
//! names. A class is called as its folder, with spaces for underscores; hidden files and folders
//! are left out, and so are files that are not pictures by their extension (both are counted).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{Fault, Gathering, name};
use super::{Labelled, TaskData, TaskSource};
use crate::error::{Cause, DataError};
use crate::folder::{PICTURE_EXTENSIONS, is_picture};
use crate::record::Picture;
use crate::regions::with_row;
use crate::row_table::RowTable;

const LOOKED_FOR: &str = "a folder per class, {class}/*.jpg, or the same in train, val and test";
const SPLITS: [&str; 3] = ["train", "val", "test"];

/// Pictures of some classes.
#[derive(Debug, Clone)]
pub struct Classes {
    /// In order of their folders' names; [`Labelled::class`] counts from 0 in it.
    pub names: Vec<String>,
    pub data: TaskData<Labelled>,
}

pub(super) fn open(source: &TaskSource) -> Result<Classes, DataError> {
    let place = source.place(LOOKED_FOR)?;
    if place.file.is_some() {
        return Err(place.nothing(LOOKED_FOR));
    }
    let root = &place.folder;
    let top = folders(root)?;
    let has_splits = top.iter().any(|folder| SPLITS.contains(&name(folder).as_str()));
    // Pairs of a split, absent where it is cut here, and a class folder in it.
    let mut found: Vec<(Option<String>, PathBuf)> = vec![];
    let mut gathering = Gathering::new();
    let mut regions = source.regions.as_deref().map(RowTable::open).transpose()?;
    for folder in top {
        let split = name(&folder);
        if !has_splits {
            found.push((None, folder));
        } else if SPLITS.contains(&split.as_str()) {
            found.extend(folders(&folder)?.into_iter().map(|class| (Some(split.clone()), class)));
        } else {
            gathering.note("folders beside train, val and test, left out", 1);
        }
    }
    let names: BTreeSet<String> = found.iter().map(|(_, folder)| name(folder)).collect();
    let names: Vec<String> = names.into_iter().collect();
    for (split, folder) in &found {
        let class = names.binary_search(&name(folder)).expect("it comes from these");
        let folder = ClassFolder { split: split.as_deref(), path: folder, class };
        folder.read(source, root, regions.as_mut(), &mut gathering)?;
    }
    let data = gathering.finish(source, LOOKED_FOR)?;
    let names = names.iter().map(|name| name.replace('_', " ")).collect();
    Ok(Classes { names, data })
}

/// The pictures of a class.
struct ClassFolder<'a> {
    /// Absent where the split is cut here.
    split: Option<&'a str>,
    path: &'a Path,
    class: usize,
}

impl ClassFolder<'_> {
    fn read(
        &self,
        source: &TaskSource,
        root: &Path,
        mut regions: Option<&mut RowTable>,
        gathering: &mut Gathering<Labelled>,
    ) -> Result<(), DataError> {
        let mut pictures = 0;
        for path in entries(self.path)? {
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if !path.is_file() || !is_picture(&extension) {
                gathering.note("files of class folders that are no pictures, left out", 1);
                continue;
            }
            let below = path.strip_prefix(root).unwrap_or(&path);
            let parts = below.components().map(|part| part.as_os_str().to_string_lossy());
            let key = parts.collect::<Vec<_>>().join("/");
            let split = self.split.unwrap_or_else(|| source.split_of(&key));
            let mut picture = Picture::File(path.clone());
            if let Some(table) = &mut regions {
                picture = with_row(picture, &[&key], table)?;
            }
            let example = Labelled { key: key.clone(), picture, class: self.class };
            gathering.add(split, &key, path.display().to_string(), Ok(example));
            pictures += 1;
        }
        if pictures == 0 {
            let detail = format!("a class without a picture ({})", PICTURE_EXTENSIONS.join(", "));
            let fault = Fault::new(Cause::MissingFile, detail);
            gathering.fault(self.path.display().to_string(), fault);
        }
        Ok(())
    }
}

/// The folders in a folder, by name.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// What is in a folder and not hidden, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = vec![];
    for entry in std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
        let path = entry.map_err(|error| DataError::io(folder, error))?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
