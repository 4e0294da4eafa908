//! Tiles of one head's queries, keys or values in shared memory.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use crate::cube::units;

/// Tiles of a kernel at most: those of the backward passes.
const TILES: usize = 4;
/// Scores and their gradients, of which a kernel has one for each pair of rows of two tiles.
const SQUARES: usize = 2;
/// Numbers that a kernel keeps for each row of a tile.
const PER_ROW: usize = 3;

/// How a kernel is cut for a device; known when the kernel is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tiling {
    /// Rows of a tile: queries or keys.
    pub rows: usize,
    /// Columns of a tile.
    pub head_width: usize,
    /// Units of a cube.
    pub units: usize,
}

impl Tiling {
    /// The largest tiles that fit the device's shared memory, up to 16 rows.
    ///
    /// # Panics
    ///
    /// Where not even tiles of one row fit: with 16 KiB, the least that WebGPU promises, at heads
    /// about a thousand wide.
    pub fn new(client: &Client, [_, _, width]: [usize; 3], heads: usize) -> Self {
        let head_width = width / heads;
        let most = client.properties().hardware.max_shared_memory_size;
        let rows = [16, 8, 4, 2, 1].into_iter().find(|rows| bytes(*rows, head_width) <= most);
        let rows = rows.unwrap_or_else(|| {
            panic!(
                "heads of width {head_width} do not fit the device's {most} bytes of shared memory"
            )
        });
        Self { rows, head_width, units: units(client, rows * rows) }
    }

    /// The cubes that cover the tokens of `x`, `[batch, tokens, width]`, in all heads.
    pub fn cubes(&self, x: &CubeTensor, heads: usize) -> usize {
        let [batch, tokens, _] = x.shape().dims();
        batch * heads * tokens.div_ceil(self.rows)
    }

    /// What scores are multiplied with.
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    /// From one row of a tile to the next. An odd distance would do on banks of shared memory that
    /// are a power of two; one more than the columns is odd for every usual width.
    pub fn stride(&self) -> usize {
        self.head_width + 1
    }

    /// Numbers of a tile.
    pub fn size(&self) -> usize {
        self.rows * self.stride()
    }

    /// Scores of a tile of queries with a tile of keys.
    pub fn square(&self) -> usize {
        self.rows * self.rows
    }

    /// Numbers of a tile that one unit sums.
    pub fn per_unit(&self) -> usize {
        (self.rows * self.head_width).div_ceil(self.units)
    }

    /// Whether these are few enough for registers, which take fixed indices alone.
    pub fn in_registers(&self) -> bool {
        self.per_unit() <= 32
    }
}

fn bytes(rows: usize, head_width: usize) -> usize {
    let numbers = TILES * rows * (head_width + 1) + SQUARES * rows * rows + PER_ROW * rows;
    numbers * size_of::<f32>()
}

/// Which tile of which head a cube has.
#[derive(CubeType)]
pub struct Place {
    pub item: usize,
    pub head: usize,
    /// The first token of the tile.
    pub first: usize,
}

#[cube]
pub fn place(tokens: usize, heads: usize, #[comptime] tiling: Tiling) -> Place {
    let tiles = tokens.div_ceil(tiling.rows);
    let pair = CUBE_POS / tiles;
    Place { item: pair / heads, head: pair % heads, first: CUBE_POS % tiles * tiling.rows }
}

/// Copies the tile of `x`, `[batch, tokens, width]`, that begins at token `first`. Rows after the
/// last token are zeros.
#[cube]
pub fn load(
    x: &Tensor<f32>,
    tile: &mut Shared<[f32]>,
    item: usize,
    head: usize,
    first: usize,
    #[comptime] tiling: Tiling,
) {
    let mut index = UNIT_POS as usize;
    while index < comptime!(tiling.rows * tiling.head_width) {
        let row = index / tiling.head_width;
        let column = index % tiling.head_width;
        let token = first + row;
        let mut number = 0.0f32;
        if token < x.shape(1) {
            let channel = head * tiling.head_width + column;
            number = x[item * x.stride(0) + token * x.stride(1) + channel * x.stride(2)];
        }
        tile[row * comptime!(tiling.stride()) + column] = number;
        index += tiling.units;
    }
}

/// The product of a row of one tile and a row of another.
#[cube]
pub fn dot(
    a: &Shared<[f32]>,
    b: &Shared<[f32]>,
    a_row: usize,
    b_row: usize,
    #[comptime] tiling: Tiling,
) -> f32 {
    let a_start = a_row * comptime!(tiling.stride());
    let b_start = b_row * comptime!(tiling.stride());
    let mut sum = 0.0f32;
    for column in 0..tiling.head_width {
        sum += a[a_start + column] * b[b_start + column];
    }
    sum
}

/// The number of `bias`, `[batch or 1, 1, queries or 1, keys]`, for a query and a key that exist.
#[cube]
pub fn bias_at(bias: &Tensor<f32>, item: usize, query: usize, key: usize) -> f32 {
    let item = item % bias.shape(0);
    let query = query % bias.shape(2);
    bias[item * bias.stride(0) + query * bias.stride(2) + key * bias.stride(3)]
}
