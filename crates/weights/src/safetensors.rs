//! The safetensors format: a JSON header in front of the bytes of all tensors.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};

use crate::array::Array;
use crate::dtype::Dtype;
use crate::error::WeightsError;
use crate::mapped::Mapped;
use crate::unique::Unique;
use crate::weights::Source;

/// The key of the header that names no tensor.
pub(crate) const METADATA: &str = "__metadata__";

/// Bytes of the number in front of the header.
const LENGTH_BYTES: usize = 8;

/// The longest header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file.
pub(crate) struct SafetensorsFile {
    file: Mapped,
    /// Where the header ends.
    data_start: usize,
    tensors: BTreeMap<String, TensorInfo>,
}

impl SafetensorsFile {
    /// Maps the file and checks its whole header.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = Mapped::open(path)?;
        let header = header_range(&file)?;
        let data_start = header.end;
        let data_bytes = file.bytes().len() - data_start;
        let tensors = parse(path, &file.bytes()[header], data_bytes)?;
        Ok(Self { file, data_start, tensors })
    }
}

impl Source for SafetensorsFile {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| info.shape.as_slice())
    }

    fn read(&self, name: &str) -> Result<Array, WeightsError> {
        let path = self.file.path();
        let info = self.tensors.get(name).ok_or_else(|| WeightsError::missing(path, name))?;
        let broken = |detail: String| WeightsError::tensor(path, name, detail);
        let dtype = dtype(info.dtype)
            .ok_or_else(|| broken(format!("elements of type {:?} are not read", info.dtype)))?;
        let (start, end) = info.data_offsets;
        let bytes = self
            .file
            .get(self.data_start + start..self.data_start + end)
            .ok_or_else(|| broken("ends behind the file".into()))?;
        dtype.array(&info.shape, bytes).map_err(broken)?.finite(path, name)
    }
}

/// Where the header stands, behind its length.
fn header_range(file: &Mapped) -> Result<Range<usize>, WeightsError> {
    let found = file.bytes().len();
    let Some(length) = file.bytes().first_chunk().map(|&bytes| u64::from_le_bytes(bytes)) else {
        let detail = format!("expected a safetensors header, found a file of {found} bytes");
        return Err(WeightsError::file(file.path(), detail));
    };
    let behind = (found - LENGTH_BYTES) as u64;
    if length > behind.min(MAX_HEADER) {
        let detail = format!(
            "the safetensors header claims {length} bytes; {behind} follow, and at most \
             {MAX_HEADER} are read"
        );
        return Err(WeightsError::file(file.path(), detail));
    }
    Ok(LENGTH_BYTES..LENGTH_BYTES + length as usize)
}

/// The tensors that a header promises, if they fill the data exactly.
fn parse(
    path: &Path,
    header: &[u8],
    data_bytes: usize,
) -> Result<BTreeMap<String, TensorInfo>, WeightsError> {
    let malformed = |detail| WeightsError::file(path, format!("safetensors header: {detail}"));
    let mut objects: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)
        .map(|Unique(objects)| objects)
        .map_err(|source| malformed(source.to_string()))?;
    let metadata: Option<HashMap<String, String>> = objects
        .remove(METADATA)
        .map(serde_json::from_value)
        .transpose()
        .map_err(|source| malformed(format!("{METADATA}: {source}")))?;
    let tensors = objects
        .into_iter()
        .map(|(name, object)| {
            let info = tensor_info(object, data_bytes)
                .map_err(|detail| WeightsError::tensor(path, &name, detail))?;
            Ok((name, info))
        })
        .collect::<Result<BTreeMap<_, _>, WeightsError>>()?;
    let tiled = tile(metadata, &tensors).map_err(|source| malformed(source.to_string()))?;
    if tiled != data_bytes {
        return Err(malformed(format!("the tensors fill {tiled} of {data_bytes} bytes")));
    }
    Ok(tensors)
}

/// One tensor of the header, if its offsets agree with its shape and with the length of the file.
fn tensor_info(object: serde_json::Value, data_bytes: usize) -> Result<TensorInfo, String> {
    let info: TensorInfo = serde_json::from_value(object).map_err(|source| source.to_string())?;
    let (start, end) = info.data_offsets;
    if start > end || end > data_bytes {
        return Err(format!("stands at {start}..{end} of {data_bytes} bytes"));
    }
    let bits = crate::array::element_count(&info.shape)
        .and_then(|count| count.checked_mul(info.dtype.bitsize()));
    if bits != (end - start).checked_mul(8) {
        return Err(format!(
            "{:?} elements of type {:?} do not fill {} bytes",
            info.shape,
            info.dtype,
            end - start
        ));
    }
    Ok(info)
}

/// Bytes of all tensors, if they follow each other without gap or overlap.
fn tile(
    metadata: Option<HashMap<String, String>>,
    tensors: &BTreeMap<String, TensorInfo>,
) -> Result<usize, safetensors::SafeTensorError> {
    let mut sorted: Vec<_> = tensors.clone().into_iter().collect();
    sorted.sort_by_key(|(_, info)| info.data_offsets);
    Ok(Metadata::new(metadata, sorted)?.data_len())
}

fn dtype(dtype: safetensors::Dtype) -> Option<Dtype> {
    use safetensors::Dtype as File;
    Some(match dtype {
        File::F64 => Dtype::F64,
        File::F32 => Dtype::F32,
        File::F16 => Dtype::F16,
        File::BF16 => Dtype::Bf16,
        File::I64 => Dtype::I64,
        File::I32 => Dtype::I32,
        File::I16 => Dtype::I16,
        File::I8 => Dtype::I8,
        File::U32 => Dtype::U32,
        File::U16 => Dtype::U16,
        File::U8 => Dtype::U8,
        File::BOOL => Dtype::Bool,
        _ => return None,
    })
}
