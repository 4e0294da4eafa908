//! Layer norm on CubeCL.
//!
//! One cube is one row. The gradients of gamma and beta are column sums, in two stages: a cube sums
//! a block of rows for some columns, then one more launch sums the blocks, both in the rows' order.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;

use super::reduce::sum_over_cube;
use super::{cubes, empty, units};
use crate::layer_norm::extension::LayerNormOps;

/// Rows that one cube of the first stage sums: enough to make the second stage short, few enough to
/// fill a GPU.
const BLOCK: usize = 64;

impl LayerNormOps for CubeBackend {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let [x, gamma, beta] = [x, gamma, beta].map(into_contiguous);
        let y = empty(&x, x.shape());
        let width = gamma.meta.num_elements();
        let rows = x.meta.num_elements() / width;
        let client = x.client.clone();
        let units = units(&client, width);
        forward::launch(
            &client,
            cubes(&client, rows),
            CubeDim::new_1d(units as u32),
            x.into_tensor_arg(),
            gamma.into_tensor_arg(),
            beta.into_tensor_arg(),
            y.clone().into_tensor_arg(),
            rows,
            width,
            epsilon as f32,
            units,
        );
        y
    }

    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [x, gamma, gradient] = [x, gamma, gradient].map(into_contiguous);
        let client = x.client.clone();
        let width = gamma.meta.num_elements();
        let rows = x.meta.num_elements() / width;
        let units = units(&client, width);
        let dim = CubeDim::new_1d(units as u32);

        let dx = empty(&x, x.shape());
        let moments = empty(&x, [rows, 2]);
        backward_rows::launch(
            &client,
            cubes(&client, rows),
            dim,
            x.clone().into_tensor_arg(),
            gamma.clone().into_tensor_arg(),
            gradient.clone().into_tensor_arg(),
            dx.clone().into_tensor_arg(),
            moments.clone().into_tensor_arg(),
            rows,
            width,
            epsilon as f32,
            units,
        );

        let blocks = rows.div_ceil(BLOCK);
        let tiles = width.div_ceil(units);
        let shares = empty(&x, [blocks, 2, width]);
        sum_blocks::launch(
            &client,
            cubes(&client, blocks * tiles),
            dim,
            x.clone().into_tensor_arg(),
            gradient.into_tensor_arg(),
            moments.into_tensor_arg(),
            shares.clone().into_tensor_arg(),
            rows,
            width,
            tiles,
        );

        let dgamma = empty(&x, gamma.shape());
        let dbeta = empty(&x, gamma.shape());
        sum_shares::launch(
            &client,
            cubes(&client, tiles),
            dim,
            shares.into_tensor_arg(),
            dgamma.clone().into_tensor_arg(),
            dbeta.clone().into_tensor_arg(),
            blocks,
            width,
        );
        (dx, dgamma, dbeta)
    }
}

/// The mean of the row that starts at `start`, and one over its standard deviation. A second pass
/// over the row is more exact than the sum of squares.
#[cube]
fn moments_of(
    x: &Tensor<f32>,
    start: usize,
    width: usize,
    epsilon: f32,
    scratch: &mut Shared<[f32]>,
    #[comptime] units: usize,
) -> (f32, f32) {
    let count = f32::cast_from(width as u32);
    let mut sum = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        sum += x[start + column];
        column += units;
    }
    let mean = sum_over_cube(sum, scratch, units) / count;
    let mut squares = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        let centred = x[start + column] - mean;
        squares += centred * centred;
        column += units;
    }
    let variance = sum_over_cube(squares, scratch, units) / count;
    (mean, 1.0f32 / (variance + epsilon).sqrt())
}

#[cube(launch)]
fn forward(
    x: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    y: &mut Tensor<f32>,
    rows: usize,
    width: usize,
    epsilon: f32,
    #[comptime] units: usize,
) {
    if CUBE_POS >= rows {
        terminate!();
    }
    let mut scratch = Shared::<[f32]>::new_slice(units);
    let start = CUBE_POS * width;
    let (mean, inverse) = moments_of(x, start, width, epsilon, &mut scratch, units);
    let mut column = UNIT_POS as usize;
    while column < width {
        y[start + column] = (x[start + column] - mean) * inverse * gamma[column] + beta[column];
        column += units;
    }
}

/// The gradient of `x`, and each row's mean and inverse deviation for the column sums.
#[cube(launch)]
fn backward_rows(
    x: &Tensor<f32>,
    gamma: &Tensor<f32>,
    gradient: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    moments: &mut Tensor<f32>,
    rows: usize,
    width: usize,
    epsilon: f32,
    #[comptime] units: usize,
) {
    if CUBE_POS >= rows {
        terminate!();
    }
    let mut scratch = Shared::<[f32]>::new_slice(units);
    let start = CUBE_POS * width;
    let (mean, inverse) = moments_of(x, start, width, epsilon, &mut scratch, units);
    // `y` and `h` are those of the equation. Each unit keeps its `h` where `dx` will be: computed
    // again, its product could be fused into the subtraction, and not be the number that was summed.
    let mut sum_h = 0.0f32;
    let mut sum_hy = 0.0f32;
    let mut column = UNIT_POS as usize;
    while column < width {
        let h = gradient[start + column] * gamma[column];
        dx[start + column] = h;
        sum_h += h;
        sum_hy += h * (x[start + column] - mean) * inverse;
        column += units;
    }
    let count = f32::cast_from(width as u32);
    let mean_h = sum_over_cube(sum_h, &mut scratch, units) / count;
    let mean_hy = sum_over_cube(sum_hy, &mut scratch, units) / count;
    let mut column = UNIT_POS as usize;
    while column < width {
        let h = dx[start + column];
        let y = (x[start + column] - mean) * inverse;
        dx[start + column] = (h - mean_h - y * mean_hy) * inverse;
        column += units;
    }
    if UNIT_POS == 0 {
        moments[CUBE_POS * 2] = mean;
        moments[CUBE_POS * 2 + 1] = inverse;
    }
}

/// One block's share of the gradients of gamma and beta, one after the other; a unit has a column.
#[cube(launch)]
fn sum_blocks(
    x: &Tensor<f32>,
    gradient: &Tensor<f32>,
    moments: &Tensor<f32>,
    shares: &mut Tensor<f32>,
    rows: usize,
    width: usize,
    tiles: usize,
) {
    let block = CUBE_POS / tiles;
    let column = CUBE_POS % tiles * CUBE_DIM as usize + UNIT_POS as usize;
    let first = block * BLOCK;
    if first >= rows || column >= width {
        terminate!();
    }
    let mut dgamma = 0.0f32;
    let mut dbeta = 0.0f32;
    for row in first..min(first + BLOCK, rows) {
        let g = gradient[row * width + column];
        dgamma += g * (x[row * width + column] - moments[row * 2]) * moments[row * 2 + 1];
        dbeta += g;
    }
    shares[block * 2 * width + column] = dgamma;
    shares[(block * 2 + 1) * width + column] = dbeta;
}

#[cube(launch)]
fn sum_shares(
    shares: &Tensor<f32>,
    dgamma: &mut Tensor<f32>,
    dbeta: &mut Tensor<f32>,
    blocks: usize,
    width: usize,
) {
    let column = ABSOLUTE_POS;
    if column >= width {
        terminate!();
    }
    let mut sum_gamma = 0.0f32;
    let mut sum_beta = 0.0f32;
    for block in 0..blocks {
        sum_gamma += shares[block * 2 * width + column];
        sum_beta += shares[(block * 2 + 1) * width + column];
    }
    dgamma[column] = sum_gamma;
    dbeta[column] = sum_beta;
}
