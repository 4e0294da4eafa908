//! Writing safetensors files.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tempfile::NamedTempFile;

use crate::array::{Array, Data, element_count};
use crate::error::WeightsError;
use crate::safetensors::METADATA;

/// Writes a safetensors file of f32 and i64 tensors.
///
/// The same tensors and metadata give the same bytes: integers come first, which keeps every tensor
/// aligned, and names are sorted within each kind. The metadata is completed by `format: pt`, which
/// Hugging Face libraries ask for. The file is written aside and renamed, so `path` holds the old
/// content or all of the new one.
///
/// # Errors
///
/// Where a name comes twice or is the format's own, an array has other than its shape's number of
/// elements, or the file cannot be written; then nothing is left behind.
pub fn write<'a>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (impl AsRef<str>, &'a Array)>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let tensors = sorted(path, tensors)?;
    let header = header(&tensors, metadata);
    replace(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        tensors.iter().try_for_each(|((_, _), array)| write_data(file, &array.data))
    })
    .map_err(|source| WeightsError::io(path, source))
}

/// Order in the file: integers in front of floats, then by name.
type Key = (bool, String);

fn sorted<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (impl AsRef<str>, &'a Array)>,
) -> Result<BTreeMap<Key, &'a Array>, WeightsError> {
    let mut sorted = BTreeMap::new();
    for (name, array) in tensors {
        let name = name.as_ref();
        let broken = |detail: String| Err(WeightsError::tensor(path, name, detail));
        if name == METADATA {
            return broken("the name belongs to the format".into());
        }
        if element_count(&array.shape) != Some(array.data.len()) {
            return broken(size_error(array));
        }
        let is_float = matches!(array.data, Data::Float(_));
        if sorted.contains_key(&(!is_float, name.to_string())) {
            return broken("comes twice".into());
        }
        if sorted.insert((is_float, name.to_string()), array).is_some() {
            return broken("comes twice".into());
        }
    }
    Ok(sorted)
}

fn size_error(array: &Array) -> String {
    let expected =
        element_count(&array.shape).map_or("an addressable number of".into(), |n| n.to_string());
    let found = array.data.len();
    format!("expected {expected} elements of shape {:?}, found {found}", array.shape)
}

/// The header, padded so that the data behind it is aligned.
fn header(tensors: &BTreeMap<Key, &Array>, metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut metadata = metadata.clone();
    metadata.insert("format".into(), "pt".into());
    let mut parts = vec![format!("{}:{}", json!(METADATA), json!(metadata))];
    let mut start = 0;
    for ((_, name), array) in tensors {
        let (dtype, size) = match array.data {
            Data::Float(_) => ("F32", 4),
            Data::Int(_) => ("I64", 8),
        };
        let end = start + array.data.len() * size;
        // Spelled out, because a JSON map would sort the keys of some builds and not of others.
        parts.push(format!(
            r#"{}:{{"dtype":"{dtype}","shape":{},"data_offsets":[{start},{end}]}}"#,
            json!(name),
            json!(array.shape)
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", parts.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

fn write_data(file: &mut impl Write, data: &Data) -> io::Result<()> {
    match data {
        Data::Float(values) => values.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())),
        Data::Int(values) => values.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())),
    }
}

/// Gives `path` the content that `fill` writes, all of it or none.
fn replace(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut NamedTempFile>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Dropped on any error, which removes it.
    let mut aside = shared_permissions(tempfile::Builder::new().prefix(".weights-"))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let mut buffered = BufWriter::with_capacity(1 << 20, &mut aside);
    fill(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    aside.as_file().sync_all()?;
    aside.persist(path).map(|_| ()).map_err(|failed| failed.error)
}

/// Lets the file have the permissions of any new file: a temporary one is its owner's alone.
#[cfg(unix)]
fn shared_permissions<'a, 'b, 'c>(
    builder: &'c mut tempfile::Builder<'a, 'b>,
) -> &'c mut tempfile::Builder<'a, 'b> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn shared_permissions<'a, 'b, 'c>(
    builder: &'c mut tempfile::Builder<'a, 'b>,
) -> &'c mut tempfile::Builder<'a, 'b> {
    builder
}
