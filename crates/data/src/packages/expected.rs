//! A file as it should be: its size and its checksum.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::PackageError;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// A file, its path within some folder, and what it should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected<'a> {
    pub(super) file: &'a str,
    pub(super) bytes: u64,
    /// SHA-256, 64 hexadecimal digits in lower case.
    pub(super) sha256: String,
}

impl Expected<'_> {
    /// Fails unless the file in `folder` is the expected one.
    pub(super) fn check(&self, folder: &Path) -> Result<(), PackageError> {
        self.check_at(&folder.join(self.file))
    }

    /// Fails unless the file at `path`, whatever its name, is the expected one.
    pub(super) fn check_at(&self, path: &Path) -> Result<(), PackageError> {
        let file = File::open(path).map_err(PackageError::io(path))?;
        let (bytes, sha256) = digest(file).map_err(PackageError::io(path))?;
        if (bytes, &sha256) == (self.bytes, &self.sha256) {
            return Ok(());
        }
        Err(PackageError::Differs {
            path: path.into(),
            expected: format!("{} bytes with SHA-256 {}", self.bytes, self.sha256),
            found: format!("{bytes} bytes with SHA-256 {sha256}"),
        })
    }

    /// What is wrong with the file in `folder`, if something is; its content is read only to
    /// `verify` it.
    pub(super) fn damage(
        &self,
        folder: &Path,
        verify: bool,
    ) -> Result<Option<String>, PackageError> {
        let path = folder.join(self.file);
        match path.metadata() {
            Ok(found) if !found.is_file() => Ok(Some(format!("{} is no file", self.file))),
            Ok(found) if found.len() != self.bytes => Ok(Some(format!(
                "{} has {} bytes, expected {}",
                self.file,
                found.len(),
                self.bytes
            ))),
            Ok(_) if verify => match self.check_at(&path) {
                Err(error @ PackageError::Differs { .. }) => Ok(Some(error.to_string())),
                other => other.map(|()| None),
            },
            Ok(_) => Ok(None),
            Err(error) if is_absence(&error) => Ok(Some(format!("{} is missing", self.file))),
            Err(error) => Err(PackageError::io(path)(error)),
        }
    }
}

/// Whether nothing is there, or a file is where a folder of the path should be.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Number of bytes and SHA-256.
pub(super) fn digest(mut content: impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match content.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&chunk[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
