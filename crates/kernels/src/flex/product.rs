//! Matrix products on memory that is there already, and buffers to keep their results in.

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

impl View {
    pub fn of(rows: &mut [f32], width: usize) -> Self {
        Self { start: rows.as_mut_ptr(), row: width as isize, column: 1 }
    }

    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// `out = scale a b`, with `a` `[m, k]` and `b` `[k, n]`, on this thread. `out` is not read.
///
/// # Safety
///
/// The views must reach only memory that lives, nobody else may use `out`'s meanwhile, and it must
/// not overlap the others'.
pub unsafe fn product([m, n, k]: [usize; 3], scale: f32, a: View, b: View, out: View) {
    // SAFETY: the caller's.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.start,
            out.column,
            out.row,
            false,
            a.start.cast_const(),
            a.column,
            a.row,
            b.start.cast_const(),
            b.column,
            b.row,
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
