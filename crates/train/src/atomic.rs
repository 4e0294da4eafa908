//! Files and folders that are there whole or not at all: written aside, and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};

/// A file that is written beside the one whose place it takes in the end. If it does not come to that, it is removed.
pub struct Aside {
    file: BufWriter<File>,
    path: PathBuf,
    target: PathBuf,
    placed: bool,
}

impl Aside {
    /// A new file, for what will be in `target`.
    ///
    /// # Errors
    ///
    /// When its folder cannot be written.
    pub fn create(target: &Path) -> Result<Self> {
        let (file, path) = create(target).with_context(|| target.display().to_string())?;
        let file = BufWriter::new(file);
        Ok(Self { file, path, target: target.to_path_buf(), placed: false })
    }

    /// Takes the place of the file that it is for: a reader finds the old one or the new one whole, after a power cut,
    /// too.
    ///
    /// # Errors
    ///
    /// When it cannot be put on disk or renamed; the old file is then as it was.
    pub fn place(mut self) -> Result<()> {
        let mut try_it = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.path, &self.target)
        };
        try_it().with_context(|| self.target.display().to_string())?;
        self.placed = true;
        sync_folder(folder_of(&self.target));
        Ok(())
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.placed {
            // What kept it from its place is the error to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A new file beside `target`, of a name that is nobody else's. One that was killed may have left files behind and had
/// this process' number: they are passed over.
fn create(target: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = with_ending(target, &format!("{}-{count}.tmp", std::process::id()));
        match File::options().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, path)),
        }
    }
}

/// `path` with `.ending` behind its name, whatever dots that has.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Fails where the file `path` could not be written. Asked before what it is for is begun, which may take hours.
///
/// # Errors
///
/// When its folder cannot be made or written, or is a file.
pub fn can_write(path: &Path) -> Result<()> {
    let try_it = || -> io::Result<()> {
        fs::create_dir_all(folder_of(path))?;
        let (file, aside) = create(path)?;
        drop(file);
        fs::remove_file(aside)
    };
    try_it().with_context(|| format!("{}: cannot be written", path.display()))?;
    ensure!(!path.is_dir(), "{}: expected the name of a file, and it is a folder", path.display());
    Ok(())
}

/// Writes a file aside and renames it, so that a reader finds the old one or the new one whole.
///
/// # Errors
///
/// When it cannot be written; the old one is then as it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut aside = Aside::create(path)?;
    aside.write_all(bytes).with_context(|| path.display().to_string())?;
    aside.place()
}

/// Makes the folder `out`, which must not exist or be empty, by `fill`: it is written aside and
/// renamed, so that it is there whole or not at all.
///
/// # Errors
///
/// When `out` holds something, `fill` fails, or the folder cannot be written.
pub fn folder_atomically<T>(out: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let context = || out.display().to_string();
    if out.exists() && fs::read_dir(out).with_context(context)?.next().is_some() {
        bail!("{}: there is something already", out.display());
    }
    let Some(name) = out.file_name() else {
        bail!("{}: expected the name of a folder", out.display());
    };
    let aside = out.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    // What is left of one that was killed.
    if aside.exists() {
        fs::remove_dir_all(&aside).with_context(context)?;
    }
    fs::create_dir_all(&aside).with_context(context)?;
    let filled = fill(&aside);
    if filled.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&aside);
        return filled;
    }
    if out.exists() {
        fs::remove_dir(out).with_context(context)?;
    }
    fs::rename(&aside, out).with_context(context)?;
    filled
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename, or a new folder, survives a power cut once the folder that it is in is on disk; not every system lets one
/// ask for it (Windows opens no folder so).
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_twice_at_a_time_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.json");
        let (mut one, mut other) = (Aside::create(&path).unwrap(), Aside::create(&path).unwrap());
        one.write_all(b"one").unwrap();
        other.write_all(b"the other").unwrap();
        // Neither does one who only asks whether it could be written take it away.
        can_write(&path).unwrap();
        other.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the other");
        one.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["cells.json"]);
    }

    #[test]
    fn files_of_one_stem_and_temporary_ones_keep_apart() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.jsonl", "a.tsv", "a.tmp"].map(|name| folder.path().join(name));
        fs::write(&paths[2], "old").unwrap();
        let mut all: Vec<Aside> = paths.iter().map(|path| Aside::create(path).unwrap()).collect();
        for (at, aside) in all.iter_mut().enumerate() {
            write!(aside, "{at}").unwrap();
        }
        assert_eq!(fs::read(&paths[2]).unwrap(), b"old");
        all.into_iter().for_each(|aside| aside.place().unwrap());
        let written = paths.map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(written, ["0", "1", "2"]);
    }

    #[test]
    fn what_fails_leaves_nothing_but_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"old").unwrap();
        let mut aside = Aside::create(&path).unwrap();
        aside.write_all(b"half").unwrap();
        drop(aside);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let taken = folder.path().join("b");
        fs::create_dir(&taken).unwrap();
        let error = write_atomically(&taken, b"new").unwrap_err();
        assert!(format!("{error:#}").contains("b"), "{error:#}");
        assert!(can_write(&taken).is_err() && can_write(&path.join("c")).is_err());
        assert_eq!(names(folder.path()), ["a.json", "b"]);
    }
}
