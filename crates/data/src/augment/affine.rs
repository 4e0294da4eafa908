//! Shear, shift and rotation with bilinear sampling, in fixed-point numbers so that every machine
//! computes the same pixels.

use image::RgbImage;
use multiversion::multiversion;

const CHANNELS: usize = 3;
/// Numbers that a pixel takes in a vector; the fourth means nothing.
const LANES: usize = 4;

/// Bits after the point.
const POINT: u32 = 16;
const ONE: i64 = 1 << POINT;

/// Bits of a position between two pixels that a weight keeps.
const SHORT: u32 = 8;
/// Half of the sum of the four weights of a bilinear sample.
const HALF: u32 = 1 << (2 * SHORT - 1);

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
    let (width, height) = picture.dimensions();
    let source = Source { bytes: picture, width: width.into(), height: height.into(), fill };
    let mut sampled = Vec::with_capacity(picture.as_raw().len());
    let mut line = vec![0; CHANNELS * width as usize + 1];
    for y in 0..i64::from(height) {
        let start = [m[1] * y + m[2], m[4] * y + m[5]];
        sample_line(source, start, [m[0], m[3]], &mut line);
        sampled.extend_from_slice(&line[..CHANNELS * width as usize]);
    }
    RgbImage::from_raw(width, height, sampled).expect("as many pixels as the picture has")
}

/// What is sampled from.
#[derive(Clone, Copy)]
struct Source<'a> {
    bytes: &'a [u8],
    width: i64,
    height: i64,
    fill: [u8; 3],
}

/// Samples at `at`, `at + step`, `at + 2 step`, ...: each across and down, in fixed point. The last
/// byte of `line` is behind the last pixel and means nothing.
#[multiversion(targets("x86_64+avx2"))]
fn sample_line(source: Source, at: [i64; 2], step: [i64; 2], line: &mut [u8]) {
    let [mut x, mut y] = at;
    for column in 0..source.width as usize {
        let (left, top) = (x >> POINT, y >> POINT);
        // The last pixels of the picture have no byte behind them.
        let inner = (0..source.width - 1).contains(&left) && (0..source.height - 1).contains(&top);
        let rows = inner.then(|| source.two_rows(left as usize, top as usize)).flatten();
        let pixel = match rows {
            Some([upper, lower]) => {
                let corners =
                    [&upper[..LANES], &upper[CHANNELS..], &lower[..LANES], &lower[CHANNELS..]];
                blend(corners, x, y)
            }
            None => source.at_the_edge(x, y),
        };
        // The fourth byte is the next pixel's first, which overwrites it.
        line[CHANNELS * column..][..LANES].copy_from_slice(&pixel);
        x += step[0];
        y += step[1];
    }
}

impl Source<'_> {
    /// From (`left`, `top`) and from below it on, two pixels and the byte behind them.
    #[inline(always)]
    fn two_rows(&self, left: usize, top: usize) -> Option<[&[u8; CHANNELS + LANES]; 2]> {
        let stride = CHANNELS * self.width as usize;
        let upper = &self.bytes[top * stride + CHANNELS * left..];
        Some([upper.first_chunk()?, upper[stride..].first_chunk()?])
    }

    /// The sample at (`x`, `y`), where some of the four pixels around it may lie outside.
    #[cold]
    fn at_the_edge(self, x: i64, y: i64) -> [u8; LANES] {
        let (left, top) = (x >> POINT, y >> POINT);
        let fill = [self.fill[0], self.fill[1], self.fill[2], 0];
        let touches = |at: i64, end: i64| (-1..end).contains(&at);
        if !touches(left, self.width) || !touches(top, self.height) {
            return fill;
        }
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, lower)| {
            let (x, y) = (left + right, top + lower);
            if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
                return fill;
            }
            let at = CHANNELS * (y * self.width + x) as usize;
            [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], 0]
        });
        blend([&corners[0], &corners[1], &corners[2], &corners[3]], x, y)
    }
}

/// What is at (`x`, `y`) between the pixel to the upper left of it, the one to the right of that,
/// and the two below these.
#[inline(always)]
fn blend(corners: [&[u8]; 4], x: i64, y: i64) -> [u8; LANES] {
    const WHOLE: u32 = 1 << SHORT;
    let part = |at: i64| (at & (ONE - 1)) as u32 >> (POINT - SHORT);
    let (right, lower) = (part(x), part(y));
    let (left, upper) = (WHOLE - right, WHOLE - lower);
    let weights = [left * upper, right * upper, left * lower, right * lower];
    // Written out: `map` of an array is a call, compiled for any processor.
    let mut sums = [HALF; LANES];
    for (corner, weight) in corners.into_iter().zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(corner) {
            *sum += u32::from(value) * weight;
        }
    }
    let mut blended = [0; LANES];
    for (lane, sum) in blended.iter_mut().zip(sums) {
        *lane = (sum >> (2 * SHORT)) as u8;
    }
    blended
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    /// The definition of [`sample`], pixel by pixel.
    fn reference(picture: &RgbImage, matrix: [f64; 6], fill: [u8; 3]) -> RgbImage {
        let m = matrix.map(|value| (value * 65536.0).round() as i64);
        let old = |x: i64, y: i64| match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) => picture.get_pixel_checked(x, y).map_or(fill, |pixel| pixel.0),
            _ => fill,
        };
        RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
            let (x, y) = (i64::from(x), i64::from(y));
            let (x, y) = (m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]);
            let (right, lower) = (x.rem_euclid(65536) / 256, y.rem_euclid(65536) / 256);
            let (x, y) = (x.div_euclid(65536), y.div_euclid(65536));
            Rgb(std::array::from_fn(|channel| {
                let mut sum = 32768;
                for (dx, by_x) in [(0, 256 - right), (1, right)] {
                    for (dy, by_y) in [(0, 256 - lower), (1, lower)] {
                        sum += i64::from(old(x + dx, y + dy)[channel]) * by_x * by_y;
                    }
                }
                (sum / 65536) as u8
            }))
        })
    }

    proptest! {
        #[test]
        fn the_vector_loops_do_as_the_definition_says(
            width in 1_u32..40, height in 1_u32..40, seed: u32, fill: [u8; 3],
            kind in 0..5, by in -1.0..1.0_f64,
        ) {
            let picture = RgbImage::from_fn(width, height, |x, y| {
                let noise = (x + 977 * y).wrapping_add(seed).wrapping_mul(2_654_435_761) >> 7;
                Rgb([noise as u8, (noise >> 8) as u8, (noise >> 16) as u8])
            });
            let (w, h) = (f64::from(width), f64::from(height));
            let (sin, cos) = (by * 3.2).sin_cos();
            let (found, matrix) = match kind {
                0 => (shear(&picture, by, 0.0, fill), [1.0, -by, 0.0, 0.0, 1.0, 0.0]),
                1 => (shear(&picture, 0.0, by, fill), [1.0, 0.0, 0.0, -by, 1.0, 0.0]),
                2 => (shift(&picture, by * w, 0.0, fill), [1.0, 0.0, -by * w, 0.0, 1.0, 0.0]),
                3 => (shift(&picture, 0.0, by * h, fill), [1.0, 0.0, 0.0, 0.0, 1.0, -by * h]),
                _ => {
                    let [x, y] = [w / 2.0, h / 2.0];
                    let to = [x - cos * x + sin * y, y - sin * x - cos * y];
                    let turned = rotate(&picture, (by * 3.2).to_degrees(), fill);
                    (turned, [cos, -sin, to[0], sin, cos, to[1]])
                }
            };
            prop_assert_eq!(found, reference(&picture, matrix, fill));
        }
    }
}
