//! The forward pass.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::tile::{Tiling, bias_at, dot, load, place};

#[cube(launch)]
pub fn forward(
    q: &Tensor<f32>,
    k: &Tensor<f32>,
    v: &Tensor<f32>,
    bias: &Tensor<f32>,
    out: &mut Tensor<f32>,
    heads: usize,
    scale: f32,
    #[comptime] tiling: Tiling,
) {
    let keys = k.shape(1);
    let queries = q.shape(1);
    let place = place(queries, heads, tiling);
    if place.item >= q.shape(0) {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let mut q_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    // The keys, and then the values, of one tile.
    let mut tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    // Of each query: the largest score so far, the sum of `exp(score - largest)`, and what the last
    // tile multiplied earlier sums with.
    let mut largest = Shared::<[f32]>::new_slice(tiling.rows);
    let mut total = Shared::<[f32]>::new_slice(tiling.rows);
    let mut rescale = Shared::<[f32]>::new_slice(tiling.rows);
    let mut sums = Array::<f32>::new(comptime!(tiling.per_unit()));
    #[unroll(tiling.in_registers())]
    for index in 0..comptime!(tiling.per_unit()) {
        sums[index] = 0.0f32;
    }

    load(q, &mut q_tile, place.item, place.head, place.first, tiling);
    let mut row = unit;
    while row < tiling.rows {
        largest[row] = f32::MIN;
        total[row] = 0.0f32;
        row += tiling.units;
    }
    let mut first = 0usize;
    while first < keys {
        let count = min(tiling.rows, keys - first);
        load(k, &mut tile, place.item, place.head, first, tiling);
        sync_cube();

        let mut index = unit;
        while index < comptime!(tiling.square()) {
            let row = index / tiling.rows;
            let column = index % tiling.rows;
            if column < count {
                let bias = bias_at(bias, place.item, place.first + row, first + column);
                weights[index] = dot(&q_tile, &tile, row, column, tiling) * scale + bias;
            }
            index += tiling.units;
        }
        sync_cube();

        load(v, &mut tile, place.item, place.head, first, tiling);
        let mut row = unit;
        while row < tiling.rows {
            let start = row * tiling.rows;
            let mut top = largest[row];
            for column in 0..count {
                top = max(top, weights[start + column]);
            }
            let factor = (largest[row] - top).exp();
            let mut sum = total[row] * factor;
            for column in 0..count {
                let weight = (weights[start + column] - top).exp();
                weights[start + column] = weight;
                sum += weight;
            }
            largest[row] = top;
            total[row] = sum;
            rescale[row] = factor;
            row += tiling.units;
        }
        sync_cube();

        #[unroll(tiling.in_registers())]
        for index in 0..comptime!(tiling.per_unit()) {
            let position = unit + index * tiling.units;
            if position < comptime!(tiling.rows * tiling.head_width) {
                let row = position / tiling.head_width;
                let column = position % tiling.head_width;
                let mut sum = sums[index] * rescale[row];
                for key in 0..count {
                    let value = tile[key * comptime!(tiling.stride()) + column];
                    sum += weights[row * tiling.rows + key] * value;
                }
                sums[index] = sum;
            }
        }
        sync_cube();
        first += tiling.rows;
    }

    #[unroll(tiling.in_registers())]
    for index in 0..comptime!(tiling.per_unit()) {
        let position = unit + index * tiling.units;
        let row = position / tiling.head_width;
        let query = place.first + row;
        if position < comptime!(tiling.rows * tiling.head_width) && query < queries {
            let channel = place.head * tiling.head_width + position % tiling.head_width;
            out[(place.item * queries + query) * q.shape(2) + channel] = sums[index] / total[row];
        }
    }
}
