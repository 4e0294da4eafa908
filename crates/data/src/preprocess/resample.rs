//! Resizing as Pillow does it, to the bit: the same weights in the same fixed point, the same order
//! of passes, a byte per channel in between. A resampler that rounds otherwise is one level off
//! wherever a picture is finely striped, and one that swaps the passes is up to four off at hard
//! edges.
//!
//! Only what is kept of the resized picture is computed, so a picture of one row costs no more than
//! any other.

use std::ops::Range;

use image::RgbImage;
use serde::{Deserialize, Serialize};

const CHANNELS: usize = 3;

/// Bits behind the point of a weight, Pillow's 32 less 8 for the byte and 2 for sums that leave its
/// range.
const FRACTION_BITS: u32 = 22;

/// Half of the last place that a sum keeps.
const ROUNDING: i32 = 1 << (FRACTION_BITS - 1);

/// What a pixel between pixels is made of. All but `nearest` widen when shrinking, so that nothing
/// aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The pixel that the new one's middle falls into.
    Nearest,
    /// Two pixels in each direction, by their distance.
    Bilinear,
    /// Four pixels in each direction, by Keys' cubic with a = -0.5.
    #[default]
    Bicubic,
    /// Six pixels in each direction, by the windowed sine.
    Lanczos,
}

impl Interpolation {
    /// How far the filter reaches to either side, in pixels.
    fn support(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.0,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    /// The filter at `distance` pixels from its middle.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            _ if x >= self.support() => 0.0,
            Interpolation::Nearest => 1.0,
            Interpolation::Bilinear => 1.0 - x,
            Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Interpolation::Bicubic => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Interpolation::Lanczos => sinc(x) * sinc(x / 3.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// One side of a picture on its way to another length.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// The pixels that are resized; what lies beyond them has no influence.
    pub source: Range<u32>,
    /// How many they become.
    pub resized: usize,
    /// Which of those are wanted.
    pub kept: Range<usize>,
}

/// What one new pixel is made of: neighbouring old ones, and their weights in fixed point.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Side {
    /// All of `source`, as `size` pixels.
    pub fn whole(source: Range<u32>, size: usize) -> Self {
        Side { source, resized: size, kept: 0..size }
    }

    /// How many pixels a resized picture has less than its source on this side.
    fn loss(&self) -> i64 {
        self.source.len() as i64 - self.resized as i64
    }

    fn taps(&self, interpolation: Interpolation) -> Vec<Taps> {
        if interpolation == Interpolation::Nearest {
            return self.nearest();
        }
        let (start, length) = (self.source.start as usize, self.source.len());
        let scale = length as f64 / self.resized as f64;
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let one = |at: usize| {
            let middle = (at as f64 + 0.5) * scale;
            // The casts cut, and make 0 of what is below.
            let first = (middle - support + 0.5) as usize;
            let end = ((middle + support + 0.5) as usize).min(length);
            let weight = |pixel: usize| {
                interpolation.weight((pixel as f64 - middle + 0.5) * (1.0 / stretch))
            };
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let total: f64 = weights.iter().sum();
            let weights = weights.into_iter().map(|weight| fixed(weight / total)).collect();
            Taps { first: start + first, weights }.trimmed()
        };
        self.kept.clone().map(one).collect()
    }

    fn nearest(&self) -> Vec<Taps> {
        /// A longer side is more than Pillow can hold a picture of.
        const LONGEST: usize = 1 << 20;
        let scale = self.source.len() as f64 / self.resized as f64;
        let begin = self.kept.start;
        // A running sum, as Pillow has it: its rounding decides where a middle is on an edge.
        let mut middle = if begin < LONGEST {
            (0..begin).fold(0.5 * scale, |middle, _| middle + scale)
        } else {
            (begin as f64 + 0.5) * scale
        };
        let one = |_| {
            let pixel = (middle as usize).min(self.source.len() - 1);
            middle += scale;
            Taps { first: self.source.start as usize + pixel, weights: vec![fixed(1.0)] }
        };
        self.kept.clone().map(one).collect()
    }
}

impl Taps {
    /// The same without pixels at either end that weigh nothing.
    fn trimmed(mut self) -> Self {
        let zeros = self.weights.iter().take_while(|&&weight| weight == 0).count();
        self.weights.drain(..zeros);
        self.first += zeros;
        while self.weights.last() == Some(&0) {
            self.weights.pop();
        }
        self
    }
}

fn fixed(weight: f64) -> i32 {
    // The cast cuts towards zero: this rounds halves away from it.
    (weight * f64::from(1 << FRACTION_BITS) + 0.5_f64.copysign(weight)) as i32
}

fn byte(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Resizes `picture` to what is kept of `columns` by what is kept of `rows`.
///
/// # Panics
/// If a source range is empty or leaves the picture.
pub(crate) fn resample(
    picture: &RgbImage,
    columns: &Side,
    rows: &Side,
    interpolation: Interpolation,
) -> RgbImage {
    let across = columns.taps(interpolation);
    let mut down = rows.taps(interpolation);
    let width = picture.width() as usize;
    // Pillow's order since its release 13; before it, across came first always.
    let pixels = if rows.loss() > 0 && rows.loss() > 2 * columns.loss() {
        resize_rows(&resize_columns(picture.as_raw(), width, &down), width, &across)
    } else {
        let first = down.iter().map(|taps| taps.first).min().unwrap_or(0);
        let end = down.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
        let needed = &picture.as_raw()[first * CHANNELS * width..end * CHANNELS * width];
        down.iter_mut().for_each(|taps| taps.first -= first);
        resize_columns(&resize_rows(needed, width, &across), across.len(), &down)
    };
    RgbImage::from_raw(across.len() as u32, down.len() as u32, pixels)
        .expect("both passes gave as many pixels as there are taps")
}

/// Makes every row of `pixels`, each `width` pixels, as long as there are `taps`.
fn resize_rows(pixels: &[u8], width: usize, taps: &[Taps]) -> Vec<u8> {
    let mut resized = Vec::with_capacity(pixels.len() / width * taps.len());
    for row in pixels.chunks_exact(CHANNELS * width) {
        for Taps { first, weights } in taps {
            let mut sums = [ROUNDING; CHANNELS];
            let neighbours = row[CHANNELS * first..].chunks_exact(CHANNELS);
            for (pixel, weight) in neighbours.zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            resized.extend(sums.map(byte));
        }
    }
    resized
}

/// Makes of `pixels`, rows of `width` pixels, as many rows as there are `taps`.
fn resize_columns(pixels: &[u8], width: usize, taps: &[Taps]) -> Vec<u8> {
    let row = CHANNELS * width;
    let mut resized = Vec::with_capacity(row * taps.len());
    let mut sums = vec![ROUNDING; row];
    for Taps { first, weights } in taps {
        sums.fill(ROUNDING);
        for (neighbour, weight) in pixels[row * first..].chunks_exact(row).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(neighbour) {
                *sum += i32::from(*value) * weight;
            }
        }
        resized.extend(sums.iter().copied().map(byte));
    }
    resized
}
