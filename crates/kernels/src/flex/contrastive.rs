//! The contrastive loss on Flex.
//!
//! Similarities are computed in square tiles, which are never kept. Tasks go over the tiles in
//! rounds: in each round every line of tiles across has one tile, and so has every line down. So a
//! task has the sums of its rows and those of its columns to itself, and the order in which tiles
//! are added does not depend on threads. The backward pass computes the tiles again.

use std::cell::RefCell;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::product::{View, add_product, product, resized};
use super::simd::{dot, exp_nonpositive, fma, max, sum_of, vectorised};
use super::{contiguous, numbers, tensor};
use crate::contrastive::extension::ContrastiveOps;

/// Rows and columns of a tile.
const TILE: usize = 128;

thread_local! {
    /// One tile.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl ContrastiveOps for Flex {
    fn contrastive_forward(
        image: FloatTensor<Self>,
        text: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [image, text, temperature] = [image, text, temperature].map(contiguous);
        let similarities = Similarities::new(&image, &text, &temperature);
        let pairs = similarities.pairs;
        let mut rows = Sums::of_lines(pairs);
        let mut columns = Sums::of_lines(pairs);
        let mut own = vec![0.0; pairs];
        let mut rows_and_own: Vec<_> = rows.iter_mut().zip(own.chunks_mut(TILE)).collect();
        for_each_tile(&mut rows_and_own, &mut columns, |[row, column], (rows, own), columns| {
            similarities.with_tile([row, column], |tile| {
                add_rows(tile, &mut rows.largest, &mut rows.sum);
                add_columns(tile, &mut columns.largest, &mut columns.sum);
                if row == column {
                    let diagonal = tile.iter().step_by(own.len() + 1);
                    own.iter_mut().zip(diagonal).for_each(|(own, &x)| *own = x);
                }
            });
        });
        let [rows, columns] = [rows, columns].map(Sums::joined);
        let loss = (rows.loss(&own) + columns.loss(&own)) / (2 * pairs) as f64;
        let sums = [rows.largest, rows.sum, columns.largest, columns.sum].concat();
        (tensor(vec![loss as f32], &[1]), tensor(sums, &[4, pairs]))
    }

    fn contrastive_backward(
        image: FloatTensor<Self>,
        text: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [image, text, temperature, sums, gradient] =
            [image, text, temperature, sums, gradient].map(contiguous);
        let similarities = Similarities::new(&image, &text, &temperature);
        let Similarities { pairs, width, temperature, .. } = similarities;
        let scale = numbers(&gradient)[0] / (2 * pairs) as f32 / temperature;
        let (row_sums, column_sums) = numbers(&sums).split_at(2 * pairs);
        let (mut dimage, mut dtext) = (vec![0.0; pairs * width], vec![0.0; pairs * width]);
        let mut rows = Slopes::of_lines(row_sums, &mut dimage, width);
        let mut columns = Slopes::of_lines(column_sums, &mut dtext, width);
        for_each_tile(&mut rows, &mut columns, |[row, column], rows, columns| {
            similarities.with_tile([row, column], |tile| {
                rows.weighted += slopes(
                    tile,
                    [rows.largest, &rows.inverse],
                    [columns.largest, &columns.inverse],
                    scale,
                    row == column,
                );
                let image = similarities.image_line(row);
                let text = similarities.text_line(column);
                let (m, n) = (rows.largest.len(), columns.largest.len());
                let tile = View::of(tile, n);
                let [image, text] = [image, text].map(|x| View::read(x, width));
                let (dimage, dtext) =
                    (View::of(rows.gradient, width), View::of(columns.gradient, width));
                // SAFETY: the views have these shapes; this task has both gradients to itself.
                unsafe {
                    add_product([m, width, n], tile, text, dimage);
                    add_product([n, width, m], tile.transposed(), image, dtext);
                }
            });
        });
        let weighted: f64 = rows.iter().map(|rows| rows.weighted).sum();
        let dtemperature = (-f64::from(scale) * weighted) as f32;
        let shape = [pairs, width];
        (tensor(dimage, &shape), tensor(dtext, &shape), tensor(vec![dtemperature], &[1]))
    }
}

