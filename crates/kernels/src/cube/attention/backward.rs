//! The backward pass.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::tile::{Tiling, bias_at, dot, load, place};

/// Of each query: its largest score, one over the sum of `exp(score - largest)`, and the sum of
/// `P dP`. The maximum and the sum stand apart, because the logarithm of the sum is lost beside the
/// maximum where padding makes that a large negative number.
pub const STATISTICS: usize = 3;

/// Writes the statistics of each query, `[batch, heads, queries, STATISTICS]`.
#[cube(launch)]
pub fn statistics(
    q: &Tensor<f32>,
    k: &Tensor<f32>,
    v: &Tensor<f32>,
    bias: &Tensor<f32>,
    gradient: &Tensor<f32>,
    statistics: &mut Tensor<f32>,
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
    let mut g_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut k_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut v_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut scores = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    let mut largest = Shared::<[f32]>::new_slice(tiling.rows);
    let mut total = Shared::<[f32]>::new_slice(tiling.rows);
    // The sum of `exp(score - largest) dP` so far.
    let mut products = Shared::<[f32]>::new_slice(tiling.rows);

    load(q, &mut q_tile, place.item, place.head, place.first, tiling);
    load(gradient, &mut g_tile, place.item, place.head, place.first, tiling);
    let mut row = unit;
    while row < tiling.rows {
        largest[row] = f32::MIN;
        total[row] = 0.0f32;
        products[row] = 0.0f32;
        row += tiling.units;
    }
    let mut first = 0usize;
    while first < keys {
        let count = min(tiling.rows, keys - first);
        load(k, &mut k_tile, place.item, place.head, first, tiling);
        load(v, &mut v_tile, place.item, place.head, first, tiling);
        sync_cube();

        let mut index = unit;
        while index < comptime!(tiling.square()) {
            let row = index / tiling.rows;
            let column = index % tiling.rows;
            if column < count {
                let bias = bias_at(bias, place.item, place.first + row, first + column);
                scores[index] = dot(&q_tile, &k_tile, row, column, tiling) * scale + bias;
                slopes[index] = dot(&g_tile, &v_tile, row, column, tiling);
            }
            index += tiling.units;
        }
        sync_cube();

        let mut row = unit;
        while row < tiling.rows {
            let start = row * tiling.rows;
            let mut top = largest[row];
            for column in 0..count {
                top = max(top, scores[start + column]);
            }
            let factor = (largest[row] - top).exp();
            let mut sum = total[row] * factor;
            let mut product = products[row] * factor;
            for column in 0..count {
                let weight = (scores[start + column] - top).exp();
                sum += weight;
                product += weight * slopes[start + column];
            }
            largest[row] = top;
            total[row] = sum;
            products[row] = product;
            row += tiling.units;
        }
        sync_cube();
        first += tiling.rows;
    }

    let mut row = unit;
    while row < tiling.rows {
        let query = place.first + row;
        if query < queries {
            let row_of_all = (place.item * heads + place.head) * queries + query;
            statistics[row_of_all * STATISTICS] = largest[row];
            statistics[row_of_all * STATISTICS + 1] = 1.0f32 / total[row];
            statistics[row_of_all * STATISTICS + 2] = products[row] / total[row];
        }
        row += tiling.units;
    }
}

