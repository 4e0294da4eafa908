//! Resizing as Pillow does it, to the bit: the same weights in the same fixed point, the same order
//! of passes, a byte per channel in between. A resampler that rounds otherwise is one level off
//! wherever a picture is finely striped, and one that swaps the passes is up to four off at hard
//! edges.
//!
//! Only what is kept of the resized picture is computed, from the pixels that it is made of, so a
//! picture of one row costs no more than any other, and a small crop less than a large one.

mod passes;
mod taps;

use std::ops::Range;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use passes::{Pixels, resize_columns, resize_rows};

const CHANNELS: usize = 3;

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
    /// Whether they are wanted in the opposite order.
    pub mirrored: bool,
}

impl Side {
    /// All of `source`, as `size` pixels.
    pub fn whole(source: Range<u32>, size: usize) -> Self {
        Side { source, resized: size, kept: 0..size, mirrored: false }
    }

    /// How many pixels a resized picture has less than its source on this side.
    fn loss(&self) -> i64 {
        self.source.len() as i64 - self.resized as i64
    }
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
    let mut across = columns.taps(interpolation);
    let mut down = rows.taps(interpolation);
    let (width, height) = (across.len(), down.len());
    let needed = Pixels::of(picture).cut(across.rebase(), down.rebase());
    // Pillow's order since its release 13; before it, across came first always.
    let pixels = if rows.loss() > 0 && rows.loss() > 2 * columns.loss() {
        let fewer = resize_columns(needed, &down);
        resize_rows(Pixels::new(&fewer, needed.width), &across)
    } else {
        let narrower = resize_rows(needed, &across);
        resize_columns(Pixels::new(&narrower, width), &down)
    };
    RgbImage::from_raw(width as u32, height as u32, pixels)
        .expect("both passes gave as many pixels as there are taps")
}

#[cfg(test)]
mod tests;