/// What the similarities are made of.
struct Similarities<'a> {
    image: &'a [f32],
    text: &'a [f32],
    temperature: f32,
    pairs: usize,
    width: usize,
}

impl<'a> Similarities<'a> {
    fn new(image: &'a FlexTensor, text: &'a FlexTensor, temperature: &FlexTensor) -> Self {
        let [pairs, width] = image.layout().shape().dims();
        let temperature = numbers(temperature)[0];
        Self { image: numbers(image), text: numbers(text), temperature, pairs, width }
    }

    /// The images of a line of tiles across.
    fn image_line(&self, row: usize) -> &'a [f32] {
        let line = self.pairs.min((row + 1) * TILE) * self.width;
        &self.image[row * TILE * self.width..line]
    }

    /// The texts of a line of tiles down.
    fn text_line(&self, column: usize) -> &'a [f32] {
        let line = self.pairs.min((column + 1) * TILE) * self.width;
        &self.text[column * TILE * self.width..line]
    }

    /// Calls `f` with a tile of the similarities over the temperature.
    fn with_tile(&self, [row, column]: [usize; 2], f: impl FnOnce(&mut [f32])) {
        let (image, text) = (self.image_line(row), self.text_line(column));
        let (m, n) = (image.len() / self.width, text.len() / self.width);
        SCRATCH.with_borrow_mut(|tile| {
            let tile = resized(tile, m * n);
            let [image, text] = [image, text].map(|x| View::read(x, self.width));
            let shape = [m, n, self.width];
            let scale = 1.0 / self.temperature;
            // SAFETY: the views have these shapes, and the tile is this thread's.
            unsafe { product(shape, scale, image, text.transposed(), View::of(tile, n)) };
            f(tile);
        });
    }
}

/// Runs `task` for each pair of a row and a column, never two at once with the same row or column.
fn for_each_tile<R: Send, C: Send>(
    rows: &mut [R],
    columns: &mut [C],
    task: impl Fn([usize; 2], &mut R, &mut C) + Sync,
) {
    let mut columns: Vec<(usize, &mut C)> = columns.iter_mut().enumerate().collect();
    for _ in 0..columns.len() {
        rows.par_iter_mut()
            .enumerate()
            .zip(columns.par_iter_mut())
            .for_each(|((row, r), (column, c))| task([row, *column], r, c));
        columns.rotate_left(1);
    }
}

/// The denominators of a softmax, of the tiles so far.
struct Sums {
    largest: Vec<f32>,
    /// `sum(exp(s - largest))`
    sum: Vec<f32>,
}

impl Sums {
    fn of_lines(pairs: usize) -> Vec<Self> {
        let line = |start| {
            let count = TILE.min(pairs - start);
            Self { largest: vec![f32::MIN; count], sum: vec![0.0; count] }
        };
        (0..pairs).step_by(TILE).map(line).collect()
    }

    fn joined(lines: Vec<Self>) -> Self {
        let (mut largest, mut sum) = (Vec::new(), Vec::new());
        for line in lines {
            largest.extend(line.largest);
            sum.extend(line.sum);
        }
        Self { largest, sum }
    }

    /// The sum of the cross-entropies, `own` being the similarities of the pairs.
    fn loss(&self, own: &[f32]) -> f64 {
        let logs = self.largest.iter().zip(&self.sum).zip(own).map(|((&largest, &sum), &own)| {
            f64::from(largest) - f64::from(own) + f64::from(sum).ln()
        });
        logs.sum()
    }
}

/// A line in the backward pass.
struct Slopes<'a> {
    largest: &'a [f32],
    /// `1 / sum(exp(s - largest))`
    inverse: Vec<f32>,
    /// `[rows or columns of the line, width]`
    gradient: &'a mut [f32],
    /// The sum of the slopes, over their scale, times the similarities, if the line is one of rows.
    weighted: f64,
}

