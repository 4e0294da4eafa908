//! Matrix products on memory that is there already, and buffers to keep their results in.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::simd::written;

/// The first `len` numbers of a buffer that grows when it must.
pub fn resized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// A matrix in memory that somebody else owns. Strides are in numbers.
#[derive(Clone, Copy)]
pub struct View {
    pub start: *mut f32,
    pub row: isize,
    pub column: isize,
}

// SAFETY: a view is an address; whoever reads or writes through it answers for that.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    pub fn of(rows: &mut [f32], width: usize) -> Self {
        Self { start: rows.as_mut_ptr(), row: width as isize, column: 1 }
    }

    /// A row-major matrix that is only read.
    pub fn read(rows: &[f32], width: usize) -> Self {
        Self { start: rows.as_ptr().cast_mut(), row: width as isize, column: 1 }
    }

    /// The matrix without its first rows and columns.
    pub fn from(self, row: usize, column: usize) -> Self {
        let offset = row as isize * self.row + column as isize * self.column;
        Self { start: self.start.wrapping_offset(offset), ..self }
    }

    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// A row-major `[m, n]` matrix that `write` writes.
///
/// # Safety
///
/// `write` must write every number.
pub unsafe fn written_matrix(m: usize, n: usize, write: impl FnOnce(View)) -> Vec<f32> {
    let write = |numbers: &mut [MaybeUninit<f32>]| {
        write(View { start: numbers.as_mut_ptr().cast(), row: n as isize, column: 1 });
    };
    // SAFETY: the caller's.
    unsafe { written(m * n, write) }
}

/// Runs `task` for blocks of rows and columns that tile an `[m, n]` matrix, on all threads.
///
/// The blocks depend on the matrix alone, not on the threads: `gemm` orders the sums of small
/// products otherwise than those of large ones. They are large enough that what `gemm` packs for
/// each costs little, and where the matrix allows, small enough for the work to spread evenly.
pub fn for_each_block(m: usize, n: usize, task: impl Fn(Range<usize>, Range<usize>) + Sync) {
    const TASKS: usize = 8;
    const SMALLEST: usize = 96;
    const LARGEST: usize = 256;
    let rows = m.div_ceil(TASKS).clamp(SMALLEST, LARGEST);
    let row_blocks = m.div_ceil(rows);
    let columns = n.div_ceil(TASKS.div_ceil(row_blocks)).max(LARGEST).min(n);
    let column_blocks = n.div_ceil(columns);
    let block = |index: usize| {
        let (row, column) = (index / column_blocks * rows, index % column_blocks * columns);
        task(row..m.min(row + rows), column..n.min(column + columns));
    };
    match row_blocks * column_blocks {
        1 => block(0),
        blocks => (0..blocks).into_par_iter().for_each(block),
    }
}

/// `out = a b`, with `a` `[m, k]` and `b` `[k, n]`, on all threads. `out` is not read.
///
/// # Safety
///
/// As [`product`].
pub unsafe fn parallel_product([m, n, k]: [usize; 3], a: View, b: View, out: View) {
    for_each_block(m, n, |rows, columns| {
        let (a, b) = (a.from(rows.start, 0), b.from(0, columns.start));
        let out = out.from(rows.start, columns.start);
        // SAFETY: the caller's; blocks do not overlap.
        unsafe { product([rows.len(), columns.len(), k], 1.0, a, b, out) };
    });
}

/// `out = scale a b`, with `a` `[m, k]` and `b` `[k, n]`, on this thread. `out` is not read.
///
/// # Safety
///
/// The views must reach only memory that lives, nobody else may use `out`'s meanwhile, and it must
/// not overlap the others'.
pub unsafe fn product(shape: [usize; 3], scale: f32, a: View, b: View, out: View) {
    // SAFETY: the caller's.
    unsafe { multiply(shape, scale, a, b, out, false) };
}

/// `out = out + a b`, otherwise as [`product`].
///
/// # Safety
///
/// As [`product`].
pub unsafe fn add_product(shape: [usize; 3], a: View, b: View, out: View) {
    // SAFETY: the caller's.
    unsafe { multiply(shape, 1.0, a, b, out, true) };
}

unsafe fn multiply([m, n, k]: [usize; 3], scale: f32, a: View, b: View, out: View, add: bool) {
    // SAFETY: the caller's.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.start,
            out.column,
            out.row,
            add,
            a.start.cast_const(),
            a.column,
            a.row,
            b.start.cast_const(),
            b.column,
            b.row,
            if add { 1.0 } else { 0.0 },
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
