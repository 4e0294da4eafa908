//! A picture of any size to the numbers that an image encoder takes.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// How a picture reaches an image encoder in evaluation, and, after augmentation, in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// Side of the square picture that the encoder takes, in pixels.
    pub size: usize,
    /// Subtracted per channel (red, green, blue), from values in 0..1.
    pub mean: [f32; 3],
    /// Divides per channel after the mean is subtracted.
    pub std: [f32; 3],
    /// `true`: the short side is resized to `size`, then the middle is cut out, as CLIP does;
    /// `false`: the whole picture is squeezed into the square, as ALBEF does.
    pub crop: bool,
}

impl Default for Preprocess {
    /// 224 pixels, CLIP's mean and standard deviation, no crop.
    fn default() -> Self {
        Preprocess {
            size: 224,
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            crop: false,
        }
    }
}

impl Preprocess {
    /// Resizes (bicubic, antialiased) and normalises.
    ///
    /// # Shapes
    /// - output `[3, size, size]`: channel, row, column
    pub fn apply(&self, picture: &RgbImage) -> Vec<f32> {
        let (width, height) = (picture.width(), picture.height());
        let area = if self.crop {
            central_area(width, height, self.size)
        } else {
            Area { left: 0.0, top: 0.0, width: width.into(), height: height.into() }
        };
        self.normalise(&resize(picture, area, self.size))
    }

    /// Scales 0..255 to 0..1, subtracts the mean and divides by the standard deviation.
    ///
    /// # Shapes
    /// - `picture`: `size` x `size`
    /// - output `[3, size, size]`
    pub fn normalise(&self, picture: &RgbImage) -> Vec<f32> {
        let mut values = Vec::with_capacity(picture.as_raw().len());
        for channel in 0..3 {
            // One table per channel: a byte has 256 values, a picture many more pixels.
            let table: [f32; 256] = std::array::from_fn(|byte| {
                (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel]
            });
            values.extend(picture.pixels().map(|pixel| table[usize::from(pixel[channel])]));
        }
        values
    }
}

/// A rectangle of a picture, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Resizes `area` of `picture` to a square of side `size`: bicubic with a = -0.5, widened when
/// shrinking so that nothing aliases, which is what Pillow's `BICUBIC` does.
///
/// # Panics
/// If `area` does not lie inside `picture`.
pub(crate) fn resize(picture: &RgbImage, area: Area, size: usize) -> RgbImage {
    let side = size as u32;
    let source =
        ImageRef::new(picture.width(), picture.height(), picture.as_raw(), PixelType::U8x3)
            .expect("an RgbImage holds three bytes for each pixel");
    let mut target = Image::new(side, side, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(area.left, area.top, area.width, area.height);
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("the area lies inside the picture and both pixel types are the same");
    RgbImage::from_raw(side, side, target.into_vec())
        .expect("the buffer was made for this side and three bytes for each pixel")
}

/// The part of a picture that remains when its short side is resized to `size` and the middle
/// `size` x `size` is cut out: cutting first spares the resizing of what is thrown away, which for
/// a picture of one row would be most of the memory there is.
fn central_area(width: u32, height: u32, size: usize) -> Area {
    let (left, visible_width) = central_span(width, height, size);
    let (top, visible_height) = central_span(height, width, size);
    Area { left, top, width: visible_width, height: visible_height }
}

/// Start and length, in pixels of the source, of what remains of a side of length `side`.
fn central_span(side: u32, other: u32, size: usize) -> (f64, f64) {
    if side <= other {
        return (0.0, side.into());
    }
    // The rounding is torchvision's: first the long side, then the offset of the crop.
    let resized = (size as f64 * f64::from(side) / f64::from(other)).floor();
    let offset = ((resized - size as f64) / 2.0).round_ties_even();
    let scale = f64::from(side) / resized;
    (offset * scale, size as f64 * scale)
}
