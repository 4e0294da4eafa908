//! Files that one process holds at a time. The system lets go of them when the process dies, however it dies.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Result};
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

fn open(path: &Path) -> Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Some network drives have no locks: there, people must keep processes apart themselves.
fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_drive_without_locks_is_no_error() {
        assert!(is_missing(&ErrorKind::Unsupported.into()));
        assert!(!is_missing(&ErrorKind::PermissionDenied.into()));
    }
}
