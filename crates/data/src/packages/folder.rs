//! A folder of many files as it should be: how many, their size, and one checksum over all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cache::create_file;
use super::error::PackageError;
use super::expected::is_absence;
use super::manifest::Folder;

impl Folder {
    /// Fails unless the files below `root` are the expected ones.
    pub(super) fn check(&self, root: &Path) -> Result<(), PackageError> {
        match self.damage(root, true)? {
            None => Ok(()),
            Some(found) => Err(PackageError::Differs {
                path: root.join(&self.file),
                expected: format!(
                    "{} files of {} bytes with SHA-256 {}",
                    self.files, self.bytes, self.sha256
                ),
                found,
            }),
        }
    }

    /// What is wrong with the files below `root`, if something is; their content is read only to
    /// `verify` it.
    pub(super) fn damage(&self, root: &Path, verify: bool) -> Result<Option<String>, PackageError> {
        let folder = root.join(&self.file);
        let files = match files(&folder) {
            Ok(files) => files,
            Err(error) if is_absence(&error) => {
                return Ok(Some(format!("{} is missing", self.file)));
            }
            Err(error) => return Err(PackageError::io(folder)(error)),
        };
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        if (files.len(), bytes) != (self.files, self.bytes) {
            let found = files.len();
            return Ok(Some(format!("{} has {found} files of {bytes} bytes", self.file)));
        }
        if verify && checksum(&files)? != self.sha256 {
            return Ok(Some(format!("{} has another checksum", self.file)));
        }
        Ok(None)
    }

    /// Copies the files from one root to another.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> Result<(), PackageError> {
        let folder = from.join(&self.file);
        for (path, _) in files(&folder).map_err(PackageError::io(&folder))? {
            let copy = to.join(&self.file).join(path.file_name().unwrap_or_default());
            let mut source = fs::File::open(&path).map_err(PackageError::io(&path))?;
            io::copy(&mut source, &mut create_file(&copy)?).map_err(PackageError::io(&copy))?;
        }
        Ok(())
    }
}

/// The files of a folder and their sizes, in order of their names.
fn files(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = path.metadata()?;
        if metadata.is_file() {
            files.push((path, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// As [`Folder::sha256`] says.
fn checksum(files: &[(PathBuf, u64)]) -> Result<String, PackageError> {
    let mut hash = Sha256::new();
    for (path, _) in files {
        let bytes = fs::read(path).map_err(PackageError::io(path))?;
        hash.update(path.file_name().unwrap_or_default().to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
