//! Shear, shift and rotation with bilinear sampling, in fixed-point numbers so that every machine
//! computes the same pixels.

use image::{Rgb, RgbImage};

/// Bits after the point.
const POINT: u32 = 16;
const ONE: i64 = 1 << POINT;

/// Sum of the four weights of a bilinear sample.
const WEIGHT: i64 = 1 << (2 * SHORT);
/// Bits of a position between two pixels that a weight keeps.
const SHORT: u32 = 8;

/// Shears about the top left corner: column x of row y moves by `x_by` * y, row y of column x by
/// `y_by` * x.
pub(super) fn shear(picture: &RgbImage, x_by: f64, y_by: f64, fill: [u8; 3]) -> RgbImage {
    sample(picture, [1.0, -x_by, 0.0, -y_by, 1.0, 0.0], fill)
}

/// Moves right by `x_by` and down by `y_by` pixels.
pub(super) fn shift(picture: &RgbImage, x_by: f64, y_by: f64, fill: [u8; 3]) -> RgbImage {
    sample(picture, [1.0, 0.0, -x_by, 0.0, 1.0, -y_by], fill)
}

/// Turns about the middle by `degrees`.
pub(super) fn rotate(picture: &RgbImage, degrees: f64, fill: [u8; 3]) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = (f64::from(picture.width()) / 2.0, f64::from(picture.height()) / 2.0);
    let matrix = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y];
    sample(picture, matrix, fill)
}

/// Pixel (x, y) of the result is the picture at (m0 x + m1 y + m2, m3 x + m4 y + m5); what lies
/// outside has the colour `fill`.
fn sample(picture: &RgbImage, matrix: [f64; 6], fill: [u8; 3]) -> RgbImage {
    // A last digit in which two mathematics libraries differ is rounded away here.
    let m = matrix.map(|value| (value * ONE as f64).round() as i64);
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    let pixel = |x: i64, y: i64| -> [u8; 3] {
        if (0..width).contains(&x) && (0..height).contains(&y) {
            picture.get_pixel(x as u32, y as u32).0
        } else {
            fill
        }
    };
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        let at_x = m[0] * x + m[1] * y + m[2];
        let at_y = m[3] * x + m[4] * y + m[5];
        let (left, top) = (at_x >> POINT, at_y >> POINT);
        let right_weight = (at_x & (ONE - 1)) >> (POINT - SHORT);
        let lower_weight = (at_y & (ONE - 1)) >> (POINT - SHORT);
        let (left_weight, upper_weight) =
            ((1 << SHORT) - right_weight, (1 << SHORT) - lower_weight);
        let corners = [
            (pixel(left, top), left_weight * upper_weight),
            (pixel(left + 1, top), right_weight * upper_weight),
            (pixel(left, top + 1), left_weight * lower_weight),
            (pixel(left + 1, top + 1), right_weight * lower_weight),
        ];
        Rgb(std::array::from_fn(|channel| {
            let sum: i64 =
                corners.iter().map(|(pixel, weight)| i64::from(pixel[channel]) * weight).sum();
            ((sum + WEIGHT / 2) / WEIGHT) as u8
        }))
    })
}
