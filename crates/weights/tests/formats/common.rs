//! Files to test with.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weft_weights::{Array, Data, Weights};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder that is removed in the end.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The names of the files in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub fn floats(shape: &[usize], values: impl Into<Vec<f32>>) -> Array {
    Array { shape: shape.to_vec(), data: Data::Float(values.into()) }
}

pub fn ints(shape: &[usize], values: impl Into<Vec<i64>>) -> Array {
    Array { shape: shape.to_vec(), data: Data::Int(values.into()) }
}

/// The message of opening `path`, which must name it.
pub fn open_error(path: &Path) -> String {
    let message = Weights::open(path).unwrap_err().to_string();
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    message
}

/// A safetensors file of this header.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A zip archive of stored members.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in members {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// All members of a zip archive.
pub fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut member = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            std::io::copy(&mut member, &mut content).unwrap();
            (member.name().unwrap().into_owned(), content)
        })
        .collect()
}

/// Holds every tensor against the fixture of expected values.
pub fn assert_holds(found: &Weights, expected: &str) {
    let expected = Weights::open(fixture(expected)).unwrap();
    assert_eq!(found.names(), expected.names());
    for name in expected.names() {
        let array = expected.get(name).unwrap();
        assert_eq!(found.shape(name).unwrap(), array.shape, "{name}");
        assert_eq!(found.get(name).unwrap(), array, "{name}");
    }
}
