//! The element types that are read, and how their little-endian bytes become numbers.

use half::{bf16, f16};

use crate::array::{Array, Data, element_count};

/// An element type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U32,
    U16,
    U8,
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::F32 | Dtype::I32 | Dtype::U32 => 4,
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 | Dtype::U16 => 2,
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
        }
    }

    /// Bytes of a tensor of this type; none where they exceed the address space.
    pub(crate) fn byte_count(self, shape: &[usize]) -> Option<usize> {
        element_count(shape)?.checked_mul(self.size())
    }

    /// The array of these bytes, or what is wrong with their number.
    pub(crate) fn array(self, shape: &[usize], bytes: &[u8]) -> Result<Array, String> {
        if self.byte_count(shape) != Some(bytes.len()) {
            return Err(format!(
                "expected {shape:?} elements of {} bytes, found {} bytes",
                self.size(),
                bytes.len()
            ));
        }
        Ok(Array { shape: shape.to_vec(), data: self.decode(bytes) })
    }

    fn decode(self, bytes: &[u8]) -> Data {
        match self {
            Dtype::F64 => floats(bytes, |b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => floats(bytes, f32::from_le_bytes),
            Dtype::F16 => floats(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => floats(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::I64 => ints(bytes, i64::from_le_bytes),
            Dtype::I32 => ints(bytes, |b| i32::from_le_bytes(b).into()),
            Dtype::I16 => ints(bytes, |b| i16::from_le_bytes(b).into()),
            Dtype::I8 => ints(bytes, |b| i8::from_le_bytes(b).into()),
            Dtype::U32 => ints(bytes, |b| u32::from_le_bytes(b).into()),
            Dtype::U16 => ints(bytes, |b| u16::from_le_bytes(b).into()),
            Dtype::U8 => ints(bytes, |b| u8::from_le_bytes(b).into()),
            Dtype::Bool => ints(bytes, |[b]| (b != 0).into()),
        }
    }
}

fn floats<const N: usize>(bytes: &[u8], element: impl Fn([u8; N]) -> f32) -> Data {
    Data::Float(bytes.as_chunks().0.iter().map(|&chunk| element(chunk)).collect())
}

fn ints<const N: usize>(bytes: &[u8], element: impl Fn([u8; N]) -> i64) -> Data {
    Data::Int(bytes.as_chunks().0.iter().map(|&chunk| element(chunk)).collect())
}
