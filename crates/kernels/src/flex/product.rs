//! Matrix products on memory that is there already, and buffers to keep their results in.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Once;

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

/// How a product is cut into tasks: the parts of its rows and of its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    m: usize,
    n: usize,
    rows: usize,
    columns: usize,
}

impl Grid {
    /// A part is at least this high and wide, if the matrix is. `gemm` sums products of at most 64
    /// by 64 otherwise than larger ones, so parts are never that small unless the whole is: that is
    /// why the number of threads changes no bit.
    const HEIGHT: usize = 96;
    const WIDTH: usize = 192;

    /// For `a b` with `a` row-major. `gemm` packs `b` for each part and reads `a` where it is, so
    /// columns are cut first.
    pub fn columns_first(m: usize, n: usize) -> Self {
        let tasks = Self::tasks(4);
        let columns = (n / Self::WIDTH).clamp(1, tasks);
        let rows = (m / Self::HEIGHT).clamp(1, tasks.div_ceil(columns));
        Self { m, n, rows, columns }
    }

    /// For `a^T b`, with both row-major: packing `a`, which means turning it, costs most, so there
    /// are only as many parts as it takes to keep the threads busy.
    pub fn rows_first(m: usize, n: usize) -> Self {
        let tasks = Self::tasks(2);
        let rows = (m / Self::WIDTH).clamp(1, tasks);
        let columns = (n / Self::WIDTH).clamp(1, tasks.div_ceil(rows));
        if rows * columns > 1 || n < Self::HEIGHT {
            return Self { m, n, rows, columns };
        }
        // A small matrix with a long sum is better cut small than left to one thread.
        Self { m, n, rows: (m / (Self::HEIGHT / 2)).clamp(1, tasks), columns }
    }

    /// Some for each thread, so that one that is held up does not hold up all.
    fn tasks(each: usize) -> usize {
        match rayon::current_num_threads() {
            1 => 1,
            threads => each * threads,
        }
    }

    /// Runs `task` for the rows and columns of each part, on all threads.
    pub fn for_each(self, task: impl Fn(Range<usize>, Range<usize>) + Sync) {
        let cut = |whole: usize, parts: usize, part: usize| {
            part * whole / parts..(part + 1) * whole / parts
        };
        let part = |index: usize| {
            let rows = cut(self.m, self.rows, index / self.columns);
            task(rows, cut(self.n, self.columns, index % self.columns));
        };
        match self.rows * self.columns {
            1 => part(0),
            parts => (0..parts).into_par_iter().with_max_len(1).for_each(part),
        }
    }
}

/// `out = a b`, with `a` `[m, k]` and `b` `[k, n]`, on all threads. `out` is not read.
///
/// # Safety
///
/// As [`product`]; `grid` must be of `m` and `n`.
pub unsafe fn parallel_product(grid: Grid, k: usize, a: View, b: View, out: View) {
    grid.for_each(|rows, columns| {
        let (a, b) = (a.from(rows.start, 0), b.from(0, columns.start));
        let out = out.from(rows.start, columns.start);
        // SAFETY: the caller's; parts do not overlap.
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

/// `gemm` reads `b` where it is if `a` has at most 32 rows. A weight's rows lie kilobytes apart, which the
/// processor does not fetch ahead, and reading them so costs more than packing them: BERT-base embeds one
/// caption of 32 tokens a quarter slower. The threshold is `gemm`'s for the whole process; no bit
/// depends on it.
static PACK_ALWAYS: Once = Once::new();

unsafe fn multiply([m, n, k]: [usize; 3], scale: f32, a: View, b: View, out: View, add: bool) {
    PACK_ALWAYS.call_once(|| gemm::set_lhs_packing_threshold_single_thread(0));
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
