//! A picture of any size to the numbers that an image encoder takes.

mod hugging_face;
mod resample;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
pub use resample::Interpolation;
pub(crate) use resample::{Side, resample};

/// How a picture reaches an image encoder in evaluation, and, after augmentation, in training.
///
/// The pixels are those that torchvision's `Resize` and `CenterCrop` make with Pillow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// Side of the square picture that the encoder takes, in pixels.
    pub size: usize,
    /// What the picture is resized to before its middle is cut out, in pixels, at least `size`:
    /// some encoders are evaluated on the middle 224 of 256. `None`: `size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// `true`: the short side is resized to `resize`, then the middle is cut out, as CLIP does;
    /// `false`: the whole picture is squeezed into a square of `resize`, as ALBEF does.
    pub crop: bool,
    /// Where the middle begins when an odd number of pixels is cut off.
    pub rounding: Rounding,
    /// How the picture, or in training the part of it that augmentation keeps, is resized.
    pub interpolation: Interpolation,
    /// Subtracted per channel (red, green, blue), from values in 0..1.
    pub mean: [f32; 3],
    /// Divides per channel after the mean is subtracted.
    pub std: [f32; 3],
}

/// How half a pixel is rounded: the libraries that encoders are published with differ by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// To the even number, as torchvision, and with it OpenAI's CLIP and OpenCLIP.
    #[default]
    Torchvision,
    /// Down, as Hugging Face's transformers.
    Transformers,
}

impl Default for Preprocess {
    /// 224 pixels, bicubic, CLIP's mean and standard deviation, no crop.
    fn default() -> Self {
        Preprocess {
            size: 224,
            resize: None,
            crop: false,
            rounding: Rounding::Torchvision,
            interpolation: Interpolation::Bicubic,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }
}

impl Preprocess {
    /// An error that names the first setting that cannot work.
    pub fn check(&self) -> Result<(), DataError> {
        let Preprocess { size, std, .. } = self;
        let resize = self.resized();
        let problem = if *size == 0 {
            "size 0: expected at least 1".into()
        } else if resize < *size {
            format!("resize {resize}: expected at least the size {size}, which is cut out of it")
        } else if !self.mean.iter().all(|mean| mean.is_finite()) {
            format!("mean {:?}: expected numbers", self.mean)
        } else if !std.iter().all(|std| std.is_finite() && *std > 0.0) {
            format!("std {std:?}: expected values above 0")
        } else {
            return Ok(());
        };
        Err(DataError::Config(problem))
    }

    /// Resizes, cuts and normalises.
    ///
    /// # Shapes
    /// - output `[3, size, size]`: channel, row, column
    ///
    /// # Panics
    /// As [`Preprocess::pixels`] does.
    pub fn apply(&self, picture: &RgbImage) -> Vec<f32> {
        self.normalise(&self.pixels(picture))
    }

    /// What the encoder sees of `picture`: `size` x `size` pixels, not yet normalised. A picture
    /// without pixels is black.
    ///
    /// # Panics
    /// If [`Preprocess::check`] refuses these settings.
    pub fn pixels(&self, picture: &RgbImage) -> RgbImage {
        if let Err(problem) = self.check() {
            panic!("preprocess: {problem}");
        }
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return RgbImage::new(self.size as u32, self.size as u32);
        }
        let (columns, rows) = (self.side(width, height), self.side(height, width));
        resample(picture, &columns, &rows, self.interpolation)
    }

    /// Scales 0..255 to 0..1, subtracts the mean and divides by the standard deviation.
    ///
    /// # Shapes
    /// - `picture`: `size` x `size`
    /// - output `[3, size, size]`
    pub fn normalise(&self, picture: &RgbImage) -> Vec<f32> {
        let mut values = Vec::with_capacity(picture.as_raw().len());
        self.append_normalised(picture, &mut values);
        values
    }

    /// As [`Preprocess::normalise`], behind what `values` holds already.
    pub(crate) fn append_normalised(&self, picture: &RgbImage, values: &mut Vec<f32>) {
        let (pixels, _) = picture.as_raw().as_chunks::<3>();
        for channel in 0..3 {
            // One table per channel: a byte has 256 values, a picture many more pixels.
            let table: [f32; 256] = std::array::from_fn(|byte| {
                (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel]
            });
            values.extend(pixels.iter().map(|pixel| table[usize::from(pixel[channel])]));
        }
    }

    /// Side that the picture is resized to before the middle is cut out.
    fn resized(&self) -> usize {
        self.resize.unwrap_or(self.size)
    }

    /// What becomes of a side of `length` pixels beside one of `other`.
    fn side(&self, length: u32, other: u32) -> Side {
        let mut resized = self.resized();
        if self.crop && length > other {
            // Cut to a whole number before the middle is found, as both libraries do.
            let long = resized as u64 * u64::from(length) / u64::from(other);
            resized = long as usize;
        }
        let margin = resized - self.size;
        let offset = match self.rounding {
            Rounding::Torchvision => (margin as f64 / 2.0).round_ties_even() as usize,
            Rounding::Transformers => margin / 2,
        };
        let kept = offset..offset + self.size;
        Side { source: 0..length, resized, kept, mirrored: false }
    }
}
