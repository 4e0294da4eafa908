//! The zip archive that `torch.save` writes since version 1.6.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::error::WeightsError;
use crate::mapped::Mapped;

/// What every zip archive with something in it begins with.
const MAGIC: &[u8] = b"PK\x03\x04";

/// How many times its compressed size a member may have. Weights hardly shrink, and the pickle
/// about tenfold; a bomb counts on a thousandfold.
const MAX_GROWTH: u64 = 200;

/// The member that holds the pickle.
const PICKLE: &str = "data.pkl";

/// An open archive: where its members stand in the mapped file.
pub(super) struct Archive {
    file: Mapped,
    members: BTreeMap<String, Member>,
    /// The folder of the pickle within the archive, with its slash.
    root: String,
}

struct Member {
    start: usize,
    compressed: usize,
    size: usize,
    method: CompressionMethod,
    crc32: u32,
    /// Whether the checksum is right, once it has been asked for.
    intact: OnceLock<bool>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = Mapped::open(path)?;
        if !file.bytes().starts_with(MAGIC) {
            return Err(WeightsError::file(path, other_format(file.bytes())));
        }
        let members = members(&file)
            .map_err(|detail| WeightsError::file(path, format!("zip archive: {detail}")))?;
        let mut roots = members.keys().filter_map(|name| name.strip_suffix(PICKLE));
        let root = match (roots.next(), roots.next()) {
            (Some(root), None) if root.is_empty() || root.ends_with('/') => root.to_string(),
            _ => {
                let detail = format!("expected a zip archive with one {PICKLE}, as of torch.save");
                return Err(WeightsError::file(path, detail));
            }
        };
        let archive = Self { file, members, root };
        archive.check_byte_order()?;
        Ok(archive)
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn pickle(&self) -> Result<Cow<'_, [u8]>, WeightsError> {
        self.read(PICKLE).map_err(|detail| WeightsError::file(self.path(), detail))
    }

    /// Bytes of a storage, none where there is no such storage.
    pub(super) fn storage_size(&self, key: &str) -> Option<usize> {
        self.member(&format!("data/{key}")).map(|member| member.size)
    }

    /// The bytes of a storage.
    pub(super) fn storage(&self, key: &str) -> Result<Cow<'_, [u8]>, String> {
        self.read(&format!("data/{key}"))
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.get(&format!("{}{name}", self.root))
    }

    fn check_byte_order(&self) -> Result<(), WeightsError> {
        if self.member("byteorder").is_none() {
            return Ok(());
        }
        let broken = |detail: String| WeightsError::file(self.path(), detail);
        match &*self.read("byteorder").map_err(broken)? {
            b"little" => Ok(()),
            other => Err(broken(format!(
                "expected the byte order little, found {:?}",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    fn read(&self, name: &str) -> Result<Cow<'_, [u8]>, String> {
        let broken = |detail: &str| format!("{name} of the zip archive: {detail}");
        let member = self.member(name).ok_or_else(|| broken("is missing"))?;
        let bytes = member.bytes(&self.file).map_err(|detail| broken(&detail))?;
        // Some writers leave the checksum out, which then is 0.
        let intact = || member.crc32 == 0 || crc32fast::hash(&bytes) == member.crc32;
        if *member.intact.get_or_init(intact) { Ok(bytes) } else { Err(broken("wrong checksum")) }
    }
}

impl Member {
    fn bytes<'a>(&self, file: &'a Mapped) -> Result<Cow<'a, [u8]>, String> {
        let end = self.start.checked_add(self.compressed);
        let packed = end
            .and_then(|end| file.get(self.start..end))
            .ok_or_else(|| format!("its {} bytes end behind the file", self.compressed))?;
        match self.method {
            CompressionMethod::Stored if self.size == packed.len() => Ok(Cow::Borrowed(packed)),
            CompressionMethod::Stored => {
                Err(format!("claims {} bytes, holds {}", self.size, packed.len()))
            }
            CompressionMethod::Deflated => inflate(packed, self.size as u64).map(Cow::Owned),
            other => Err(format!("compression {other} is not read")),
        }
    }
}

/// Unpacks to exactly `size` bytes. The buffer grows with what is there, not with what is claimed.
fn inflate(packed: &[u8], size: u64) -> Result<Vec<u8>, String> {
    if size > (packed.len() as u64).saturating_mul(MAX_GROWTH) {
        return Err(format!("claims {size} bytes of {} compressed ones", packed.len()));
    }
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed)
        .take(size + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| source.to_string())?;
    if bytes.len() as u64 != size {
        return Err(format!("claims {size} bytes, holds {} or more", bytes.len()));
    }
    Ok(bytes)
}

fn members(file: &Mapped) -> Result<BTreeMap<String, Member>, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(file.clone())).map_err(|source| source.to_string())?;
    let mut members = BTreeMap::new();
    for index in 0..archive.len() {
        // Raw: only the place and the sizes are asked for.
        let entry = archive.by_index_raw(index).map_err(|source| source.to_string())?;
        let name = entry.name().map_err(|source| source.to_string())?.into_owned();
        if entry.encrypted() {
            return Err(format!("{name:?} is encrypted"));
        }
        let place = |number: u64| usize::try_from(number).map_err(|_| format!("{name:?} is huge"));
        let member = Member {
            start: place(entry.data_start().unwrap_or(u64::MAX))?,
            compressed: place(entry.compressed_size())?,
            size: place(entry.size())?,
            method: entry.compression(),
            crc32: entry.crc32(),
            intact: OnceLock::new(),
        };
        if members.insert(name.clone(), member).is_some() {
            return Err(format!("{name:?} comes twice"));
        }
    }
    Ok(members)
}

/// What a file that is no zip archive may be.
fn other_format(bytes: &[u8]) -> String {
    // The magic number that a pickle starts with, and the mark of a tar archive.
    let number = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    let head = &bytes[..bytes.len().min(512)];
    let is_legacy = head.windows(number.len()).any(|window| window == number)
        || head.windows(5).any(|window| window == b"ustar");
    if is_legacy {
        "written in the format of torch before 1.6; convert it in Python: \
         torch.save(torch.load(path, map_location=\"cpu\", weights_only=True), new_path)"
            .into()
    } else {
        "expected a zip archive, as torch.save writes since torch 1.6".into()
    }
}
