//! Fused kernels for Burn's CubeCL backends: CUDA, WebGPU and Vulkan, and CubeCL's CPU runtime.
//!
//! Each operation is an extension of Burn's backends, as on Flex, and each kernel is compiled for a
//! device at its first use there. Only f32 comes here; the public functions compose the operation
//! for anything else. Kernels share numbers within a cube (CUDA's block, WebGPU's workgroup)
//! through its shared memory alone and use no planes (warps, subgroups), so they do not depend on
//! the width of these. No kernel adds to a float atomically: on one device, the same numbers come
//! out of every run.
//!
//! These kernels have been run on CubeCL's CPU runtime, with one and two units to a cube, and
//! checked there. They have been neither run nor timed on a GPU.

pub mod attention;
pub mod embedding;
pub mod layer_norm;
pub mod linear_cross_entropy;
mod reduce;

use burn::backend::{DispatchTensor, DispatchTensorKind, TensorMetadata};
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Whether the fused kernels take a tensor: one of f32 on a CubeCL device, with or without
/// autodiff.
pub(crate) fn takes(tensor: &DispatchTensor) -> bool {
    if !crate::fused() {
        return false;
    }
    let on_cube = match &tensor.kind {
        DispatchTensorKind::Cube(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(**inner, DispatchTensorKind::Cube(_)),
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_cube && tensor.kind.dtype() == DType::F32
}

/// A tensor of f32 in row-major order, its numbers not yet written.
fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), DType::F32)
}

/// How many units to give a cube that has work for `wanted`: a power of two, which sums over a cube
/// need, and no more than the device has or 256.
fn units(client: &Client, wanted: usize) -> usize {
    let most = client.properties().hardware.max_units_per_cube.min(256) as usize;
    let most = 1 << most.ilog2();
    wanted.next_power_of_two().min(most)
}

/// At least `count` cubes. Devices limit each of three dimensions, so there may be more: a kernel
/// leaves those beyond its last item idle.
fn cubes(client: &Client, count: usize) -> CubeCount {
    calculate_cube_count_elemwise(client, count, CubeDim::new_1d(1))
}
