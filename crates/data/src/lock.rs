//! Files that one process holds at a time. The system lets go of them when the process dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Waits until no other process holds the file `path`, which is made where it is not there.
///
/// # Errors
///
/// When it cannot be opened or locked.
pub fn hold(path: &Path) -> Result<File> {
    let file = open(path)?;
    match file.lock() {
        Err(error) if !is_missing(&error) => Err(error),
        _ => Ok(file),
    }
}

/// The same without waiting: nothing where another process holds it.
///
/// # Errors
///
/// As [`hold`].
pub fn try_hold(path: &Path) -> Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if !is_missing(&error) => Err(error),
        _ => Ok(Some(file)),
    }
}

/// To be read, too: Windows locks no file that is open for appending alone.
fn open(path: &Path) -> Result<File> {
    File::options().create(true).read(true).append(true).open(path)
}

/// Some network drives have no locks: there, people must keep processes apart themselves.
fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported || is_without_a_server(error)
}

/// Whether it is NFS without the service that keeps its locks, which the standard library has no name for.
#[cfg(unix)]
fn is_without_a_server(error: &Error) -> bool {
    error.raw_os_error() == Some(libc::ENOLCK)
}

#[cfg(not(unix))]
fn is_without_a_server(_: &Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = hold(&path).unwrap();
        assert!(try_hold(&path).unwrap().is_none());
        drop(held);
        let held = try_hold(&path).unwrap();
        assert!(held.is_some() && try_hold(&path).unwrap().is_none());
        let nowhere = folder.path().join("no/folder.lock");
        assert!(hold(&nowhere).is_err() && try_hold(&nowhere).is_err());
    }

    /// As Windows wants it; elsewhere it can be seen by reading.
    #[test]
    fn it_is_open_for_reading_and_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        std::fs::write(&path, "content").unwrap();
        let mut content = String::new();
        hold(&path).unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn a_drive_without_locks_is_no_error() {
        assert!(is_missing(&ErrorKind::Unsupported.into()));
        #[cfg(unix)]
        assert!(is_missing(&Error::from_raw_os_error(libc::ENOLCK)));
        assert!(!is_missing(&ErrorKind::PermissionDenied.into()));
    }
}
