//! Random changes of a picture that its caption survives.
//!
//! The order is ALBEF's: a random crop, resized; a flip; RandAugment. The operations of RandAugment
//! are in `operation`.

mod affine;
mod colour;
mod operation;

use std::ops::Range;

use image::RgbImage;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::preprocess::{Interpolation, Side, resample};
pub use operation::Operation;

/// How often a crop is drawn before the middle of the picture is taken instead (torchvision's 10).
const CROP_ATTEMPTS: usize = 10;

/// A RandAugment operation that was drawn is carried out with this probability (ALBEF's code).
const OPERATION_PROBABILITY: f64 = 0.5;

/// Random crop, flip and RandAugment. The defaults are those of ALBEF's pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Smallest and largest area of the crop, as a fraction of the picture; `[1, 1]` takes the
    /// whole picture, whatever its shape.
    pub crop_scale: [f64; 2],
    /// Smallest and largest width / height of the crop.
    pub crop_ratio: [f64; 2],
    /// Probability that left and right are exchanged.
    pub flip: f64,
    /// Number of RandAugment operations drawn, with replacement; 0 is off.
    pub rand_ops: usize,
    /// Their strength, of 10.
    pub rand_magnitude: f64,
    /// Colour of what a shear, shift or rotation leaves empty.
    pub fill: [u8; 3],
}

impl Default for Augment {
    fn default() -> Self {
        Augment {
            crop_scale: [0.2, 1.0],
            crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: 0.5,
            rand_ops: 2,
            rand_magnitude: 7.0,
            fill: [128; 3],
        }
    }
}

impl Augment {
    /// A `size` x `size` variant of `picture`, resized by `interpolation` as in evaluation.
    pub fn apply(
        &self,
        picture: &RgbImage,
        size: usize,
        interpolation: Interpolation,
        rng: &mut ChaCha8Rng,
    ) -> RgbImage {
        let [mut columns, rows] =
            self.crop(picture.width(), picture.height(), rng).map(|span| Side::whole(span, size));
        // The flip costs nothing where the columns are made.
        columns.mirrored = rng.random::<f64>() < self.flip;
        let mut picture = resample(picture, &columns, &rows, interpolation);
        for _ in 0..self.rand_ops {
            let operation = Operation::ALL[rng.random_range(0..Operation::ALL.len())];
            if rng.random::<f64>() < OPERATION_PROBABILITY {
                let negative = rng.random::<bool>();
                picture = operation.apply(picture, self.rand_magnitude, negative, self.fill);
            }
        }
        picture
    }

    /// The columns and rows to keep, as torchvision's `RandomResizedCrop` draws them: the area
    /// uniformly, the ratio uniformly in its logarithm.
    fn crop(&self, width: u32, height: u32, rng: &mut ChaCha8Rng) -> [Range<u32>; 2] {
        if self.crop_scale == [1.0, 1.0] {
            return [0..width, 0..height];
        }
        let (whole_width, whole_height) = (f64::from(width), f64::from(height));
        let [smallest, largest] = self.crop_scale;
        let [narrowest, widest] = self.crop_ratio;
        for _ in 0..CROP_ATTEMPTS {
            let area = whole_width * whole_height * rng.random_range(smallest..=largest);
            let ratio = rng.random_range(narrowest.ln()..=widest.ln()).exp();
            let crop_width = (area * ratio).sqrt().round();
            let crop_height = (area / ratio).sqrt().round();
            let fits = crop_width <= whole_width && crop_height <= whole_height;
            if fits && crop_width >= 1.0 && crop_height >= 1.0 {
                let (crop_width, crop_height) = (crop_width as u32, crop_height as u32);
                let left = rng.random_range(0..=width - crop_width);
                let top = rng.random_range(0..=height - crop_height);
                return [left..left + crop_width, top..top + crop_height];
            }
        }
        // The picture is too long or too high for any such crop: its middle, as near as allowed.
        let ratio = (whole_width / whole_height).clamp(narrowest, widest);
        let middle = |whole: u32, length: f64| {
            let length = (length.round().max(1.0) as u32).min(whole);
            let start = (whole - length) / 2;
            start..start + length
        };
        [middle(width, whole_height * ratio), middle(height, whole_width / ratio)]
    }
}
