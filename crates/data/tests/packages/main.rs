//! Getting packages: with a client, by hand, and what is left when something goes wrong.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use weft_data::packages::{Manifest, Options, PackageError, State};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

mod by_hand;
mod client;
mod damage;
mod dinov2;
mod folders;
mod manifests;
mod real;

const WHEEL: &str = "tiny-1.0-py3-none-any.whl";

/// A wheel's members, by their paths in it, and what they hold.
const MEMBERS: [(&str, &[u8]); 3] = [
    ("tiny/model/config.json", b"{}"),
    ("tiny/model/1_Pooling/config.json", b"{\"mean\": true}"),
    ("tiny/setup.py", b"never"),
];

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wheel(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    for (path, content) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*path, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The first two of [`MEMBERS`], without the folder that they have in common, and a text.
fn manifest_toml(wheel: &[u8]) -> String {
    let mut toml = format!(
        "name = \"tiny\"\ndescription = \"d\"\n[source]\nclient = \"pip\"\npackage = \"tiny\"\n\
         version = \"1.0\"\nfile = \"{WHEEL}\"\nbytes = {}\nsha256 = \"{}\"\nlicence = \"l\"\n\
         attribution = \"a\"\n",
        wheel.len(),
        sha256(wheel)
    );
    for (path, content) in &MEMBERS[..2] {
        let file = path.strip_prefix("tiny/model/").unwrap();
        toml += &format!(
            "[[members]]\npath = \"{path}\"\nfile = \"{file}\"\nbytes = {}\nsha256 = \"{}\"\n",
            content.len(),
            sha256(content)
        );
    }
    toml + "[[texts]]\nfile = \"README.md\"\ntext = '''\nabout it\n'''\n"
}

/// A cache, a wheel beside it, and the wheel's manifest.
struct Setting {
    root: TempDir,
    manifest: Manifest,
}

impl Setting {
    fn new() -> Self {
        let wheel = wheel(&MEMBERS, CompressionMethod::Deflated);
        Self::with(&wheel, &manifest_toml(&wheel))
    }

    fn with(wheel: &[u8], toml: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(WHEEL), wheel).unwrap();
        Self { root, manifest: Manifest::parse(toml).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn folder(&self) -> PathBuf {
        self.path("cache/tiny-1.0")
    }

    /// No client is there, and the wheel is not said to be there either.
    fn without_client(&self) -> Options {
        let client = Some(self.path("no-such-program").into_os_string());
        Options { cache: self.path("cache"), client, file: None, verify: false }
    }

    /// The wheel was brought by hand.
    fn by_hand(&self) -> Options {
        Options { file: Some(self.path(WHEEL)), ..self.without_client() }
    }

    fn got(&self, options: &Options) -> State {
        let package = self.manifest.get(options).unwrap();
        assert_eq!(package.folder, self.folder());
        assert_eq!(self.manifest.folder(&self.path("cache")).unwrap(), self.folder());
        self.assert_complete();
        package.state
    }

    fn error(&self, options: &Options) -> String {
        self.manifest.get(options).unwrap_err().to_string()
    }

    fn assert_complete(&self) {
        let found = files(&self.folder());
        assert_eq!(
            found,
            ["1_Pooling/config.json", "README.md", "config.json"].map(String::from).into()
        );
        for (path, content) in &MEMBERS[..2] {
            let file = path.strip_prefix("tiny/model/").unwrap();
            assert_eq!(fs::read(self.folder().join(file)).unwrap(), *content);
        }
        assert_eq!(fs::read(self.folder().join("README.md")).unwrap(), b"about it\n");
        assert_eq!(files(&self.path("cache")).len(), 3 + 1, "the files and a lock");
    }

    /// Of a package that was not got, the lock alone stays.
    fn assert_nothing_is_left(&self) {
        assert_eq!(files(&self.path("cache")), [".tiny-1.0.lock".to_string()].into());
        assert!(!self.folder().exists());
        let error = self.manifest.folder(&self.path("cache")).unwrap_err();
        assert!(matches!(error, PackageError::NotThere { .. }));
        names(&error.to_string(), &["tiny-1.0", "`weft data get tiny`"]);
    }
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).unwrap();
                found.insert(inside.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found
}

/// Asserts that the text has every part.
fn names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no \"{part}\" in: {text}");
    }
}
