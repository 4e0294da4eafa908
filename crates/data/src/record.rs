//! One picture with its captions, the picture's bytes still where they are stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::error::{BadRecord, Cause};

/// Where the encoded bytes of a picture are.
#[derive(Debug, Clone)]
pub enum Picture {
    /// In the program itself.
    Embedded(&'static [u8]),
    File(PathBuf),
    /// `len` bytes from byte `offset` of an archive.
    InArchive {
        archive: PathBuf,
        entry: String,
        offset: u64,
        len: u64,
    },
}

/// A picture and the captions that are true of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Unique in the data set; every random choice about the record is keyed by it.
    pub key: String,
    /// At least one; the first is the one that an evaluation with one caption uses.
    pub captions: Vec<String>,
    pub picture: Picture,
    /// What else the data set says of the picture (concept, group, skin tone, ...).
    pub annotations: BTreeMap<String, String>,
}

impl Picture {
    /// Where the picture is, for messages.
    pub fn origin(&self) -> String {
        match self {
            Picture::Embedded(_) => "embedded picture".into(),
            Picture::File(path) => path.display().to_string(),
            Picture::InArchive { archive, entry, .. } => {
                format!("{}:{entry}", archive.display())
            }
        }
    }

    /// Reads the encoded bytes.
    pub fn read(&self) -> Result<Vec<u8>, BadRecord> {
        let missing = |error: std::io::Error| BadRecord {
            cause: Cause::MissingFile,
            origin: self.origin(),
            detail: format!("expected a readable picture: {error}"),
        };
        match self {
            Picture::Embedded(bytes) => Ok(bytes.to_vec()),
            Picture::File(path) => std::fs::read(path).map_err(missing),
            Picture::InArchive { archive, offset, len, .. } => {
                let mut file = File::open(archive).map_err(missing)?;
                file.seek(SeekFrom::Start(*offset)).map_err(missing)?;
                let mut bytes = vec![0; *len as usize];
                file.read_exact(&mut bytes).map_err(|error| BadRecord {
                    cause: Cause::TruncatedArchive,
                    origin: self.origin(),
                    detail: format!("expected {len} bytes at offset {offset}: {error}"),
                })?;
                Ok(bytes)
            }
        }
    }
}