/// The gradient of the queries.
#[cube(launch)]
pub fn queries(
    q: &Tensor<f32>,
    k: &Tensor<f32>,
    v: &Tensor<f32>,
    bias: &Tensor<f32>,
    gradient: &Tensor<f32>,
    statistics: &Tensor<f32>,
    dq: &mut Tensor<f32>,
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
    let mut g_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut k_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut v_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    // `dS`
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    let mut sums = Array::<f32>::new(comptime!(tiling.per_unit()));
    #[unroll(tiling.in_registers())]
    for index in 0..comptime!(tiling.per_unit()) {
        sums[index] = 0.0f32;
    }

    load(q, &mut q_tile, place.item, place.head, place.first, tiling);
    load(gradient, &mut g_tile, place.item, place.head, place.first, tiling);
    let mut first = 0usize;
    while first < keys {
        let count = min(tiling.rows, keys - first);
        load(k, &mut k_tile, place.item, place.head, first, tiling);
        load(v, &mut v_tile, place.item, place.head, first, tiling);
        sync_cube();

        let mut index = unit;
        while index < comptime!(tiling.square()) {
            let row = index / tiling.rows;
            let column = index % tiling.rows;
            let query = place.first + row;
            if query < queries && column < count {
                let bias = bias_at(bias, place.item, query, first + column);
                let score = dot(&q_tile, &k_tile, row, column, tiling) * scale + bias;
                let slope = dot(&g_tile, &v_tile, row, column, tiling);
                let row_of_all = (place.item * heads + place.head) * queries + query;
                let (_, slope) = weight_and_slope(score, slope, statistics, row_of_all);
                slopes[index] = slope * scale;
            }
            index += tiling.units;
        }
        sync_cube();

        #[unroll(tiling.in_registers())]
        for index in 0..comptime!(tiling.per_unit()) {
            let position = unit + index * tiling.units;
            let row = position / tiling.head_width;
            if position < comptime!(tiling.rows * tiling.head_width) && place.first + row < queries
            {
                let column = position % tiling.head_width;
                let mut sum = sums[index];
                for key in 0..count {
                    let number = k_tile[key * comptime!(tiling.stride()) + column];
                    sum += slopes[row * tiling.rows + key] * number;
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
        let query = place.first + position / tiling.head_width;
        if position < comptime!(tiling.rows * tiling.head_width) && query < queries {
            let channel = place.head * tiling.head_width + position % tiling.head_width;
            dq[(place.item * queries + query) * q.shape(2) + channel] = sums[index];
        }
    }
}

/// The gradients of the keys and of the values.
#[cube(launch)]
pub fn keys_and_values(
    q: &Tensor<f32>,
    k: &Tensor<f32>,
    v: &Tensor<f32>,
    bias: &Tensor<f32>,
    gradient: &Tensor<f32>,
    statistics: &Tensor<f32>,
    dk: &mut Tensor<f32>,
    dv: &mut Tensor<f32>,
    heads: usize,
    scale: f32,
    #[comptime] tiling: Tiling,
) {
    let keys = k.shape(1);
    let queries = q.shape(1);
    let place = place(keys, heads, tiling);
    if place.item >= k.shape(0) {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let mut q_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut g_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut k_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut v_tile = Shared::<[f32]>::new_slice(comptime!(tiling.size()));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    // `dS`
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tiling.square()));
    let mut k_sums = Array::<f32>::new(comptime!(tiling.per_unit()));
    let mut v_sums = Array::<f32>::new(comptime!(tiling.per_unit()));
    #[unroll(tiling.in_registers())]
    for index in 0..comptime!(tiling.per_unit()) {
        k_sums[index] = 0.0f32;
        v_sums[index] = 0.0f32;
    }

    load(k, &mut k_tile, place.item, place.head, place.first, tiling);
    load(v, &mut v_tile, place.item, place.head, place.first, tiling);
    let mut first = 0usize;
    while first < queries {
        let count = min(tiling.rows, queries - first);
        load(q, &mut q_tile, place.item, place.head, first, tiling);
        load(gradient, &mut g_tile, place.item, place.head, first, tiling);
        sync_cube();

        // Rows are queries, as everywhere.
        let mut index = unit;
        while index < comptime!(tiling.square()) {
            let row = index / tiling.rows;
            let column = index % tiling.rows;
            let key = place.first + column;
            if row < count && key < keys {
                let bias = bias_at(bias, place.item, first + row, key);
                let score = dot(&q_tile, &k_tile, row, column, tiling) * scale + bias;
                let slope = dot(&g_tile, &v_tile, row, column, tiling);
                let row_of_all = (place.item * heads + place.head) * queries + first + row;
                let (weight, slope) = weight_and_slope(score, slope, statistics, row_of_all);
                weights[index] = weight;
                slopes[index] = slope * scale;
            }
            index += tiling.units;
        }
        sync_cube();

        #[unroll(tiling.in_registers())]
        for index in 0..comptime!(tiling.per_unit()) {
            let position = unit + index * tiling.units;
            let key = position / tiling.head_width;
            if position < comptime!(tiling.rows * tiling.head_width) && place.first + key < keys {
                let column = position % tiling.head_width;
                let mut k_sum = k_sums[index];
                let mut v_sum = v_sums[index];
                for row in 0..count {
                    let start = row * comptime!(tiling.stride());
                    k_sum += slopes[row * tiling.rows + key] * q_tile[start + column];
                    v_sum += weights[row * tiling.rows + key] * g_tile[start + column];
                }
                k_sums[index] = k_sum;
                v_sums[index] = v_sum;
            }
        }
        sync_cube();
        first += tiling.rows;
    }

    #[unroll(tiling.in_registers())]
    for index in 0..comptime!(tiling.per_unit()) {
        let position = unit + index * tiling.units;
        let key = place.first + position / tiling.head_width;
        if position < comptime!(tiling.rows * tiling.head_width) && key < keys {
            let channel = place.head * tiling.head_width + position % tiling.head_width;
            let target = (place.item * keys + key) * k.shape(2) + channel;
            dk[target] = k_sums[index];
            dv[target] = v_sums[index];
        }
    }
}

/// `P`, and `P (dP - rowsum(P dP))`, from a score and `dP`.
#[cube]
fn weight_and_slope(
    score: f32,
    slope: f32,
    statistics: &Tensor<f32>,
    row_of_all: usize,
) -> (f32, f32) {
    let start = row_of_all * STATISTICS;
    let weight = (score - statistics[start]).exp() * statistics[start + 1];
    (weight, weight * (slope - statistics[start + 2]))
}
