//! Fused kernels for Flex, Burn's CPU backend.
//!
//! Each operation is an extension of Burn's backends: a trait with a forward and a backward pass,
//! implemented for Flex, and for `Autodiff` over it. Only f32 comes here; the public functions
//! compose the operation for anything else. Work is split over rows or heads, never inside a sum,
//! so that the number of threads does not change a bit of a result.

pub mod adamw;
pub mod attention;
pub mod gelu;
pub mod layer_norm;
pub mod linear;
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

/// The numbers of a [`contiguous`] tensor.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

fn tensor(numbers: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape.to_vec()))
}
