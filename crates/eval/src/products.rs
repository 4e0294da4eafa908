//! Inner products of embeddings in tiles, so that no matrix of all scores exists.
//!
//! `S = Q C^T` with `Q` `[queries, width]` and `C` `[candidates, width]`, a tile of some rows of `Q`
//! and of `C` at a time. All tiles of a product have the same shape: the last overlaps the one
//! before it. In which order the matrix product adds depends on its shape, so this is what gives
//! equal embeddings equal scores wherever they stand, and every score the same value whatever the
//! number of threads.

use std::ops::Range;

use crate::EvalError;

/// Most queries and candidates of a tile. Its scores (256 KiB) fit the second level of cache, and
/// its product is long enough to be worth the copies of the operands that it makes.
pub(crate) const TILE: usize = 256;

/// A row-major `[rows, width]` matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embeddings<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Embeddings<'a> {
    /// `name` is what an error calls the rows.
    pub fn new(name: &str, values: &'a [f32], width: usize) -> Result<Self, EvalError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let expected = format!("{name} as rows of {width} features (at least one)");
            return Err(EvalError::FeatureCount { expected, got: values.len() });
        }
        Ok(Self { values, width })
    }

    /// Number of rows.
    pub fn count(self) -> usize {
        self.values.len() / self.width
    }

    pub fn tiles(self) -> Tiles {
        Tiles::new(self.count(), TILE)
    }

    fn rows(self, rows: &Range<usize>) -> &'a [f32] {
        &self.values[rows.start * self.width..rows.end * self.width]
    }
}

/// The rows of a matrix, split into tiles of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    rows: usize,
    size: usize,
}

/// The rows of one tile.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    /// All of them.
    pub rows: Range<usize>,
    /// Those that no earlier tile has.
    pub new: Range<usize>,
}

impl Tile {
    /// Rows at the front that an earlier tile has.
    pub fn overlap(&self) -> usize {
        self.new.start - self.rows.start
    }
}

impl Tiles {
    /// As few as can be of at most `most` rows each, with as little overlap as can be.
    pub fn new(rows: usize, most: usize) -> Self {
        // No rows make no tiles, whatever their size.
        let tiles = rows.div_ceil(most).max(1);
        Self { rows, size: rows.div_ceil(tiles).max(1) }
    }

    /// Rows of all tiles together.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Rows of each tile.
    pub fn size(self) -> usize {
        self.size
    }

    pub fn count(self) -> usize {
        self.rows.div_ceil(self.size)
    }

    /// The tile of this number, under [`Self::count`].
    pub fn get(self, number: usize) -> Tile {
        let end = self.rows.min((number + 1) * self.size);
        Tile { rows: end - self.size..end, new: number * self.size..end }
    }

    pub fn iter(self) -> impl Iterator<Item = Tile> {
        (0..self.count()).map(move |number| self.get(number))
    }
}

/// `scores = Q C^T` of a tile of both, row-major `[queries, candidates]`, on this thread.
pub(crate) fn inner_products(
    queries: Embeddings,
    of_queries: &Tile,
    candidates: Embeddings,
    of_candidates: &Tile,
    scores: &mut [f32],
) {
    let (a, b) = (queries.rows(&of_queries.rows), candidates.rows(&of_candidates.rows));
    let (m, n, width) = (of_queries.rows.len(), of_candidates.rows.len(), queries.width);
    assert!(candidates.width == width && scores.len() == m * n, "operands of other shapes");
    // SAFETY: `a`, `b` and `scores` are the row-major matrices `[m, width]`, `[n, width]` and
    // `[m, n]` (the slices were cut so, and the assertion says the rest), and the strides are
    // theirs. `scores` is borrowed mutably, so nothing else reaches it meanwhile.
    unsafe {
        gemm::gemm(
            m,
            n,
            width,
            scores.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            width as isize,
            b.as_ptr(),
            width as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
