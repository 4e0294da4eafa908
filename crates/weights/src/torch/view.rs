//! Tensors as views of storages: an offset, sizes and strides.

use super::archive::Archive;
use super::pickle::Pickle;
use super::value::{Id, Tensor, Value};
use crate::array::{Array, element_count};
use crate::dtype::Dtype;

/// The most dimensions, as in torch.
const MAX_RANK: usize = 64;

/// The most elements of a view that shows elements of its storage more than once, such as of
/// `expand`: there the file says nothing about how many are too many.
const MAX_EXPANDED: usize = 1 << 20;

/// A view that lies within its storage.
pub(super) struct View {
    key: String,
    dtype: Dtype,
    offset: usize,
    pub(super) shape: Vec<usize>,
    stride: Vec<usize>,
}

impl View {
    /// Checks a tensor of a pickle against the archive, or tells what is wrong with it.
    pub(super) fn new(pickle: &Pickle, archive: &Archive, tensor: &Tensor) -> Result<Self, String> {
        let Value::Text(key) = pickle.value(tensor.storage.key) else {
            return Err("its storage has no name".into());
        };
        let size = archive
            .storage_size(key)
            .ok_or_else(|| format!("its storage data/{key} is not in the zip archive"))?;
        let available = available(tensor, size)?;
        let view = Self {
            key: key.to_string(),
            dtype: tensor.dtype,
            offset: usize::try_from(tensor.offset).map_err(|_| "its offset is negative")?,
            shape: sizes(pickle, tensor.shape)?,
            stride: sizes(pickle, tensor.stride)?,
        };
        view.check(available)?;
        Ok(view)
    }

    /// Memory that the view takes.
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + size_of_val(&*self.shape) + size_of_val(&*self.stride)
    }

    /// Checks that every element lies among the `available` ones of the storage.
    fn check(&self, available: usize) -> Result<(), String> {
        let Self { offset, shape, stride, .. } = self;
        let told = || format!("shape {shape:?}, strides {stride:?}, offset {offset}");
        if shape.len() != stride.len() {
            return Err(format!("as many strides as sizes are expected: {}", told()));
        }
        let count = element_count(shape).ok_or_else(|| format!("too large: {}", told()))?;
        let end = if count == 0 { Some(0) } else { self.end() };
        if end.is_none_or(|end| end > available) {
            return Err(format!(
                "reaches behind the {available} elements of its storage: {}",
                told()
            ));
        }
        if count > available.max(MAX_EXPANDED) {
            return Err(format!("shows {available} elements as {count}: {}", told()));
        }
        Ok(())
    }

    /// The place behind the last element, in a view with elements.
    fn end(&self) -> Option<usize> {
        let mut end = self.offset.checked_add(1)?;
        for (size, stride) in self.shape.iter().zip(&self.stride) {
            end = end.checked_add((size - 1).checked_mul(*stride)?)?;
        }
        Some(end)
    }

    /// Reads the elements in row-major order.
    pub(super) fn read(&self, archive: &Archive) -> Result<Array, String> {
        let storage = archive.storage(&self.key)?;
        let size = self.dtype.size();
        let length = self.dtype.byte_count(&self.shape).ok_or("too large")?;
        if length == 0 {
            return self.dtype.array(&self.shape, &[]);
        }
        if self.is_contiguous() {
            let start = self.offset * size;
            let bytes = storage.get(start..start + length).ok_or("ends behind its storage")?;
            return self.dtype.array(&self.shape, bytes);
        }
        let mut bytes = Vec::with_capacity(length);
        gather(&storage, size, &self.shape, &self.stride, self.offset, &mut bytes);
        self.dtype.array(&self.shape, &bytes)
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}

/// Appends the elements of a view that starts at element `at`.
fn gather(
    storage: &[u8],
    size: usize,
    shape: &[usize],
    stride: &[usize],
    at: usize,
    out: &mut Vec<u8>,
) {
    let (Some((&count, shape)), Some((&step, stride))) =
        (shape.split_first(), stride.split_first())
    else {
        out.extend_from_slice(&storage[at * size..][..size]);
        return;
    };
    for index in 0..count {
        gather(storage, size, shape, stride, at + index * step, out);
    }
}

/// How many of its elements a tensor may count on: what its storage claims, if the archive holds it.
fn available(tensor: &Tensor, size: usize) -> Result<usize, String> {
    let unit = tensor.storage.dtype.map_or(1, Dtype::size);
    let claimed = usize::try_from(tensor.storage.count).ok().and_then(|n| n.checked_mul(unit));
    match claimed {
        Some(claimed) if claimed <= size => Ok(claimed / tensor.dtype.size()),
        _ => Err(format!(
            "its storage claims {} elements of {unit} bytes, the zip archive holds {size} bytes",
            tensor.storage.count
        )),
    }
}

/// A tuple of numbers that are not negative.
fn sizes(pickle: &Pickle, id: Id) -> Result<Vec<usize>, String> {
    let Value::Tuple(items) = pickle.value(id) else {
        return Err("expected a tuple of sizes".into());
    };
    if items.len() > MAX_RANK {
        return Err(format!("{} dimensions, at most {MAX_RANK} are read", items.len()));
    }
    let size = |&id| match pickle.value(id) {
        Value::Int(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    items.iter().map(size).collect::<Option<_>>().ok_or("a size or stride is no number".into())
}
