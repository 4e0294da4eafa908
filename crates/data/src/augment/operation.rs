//! The ten operations of RandAugment that ALBEF uses, and what a magnitude means for each.
//!
//! The set, the ranges, the grey fill and the probability of a half are those of ALBEF's code. Ours
//! is that a shift is a fraction of the side: ALBEF moves by at most 10 pixels, and pre-trains with
//! pictures of 256.

use image::RgbImage;

use super::{affine, colour};

/// Magnitudes count up to this.
const MAX_MAGNITUDE: f64 = 10.0;

/// Largest shift, as a fraction of the side.
const MAX_SHIFT: f64 = 10.0 / 256.0;

/// An operation of RandAugment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Identity,
    AutoContrast,
    Equalize,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
}

impl Operation {
    /// All of them, each as likely as another.
    pub const ALL: [Operation; 10] = [
        Operation::Identity,
        Operation::AutoContrast,
        Operation::Equalize,
        Operation::Brightness,
        Operation::Sharpness,
        Operation::ShearX,
        Operation::ShearY,
        Operation::TranslateX,
        Operation::TranslateY,
        Operation::Rotate,
    ];

    /// Carries the operation out with strength `magnitude` of 10; `negative` turns the direction
    /// of those that have one.
    pub fn apply(
        self,
        picture: RgbImage,
        magnitude: f64,
        negative: bool,
        fill: [u8; 3],
    ) -> RgbImage {
        let strength = magnitude / MAX_MAGNITUDE;
        let signed = if negative { -strength } else { strength };
        let factor = (strength * 1.8 + 0.1) as f32;
        let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
        match self {
            Operation::Identity => picture,
            Operation::AutoContrast => colour::auto_contrast(picture),
            Operation::Equalize => colour::equalize(picture),
            Operation::Brightness => colour::brightness(picture, factor),
            Operation::Sharpness => colour::sharpness(&picture, factor),
            Operation::ShearX => affine::shear(&picture, signed * 0.3, 0.0, fill),
            Operation::ShearY => affine::shear(&picture, 0.0, signed * 0.3, fill),
            Operation::TranslateX => affine::shift(&picture, signed * MAX_SHIFT * width, 0.0, fill),
            Operation::TranslateY => {
                affine::shift(&picture, 0.0, signed * MAX_SHIFT * height, fill)
            }
            Operation::Rotate => affine::rotate(&picture, signed * 30.0, fill),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(24, 24, |x, y| {
            image::Rgb([(x * x / 3) as u8, (y * 5 + y / 12 * 60) as u8, 90])
        })
    }

    #[test]
    fn every_operation_keeps_the_size_and_all_but_identity_change_the_picture() {
        for operation in Operation::ALL {
            let changed = operation.apply(picture(), 7.0, false, [128; 3]);
            assert_eq!(changed.dimensions(), (24, 24));
            assert_eq!(changed == picture(), operation == Operation::Identity, "{operation:?}");
        }
    }

    #[test]
    fn a_shift_moves_and_fills() {
        let moved = affine::shift(&picture(), 3.0, 0.0, [1, 2, 3]);
        assert_eq!(moved.get_pixel(2, 5).0, [1, 2, 3]);
        assert_eq!(moved.get_pixel(3, 5), picture().get_pixel(0, 5));
        assert_eq!(moved.get_pixel(23, 5), picture().get_pixel(20, 5));
    }

    #[test]
    fn a_half_turn_is_a_half_turn() {
        // The centre is (12, 12), so column x lands on 24 - x.
        let turned = affine::rotate(&picture(), 180.0, [128; 3]);
        assert_eq!(turned.get_pixel(10, 7), picture().get_pixel(14, 17));
    }

    #[test]
    fn auto_contrast_spans_the_whole_range() {
        let changed = colour::auto_contrast(picture());
        let channel = |c: usize| changed.pixels().map(move |p| p[c]);
        assert_eq!((channel(0).min(), channel(0).max()), (Some(0), Some(255)));
        assert_eq!((channel(2).min(), channel(2).max()), (Some(90), Some(90)));
    }

    #[test]
    fn brightness_and_sharpness_of_factor_one_change_nothing() {
        assert_eq!(colour::brightness(picture(), 1.0), picture());
        assert_eq!(colour::sharpness(&picture(), 1.0), picture());
    }
}
