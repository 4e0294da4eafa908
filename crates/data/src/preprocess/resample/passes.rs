//! The two passes of a resize, in loops that the compiler turns into vector instructions of the
//! processor they run on. Whole numbers have one sum in whatever order they are added, so all
//! processors compute the same bytes.
//!
//! Loops over arrays are written out: `map` of an array is a call, compiled for any processor.

use std::ops::Range;

use image::RgbImage;
use multiversion::multiversion;

use super::CHANNELS;
use super::taps::{FRACTION_BITS, Taps};

/// Half of the last place that a sum keeps.
const ROUNDING: i32 = 1 << (FRACTION_BITS - 1);

/// Bytes whose sums the registers hold while all neighbours are added.
const BLOCK: usize = 32;
/// Bytes that a pixel takes in a block; the fourth means nothing.
const LANES: usize = 4;
/// Rows that have their pixels in one block.
const ROWS: usize = BLOCK / LANES;

/// A rectangle of a picture.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    /// From the first byte of the rectangle on.
    bytes: &'a [u8],
    /// Bytes from one row to the next.
    stride: usize,
    /// Pixels of a row.
    pub width: usize,
    height: usize,
}

impl<'a> Pixels<'a> {
    pub fn of(picture: &'a RgbImage) -> Self {
        Pixels::new(picture.as_raw(), picture.width() as usize)
    }

    /// Rows of `width` pixels behind each other.
    pub fn new(bytes: &'a [u8], width: usize) -> Self {
        let stride = CHANNELS * width;
        Pixels { bytes, stride, width, height: bytes.len() / stride.max(1) }
    }

    /// What is in `columns` and in `rows`.
    pub fn cut(self, columns: Range<usize>, rows: Range<usize>) -> Self {
        let bytes = &self.bytes[rows.start * self.stride + columns.start * CHANNELS..];
        Pixels { bytes, width: columns.len(), height: rows.len(), ..self }
    }

    fn row(self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.stride..][..CHANNELS * self.width]
    }
}

/// Makes every row as long as there are `taps`.
///
/// Eight rows at a time are turned, so that what was side by side is one below the other and is
/// added as in [`resize_columns`].
pub(super) fn resize_rows(pixels: Pixels, taps: &Taps) -> Vec<u8> {
    let length = CHANNELS * taps.len();
    let mut resized = vec![0; length * pixels.height];
    let mut old = vec![[0; BLOCK]; pixels.width];
    let mut new = vec![[0; BLOCK]; taps.len()];
    for (group, lines) in resized.chunks_mut((ROWS * length).max(1)).enumerate() {
        let lines = lines.chunks_exact_mut(length);
        // In the last group, rows of the one before may be left: they are computed for nothing.
        for at in 0..lines.len() {
            turn(pixels.row(ROWS * group + at), at, &mut old);
        }
        weigh_blocks(old.as_flattened(), BLOCK, taps, &mut new);
        for (at, line) in lines.enumerate() {
            turn_back(&new, at, line);
        }
    }
    resized
}

/// Writes the pixels of a row to blocks, as the one at `place` in each.
fn turn(row: &[u8], place: usize, blocks: &mut [[u8; BLOCK]]) {
    const FEW: usize = 4;
    let (few_pixels, rest) = row.as_chunks::<{ FEW * CHANNELS }>();
    let (few_blocks, last_blocks) = blocks.as_chunks_mut::<FEW>();
    for (pixels, blocks) in few_pixels.iter().zip(few_blocks) {
        for (at, block) in blocks.iter_mut().enumerate() {
            let lanes = &mut block.as_chunks_mut::<LANES>().0[place];
            // Four bytes are copied faster than three.
            if at + 1 < FEW {
                lanes.copy_from_slice(&pixels[CHANNELS * at..][..LANES]);
            } else {
                lanes[..CHANNELS].copy_from_slice(&pixels[CHANNELS * at..]);
            }
        }
    }
    for (pixel, block) in rest.chunks_exact(CHANNELS).zip(last_blocks) {
        block[LANES * place..][..CHANNELS].copy_from_slice(pixel);
    }
}

/// A new block for each of the `taps` from old ones that begin `stride` bytes apart.
#[multiversion(targets("x86_64+avx2"))]
fn weigh_blocks(old: &[u8], stride: usize, taps: &Taps, new: &mut [[u8; BLOCK]]) {
    for (block, (first, weights)) in new.iter_mut().zip(taps.iter()) {
        *block = weigh_block(old, stride * first, stride, weights);
    }
}

/// The row of the pixels that are at `place` in each block.
fn turn_back(blocks: &[[u8; BLOCK]], place: usize, line: &mut [u8]) {
    let Some((last, blocks)) = blocks.split_last() else { return };
    for (pixel, block) in blocks.iter().enumerate() {
        // The fourth byte is the next pixel's first, which overwrites it.
        let lanes = block.as_chunks::<LANES>().0[place];
        line[CHANNELS * pixel..][..LANES].copy_from_slice(&lanes);
    }
    line[CHANNELS * blocks.len()..].copy_from_slice(&last[LANES * place..][..CHANNELS]);
}

/// Makes as many rows as there are `taps`.
pub(super) fn resize_columns(pixels: Pixels, taps: &Taps) -> Vec<u8> {
    let length = CHANNELS * pixels.width;
    let mut resized = vec![0; length * taps.len()];
    for ((first, weights), line) in taps.iter().zip(resized.chunks_exact_mut(length.max(1))) {
        weigh_rows(&pixels.bytes[first * pixels.stride..], pixels.stride, weights, line);
    }
    resized
}

/// The weighted sum of rows that begin `stride` bytes apart.
#[multiversion(targets("x86_64+avx2"))]
fn weigh_rows(bytes: &[u8], stride: usize, weights: &[i32], line: &mut [u8]) {
    let (blocks, rest) = line.as_chunks_mut::<BLOCK>();
    let mut at = 0;
    for block in blocks {
        *block = weigh_block(bytes, at, stride, weights);
        at += BLOCK;
    }
    for byte in rest {
        [*byte] = weigh_block(bytes, at, stride, weights);
        at += 1;
    }
}

/// The weighted sum of blocks that begin `stride` bytes apart, the first `at` bytes from the start.
#[inline(always)]
fn weigh_block<const N: usize>(
    bytes: &[u8],
    mut at: usize,
    stride: usize,
    weights: &[i32],
) -> [u8; N] {
    let mut sums = [ROUNDING; N];
    for weight in weights {
        for (sum, &value) in sums.iter_mut().zip(&bytes[at..][..N]) {
            *sum += i32::from(value) * weight;
        }
        at += stride;
    }
    let mut block = [0; N];
    for (new, sum) in block.iter_mut().zip(sums) {
        *new = byte(sum);
    }
    block
}

#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}