impl<'a> Slopes<'a> {
    /// `sums`: first the largest of all, then the sums of all.
    fn of_lines(sums: &'a [f32], gradient: &'a mut [f32], width: usize) -> Vec<Self> {
        let (largest, sum) = sums.split_at(sums.len() / 2);
        let sums = largest.chunks(TILE).zip(sum.chunks(TILE));
        let line = |((largest, sum), gradient): ((&'a [f32], &[f32]), &'a mut [f32])| Self {
            largest,
            inverse: sum.iter().map(|sum| 1.0 / sum).collect(),
            gradient,
            weighted: 0.0,
        };
        sums.zip(gradient.chunks_mut(TILE * width)).map(line).collect()
    }
}

vectorised! {
    /// Adds a tile to the sums of its rows.
    fn add_rows(tile: &[f32], largest: &mut [f32], sum: &mut [f32]) = add_rows_body;
}

vectorised! {
    /// Adds a tile to the sums of its columns.
    fn add_columns(tile: &[f32], largest: &mut [f32], sum: &mut [f32]) = add_columns_body;
}

vectorised! {
    /// From similarities to slopes: `scale` times `P + Q`, less 2 on the diagonal if there is one.
    /// `rows` and `columns` are their largest similarities and inverse sums. Returns the sum of the
    /// slopes times the similarities, over `scale`.
    fn slopes(
        tile: &mut [f32],
        rows: [&[f32]; 2],
        columns: [&[f32]; 2],
        scale: f32,
        diagonal: bool,
    ) -> f64 = slopes_body;
}

#[inline(always)]
fn add_rows_body<const FMA: bool>(tile: &[f32], largest: &mut [f32], sum: &mut [f32]) {
    let rows = tile.chunks_exact(tile.len() / largest.len());
    for ((row, largest), sum) in rows.zip(largest).zip(sum) {
        let before = *largest;
        *largest = max(row).max(before);
        let shares = sum_of(row, |x| exp_nonpositive::<FMA>(x - *largest));
        *sum = fma::<FMA>(*sum, exp_nonpositive::<FMA>(before - *largest), shares);
    }
}

#[inline(always)]
fn add_columns_body<const FMA: bool>(tile: &[f32], largest: &mut [f32], sum: &mut [f32]) {
    let mut before = [0.0; TILE];
    let before = &mut before[..largest.len()];
    before.copy_from_slice(largest);
    for row in tile.chunks_exact(largest.len()) {
        for (largest, &x) in largest.iter_mut().zip(row) {
            *largest = if x > *largest { x } else { *largest };
        }
    }
    for ((sum, &before), &largest) in sum.iter_mut().zip(&*before).zip(&*largest) {
        *sum *= exp_nonpositive::<FMA>(before - largest);
    }
    for row in tile.chunks_exact(largest.len()) {
        for ((sum, &x), &largest) in sum.iter_mut().zip(row).zip(&*largest) {
            *sum += exp_nonpositive::<FMA>(x - largest);
        }
    }
}

#[inline(always)]
fn slopes_body<const FMA: bool>(
    tile: &mut [f32],
    [row_largest, row_inverse]: [&[f32]; 2],
    [column_largest, column_inverse]: [&[f32]; 2],
    scale: f32,
    diagonal: bool,
) -> f64 {
    let mut weighted = 0.0;
    let mut slopes = [0.0; TILE];
    let slopes = &mut slopes[..column_largest.len()];
    let rows = tile.chunks_exact_mut(column_largest.len()).zip(row_largest.iter().zip(row_inverse));
    for (index, (row, (&largest, &inverse))) in rows.enumerate() {
        let columns = column_largest.iter().zip(column_inverse);
        for ((slope, &x), (&column_largest, &column_inverse)) in
            slopes.iter_mut().zip(&*row).zip(columns)
        {
            let p = exp_nonpositive::<FMA>(x - largest) * inverse;
            *slope = fma::<FMA>(exp_nonpositive::<FMA>(x - column_largest), column_inverse, p);
        }
        if diagonal {
            slopes[index] -= 2.0;
        }
        weighted += f64::from(dot::<FMA>(slopes, row));
        for (x, &slope) in row.iter_mut().zip(&*slopes) {
            *x = scale * slope;
        }
    }
    weighted
}
