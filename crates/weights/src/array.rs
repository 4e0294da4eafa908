//! Named numbers in host memory.

use std::path::Path;

use crate::error::WeightsError;

/// The elements of a tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// From f64, f32, f16 and bf16.
    Float(Vec<f32>),
    /// From the integers of up to 64 bits and from bool (0 or 1).
    Int(Vec<i64>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kind(&self) -> &'static str {
        match self {
            Data::Float(_) => "floats",
            Data::Int(_) => "integers",
        }
    }
}

/// A tensor: its shape, and as many elements as the shape says.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions, the slowest first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Data,
}

impl Array {
    /// The elements as floats. `name` is for the message.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Kind`] where the tensor holds integers.
    pub fn floats(&self, name: &str) -> Result<&[f32], WeightsError> {
        match &self.data {
            Data::Float(values) => Ok(values),
            Data::Int(_) => Err(self.other_kind(name, "floats")),
        }
    }

    /// The elements as integers. `name` is for the message.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Kind`] where the tensor holds floats.
    pub fn ints(&self, name: &str) -> Result<&[i64], WeightsError> {
        match &self.data {
            Data::Int(values) => Ok(values),
            Data::Float(_) => Err(self.other_kind(name, "integers")),
        }
    }

    /// The elements as floats, without a copy. `name` is for the message.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Kind`] where the tensor holds integers.
    pub fn into_floats(self, name: &str) -> Result<Vec<f32>, WeightsError> {
        match self.data {
            Data::Float(values) => Ok(values),
            Data::Int(_) => Err(self.other_kind(name, "floats")),
        }
    }

    fn other_kind(&self, name: &str, expected: &'static str) -> WeightsError {
        WeightsError::Kind { tensor: name.into(), expected, found: self.data.kind() }
    }

    /// Passes the array on if every float is finite.
    pub(crate) fn finite(self, path: &Path, name: &str) -> Result<Self, WeightsError> {
        let Data::Float(values) = &self.data else { return Ok(self) };
        let Some(first) = values.iter().position(|value| !value.is_finite()) else {
            return Ok(self);
        };
        let count = values[first..].iter().filter(|value| !value.is_finite()).count();
        let detail = format!(
            "{count} of {} elements are not finite as f32; the first is element {first}, {}",
            values.len(),
            values[first]
        );
        Err(WeightsError::tensor(path, name, detail))
    }
}

/// Number of elements of a shape; none where it exceeds the address space.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))
}
