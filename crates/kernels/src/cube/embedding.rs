//! The gradient of an embedding's table on CubeCL.
//!
//! Burn's own adds the positions one after the other. Here a cube is one position, and two launches
//! keep every chain of additions short however often an id comes: the first position of an id within
//! a chunk sums the id's gradients of that chunk, then the first position of all sums the chunks.
//! Both go in order of position. Finding the first position costs comparisons in the square of the
//! positions; these are of ids alone.

use burn::backend::TensorMetadata;
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::ops::numeric::zeros_client;

use super::{cubes, empty, units};
use crate::embedding::extension::EmbeddingOps;

/// Positions of a chunk: about the root of the positions of a batch.
const CHUNK: usize = 128;

impl EmbeddingOps for CubeBackend {
    fn embedding_forward(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        <Self as ModuleOps<Self>>::embedding(table, ids)
    }

    fn embedding_backward(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let [batch, tokens, width] = gradient.shape().dims();
        let positions = batch * tokens;
        let gradient = into_contiguous(gradient);
        let ids = into_contiguous(cast(ids, DType::I32));
        let client = gradient.client.clone();
        let (device, shape) = (gradient.device.clone(), [rows, width].into());
        let table = zeros_client(client.clone(), device, shape, DType::F32);
        let dim = CubeDim::new_1d(units(&client, width) as u32);

        let shares = empty(&gradient, [positions, width]);
        // Numbers of 32 bits, as those of f32 are.
        let mut firsts = empty(&gradient, [positions]);
        firsts.dtype = DType::I32;
        sum_chunks::launch(
            &client,
            cubes(&client, positions),
            dim,
            ids.into_tensor_arg(),
            gradient.into_tensor_arg(),
            shares.clone().into_tensor_arg(),
            firsts.clone().into_tensor_arg(),
            positions,
            rows,
            width,
        );
        add_chunks::launch(
            &client,
            cubes(&client, positions),
            dim,
            firsts.into_tensor_arg(),
            shares.into_tensor_arg(),
            table.clone().into_tensor_arg(),
            positions,
            rows,
            width,
        );
        table
    }
}

/// Writes the share of each chunk at the first position of each id in it. `firsts` gets the id
/// there and `rows`, which is no id, elsewhere.
#[cube(launch)]
fn sum_chunks(
    ids: &Tensor<i32>,
    gradient: &Tensor<f32>,
    shares: &mut Tensor<f32>,
    firsts: &mut Tensor<i32>,
    positions: usize,
    rows: usize,
    width: usize,
) {
    let position = CUBE_POS;
    if position >= positions {
        terminate!();
    }
    let id = ids[position];
    let mut earlier = position / CHUNK * CHUNK;
    while earlier < position && ids[earlier] != id {
        earlier += 1;
    }
    let first = earlier == position;
    if UNIT_POS == 0 {
        firsts[position] = select(first, id, i32::cast_from(rows));
    }
    if !first {
        terminate!();
    }
    let end = min(position / CHUNK * CHUNK + CHUNK, positions);
    let mut column = UNIT_POS as usize;
    while column < width {
        let mut sum = 0.0f32;
        for later in position..end {
            if ids[later] == id {
                sum += gradient[later * width + column];
            }
        }
        shares[position * width + column] = sum;
        column += CUBE_DIM as usize;
    }
}

#[cube(launch)]
fn add_chunks(
    firsts: &Tensor<i32>,
    shares: &Tensor<f32>,
    table: &mut Tensor<f32>,
    positions: usize,
    rows: usize,
    width: usize,
) {
    let position = CUBE_POS;
    if position >= positions {
        terminate!();
    }
    let id = firsts[position];
    // An id that is not in the table has no row to add to.
    if id < 0 || usize::cast_from(id) >= rows {
        terminate!();
    }
    let mut earlier = 0usize;
    while earlier < position && firsts[earlier] != id {
        earlier += 1;
    }
    if earlier < position {
        terminate!();
    }
    let mut column = UNIT_POS as usize;
    while column < width {
        let mut sum = 0.0f32;
        for later in position..positions {
            if firsts[later] == id {
                sum += shares[later * width + column];
            }
        }
        table[usize::cast_from(id) * width + column] = sum;
        column += CUBE_DIM as usize;
    }
}
