//! Where packages lie, and how a folder comes to be there as a whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::PackageError;
use super::manifest::Manifest;
use crate::lock;

/// The folder for what can be fetched again: `$WEFT_CACHE`, or `weft` in the system's folder for
/// caches (`$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
/// Windows).
///
/// # Errors
/// [`PackageError::NoCache`] where no variable says where that is.
pub fn cache_folder() -> Result<PathBuf, PackageError> {
    cache_folder_of(std::env::var_os)
}

/// As [`cache_folder`], for these variables of the environment.
fn cache_folder_of(
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<PathBuf, PackageError> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = folder("WEFT_CACHE") {
        return Ok(cache);
    }
    let (home, below) = if cfg!(windows) {
        ("LOCALAPPDATA", "")
    } else if cfg!(target_os = "macos") {
        ("HOME", "Library/Caches")
    } else {
        ("HOME", ".cache")
    };
    // A relative path there counts for nothing, says the XDG Base Directory Specification.
    let xdg = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let caches = xdg.or_else(|| folder(home).map(|home| home.join(below)));
    caches.map(|caches| caches.join("weft")).ok_or(PackageError::NoCache { home })
}

/// The place of one package in a cache, held by this process alone.
pub(super) struct Place {
    /// The package's folder.
    pub(super) folder: PathBuf,
    aside: PathBuf,
    _lock: File,
}

/// Two empty folders beside the package's own.
pub(super) struct Aside {
    /// For what the client brings.
    pub(super) download: PathBuf,
    /// Becomes the package's folder.
    pub(super) new: PathBuf,
}

impl Place {
    /// Waits until no other process is getting the same package.
    pub(super) fn lock(cache: &Path, manifest: &Manifest) -> Result<Self, PackageError> {
        fs::create_dir_all(cache).map_err(PackageError::io(cache))?;
        let name = manifest.folder_name();
        let path = cache.join(format!(".{name}.lock"));
        // Where a drive has no locks two processes at once may fail, not mix: every file is checked before the
        // folder is renamed.
        let lock = lock::hold(&path).map_err(PackageError::io(&path))?;
        let aside = cache.join(format!(".{name}.partial"));
        Ok(Self { folder: cache.join(name), aside, _lock: lock })
    }

    /// Gives the folder the content that `make` writes, all of it or none.
    pub(super) fn fill(
        &self,
        make: impl FnOnce(&Aside) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        // What a process left that died.
        remove(&self.aside)?;
        let aside = Aside { download: self.aside.join("download"), new: self.aside.join("new") };
        let done = create(&aside).and_then(|()| make(&aside)).and_then(|()| self.put(&aside));
        let removed = remove(&self.aside);
        done.and(removed)
    }

    /// Moves the new folder to its place, and away what is there.
    fn put(&self, aside: &Aside) -> Result<(), PackageError> {
        let (folder, old) = (&self.folder, self.aside.join("old"));
        let is_there = folder.exists();
        if is_there {
            fs::rename(folder, &old).map_err(PackageError::io(folder))?;
        }
        fs::rename(&aside.new, folder).map_err(|error| {
            if is_there {
                // Better the old one than none. What hinders the one hinders the other, perhaps.
                _ = fs::rename(&old, folder);
            }
            PackageError::io(folder)(error)
        })
    }
}

fn create(aside: &Aside) -> Result<(), PackageError> {
    for folder in [&aside.download, &aside.new] {
        fs::create_dir_all(folder).map_err(PackageError::io(folder))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), PackageError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(PackageError::io(folder)),
    }
}

/// A new file, in a folder that is made where it is missing.
pub(super) fn create_file(path: &Path) -> Result<File, PackageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(PackageError::io(folder))?;
    File::create(path).map_err(PackageError::io(path))
}

/// Copies a file through to the disk.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), PackageError> {
    let mut source = File::open(from).map_err(PackageError::io(from))?;
    let mut file = create_file(to)?;
    io::copy(&mut source, &mut file).and_then(|_| file.sync_all()).map_err(PackageError::io(to))
}

/// Writes a small file through to the disk.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), PackageError> {
    let mut file = create_file(path)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(PackageError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_folder_of(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
        .ok()
    }

    #[test]
    fn a_variable_of_its_own_comes_first() {
        let all = [("WEFT_CACHE", "mine"), ("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/h")];
        assert_eq!(found(&all), Some("mine".into()));
        let empty = [("WEFT_CACHE", ""), ("XDG_CACHE_HOME", ""), ("HOME", "")];
        assert_eq!(found(&empty), None);
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_systems_folder_comes_next() {
        let home = ("HOME", "/home/h");
        assert_eq!(found(&[("XDG_CACHE_HOME", "/xdg"), home]), Some("/xdg/weft".into()));
        assert_eq!(found(&[("XDG_CACHE_HOME", "xdg"), home]), Some("/home/h/.cache/weft".into()));
        assert_eq!(found(&[home]), Some("/home/h/.cache/weft".into()));
    }
}
