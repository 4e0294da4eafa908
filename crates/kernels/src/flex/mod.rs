//! Fused kernels for Flex, Burn's CPU backend.
//!
//! Each operation is an extension of Burn's backends: a trait with a forward and a backward pass,
//! implemented for Flex, and for `Autodiff` over it. Only f32 comes here; the public functions
//! compose the operation for anything else. Work is split over rows or heads, never inside a sum,
//! so that the number of threads does not change a bit of a result.

pub mod adamw;
pub mod attention;
pub mod contrastive;
pub mod embedding;
pub mod gelu;
pub mod layer_norm;
pub mod linear;
pub mod linear_cross_entropy;
mod product;
mod simd;
pub mod square_sum;

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchTensor, DispatchTensorKind, TensorMetadata};
use burn::tensor::{DType, TensorData};

/// Whether the fused kernels take a tensor: one of f32 on Flex, with or without autodiff.
pub(crate) fn takes(tensor: &DispatchTensor) -> bool {
    if !crate::fused() {
        return false;
    }
    let on_flex = match &tensor.kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Flex(_)),
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_flex && tensor.kind.dtype() == DType::F32
}

/// The same numbers in row-major order.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The same numbers in row-major order, with nothing else in their memory.
fn whole(tensor: FlexTensor) -> FlexTensor {
    let count = tensor.layout().num_elements();
    let tensor = contiguous(tensor);
    if tensor.storage::<f32>().len() == count { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a [`contiguous`] tensor.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

/// The numbers of a tensor of integers in row-major order.
///
/// # Panics
///
/// At a number that is none of `0 .. count`, the number of `things`.
fn indices(tensor: FlexTensor, count: usize, things: &str) -> Vec<usize> {
    let check = |id: i64| match usize::try_from(id) {
        Ok(id) if id < count => id,
        _ => panic!("id {id}, but there are {count} {things}"),
    };
    contiguous(tensor).into_data().iter::<i64>().map(check).collect()
}

fn int_tensor(numbers: &[usize], shape: &[usize], dtype: DType) -> FlexTensor {
    let numbers: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
    FlexTensor::from_data(TensorData::new(numbers, shape.to_vec()).convert_dtype(dtype))
}

fn tensor(numbers: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape.to_vec()))
}
