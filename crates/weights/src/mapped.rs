//! Files mapped into memory: only the tensors that are asked for are read from disk.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::WeightsError;

/// A mapped file. Clones share the mapping.
#[derive(Clone)]
pub(crate) struct Mapped {
    path: Arc<PathBuf>,
    map: Arc<Mmap>,
}

impl Mapped {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::io(path, source);
        // Asked before opening: to open a pipe would wait for its writer.
        if !path.metadata().map_err(io)?.is_file() {
            return Err(WeightsError::file(path, "expected a regular file"));
        }
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is private and read only. Another process that shortens the file
        // meanwhile ends this one (SIGBUS), as with every program that maps its weights; files are
        // replaced by renaming.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self { path: Arc::new(path.into()), map: Arc::new(map) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes of a range, none where it ends behind the file.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.map.get(range)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
