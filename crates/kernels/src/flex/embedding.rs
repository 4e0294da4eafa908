//! Embedding on Flex.
//!
//! The backward pass sorts positions by their row of the table, stably, so each row is a task of its
//! own that adds in order of position.

use std::mem::MaybeUninit;

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::simd::{vectorised, written};
use super::{contiguous, indices, numbers, tensor};
use crate::embedding::extension::EmbeddingOps;

/// Positions that one task copies.
const POSITIONS: usize = 64;

impl EmbeddingOps for Flex {
    fn embedding_forward(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let [rows, width] = table.layout().shape().dims();
        let [batch, tokens] = ids.layout().shape().dims();
        let table = contiguous(table);
        let ids = indices(ids, rows, "rows in the table");
        let table = numbers(&table);
        let write = |out: &mut [MaybeUninit<f32>]| {
            let chunks = out.par_chunks_mut(POSITIONS * width).zip(ids.par_chunks(POSITIONS));
            chunks.for_each(|(out, ids)| {
                for (out, id) in out.chunks_exact_mut(width).zip(ids) {
                    out.write_copy_of_slice(&table[id * width..][..width]);
                }
            });
        };
        // SAFETY: there is an id for each row of the output, and a row of the table for each id.
        let out = unsafe { written(ids.len() * width, write) };
        tensor(out, &[batch, tokens, width])
    }

    fn embedding_backward(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let [_, _, width] = gradient.layout().shape().dims();
        let gradient = contiguous(gradient);
        let positions = Positions::new(&indices(ids, rows, "rows in the table"), rows);
        let gradient = numbers(&gradient);
        let mut table = vec![0.0; rows * width];
        let used = table.chunks_exact_mut(width).enumerate();
        let used = used.map(|(row, out)| (out, positions.of(row)));
        let used: Vec<_> = used.filter(|(_, positions)| !positions.is_empty()).collect();
        used.into_par_iter().for_each(|(out, positions)| {
            for position in positions {
                add(out, &gradient[position * width..][..width]);
            }
        });
        tensor(table, &[rows, width])
    }
}

/// Positions by row of the table.
struct Positions {
    /// Where each row's begin, and after the last row their number.
    starts: Vec<usize>,
    /// Row by row, ascending within a row.
    sorted: Vec<usize>,
}

impl Positions {
    /// A counting sort.
    fn new(ids: &[usize], rows: usize) -> Self {
        let mut starts = vec![0; rows + 1];
        for id in ids {
            starts[id + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut sorted = vec![0; ids.len()];
        for (position, &id) in ids.iter().enumerate() {
            sorted[next[id]] = position;
            next[id] += 1;
        }
        Self { starts, sorted }
    }

    fn of(&self, row: usize) -> &[usize] {
        &self.sorted[self.starts[row]..self.starts[row + 1]]
    }
}

vectorised! { fn add(sum: &mut [f32], row: &[f32]) = add_body; }

#[inline(always)]
fn add_body<const FMA: bool>(sum: &mut [f32], row: &[f32]) {
    for (sum, &x) in sum.iter_mut().zip(row) {
        *sum += x;
    }
}
