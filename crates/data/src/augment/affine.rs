//! Shear, shift and rotation with bilinear sampling, in fixed-point numbers so that every machine
//! computes the same pixels.

use image::RgbImage;
use multiversion::multiversion;

const CHANNELS: usize = 3;
/// Bytes that a pixel takes in a block; the fourth means nothing.
const LANES: usize = 4;
/// Pixels that are blended at a time.
const BLOCK: usize = 32;

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
    let source = Source {
        bytes: picture,
        width: width.into(),
        height: height.into(),
        fill: [fill[0], fill[1], fill[2], 0],
    };
    let mut sampled = RgbImage::new(width, height);
    let (pixels, _) = sampled.as_chunks_mut::<CHANNELS>();
    let mut block = Block::default();
    for (y, line) in (0..i64::from(height)).zip(pixels.chunks_exact_mut((width as usize).max(1))) {
        let mut at = [m[1] * y + m[2], m[4] * y + m[5]];
        for pixels in line.chunks_mut(BLOCK) {
            block.gather(source, &mut at, [m[0], m[3]], pixels.len());
            block.blend();
            for (pixel, lanes) in pixels.iter_mut().zip(&block.blended) {
                pixel.copy_from_slice(&lanes[..CHANNELS]);
            }
        }
    }
    sampled
}

/// What is sampled from.
#[derive(Clone, Copy)]
struct Source<'a> {
    bytes: &'a [u8],
    width: i64,
    height: i64,
    fill: [u8; LANES],
}

impl Source<'_> {
    /// From (`left`, `top`) and from below it on, two pixels and the byte behind them: `None` where
    /// these are not all in the picture.
    #[inline(always)]
    fn two_rows(&self, left: i64, top: i64) -> Option<[&[u8; CHANNELS + LANES]; 2]> {
        if !(0..self.width - 1).contains(&left) || !(0..self.height - 1).contains(&top) {
            return None;
        }
        let stride = CHANNELS * self.width as usize;
        let upper = &self.bytes[top as usize * stride + CHANNELS * left as usize..];
        Some([upper.first_chunk()?, upper[stride..].first_chunk()?])
    }

    /// The pixel at (`left`, `top`), the one to its right, and the two below these; some of them
    /// may lie outside.
    #[cold]
    fn corners_at_the_edge(self, left: i64, top: i64) -> [[u8; LANES]; 4] {
        let touches = |at: i64, end: i64| (-1..end).contains(&at);
        if !touches(left, self.width) || !touches(top, self.height) {
            return [self.fill; 4];
        }
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, lower)| {
            let (x, y) = (left + right, top + lower);
            if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
                return self.fill;
            }
            let at = CHANNELS * (y * self.width + x) as usize;
            [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], 0]
        })
    }
}

/// Some pixels on their way: what is gathered one by one is blended in a vector loop.
#[derive(Default)]
struct Block {
    /// Around each pixel: to the upper left of it, right of that, and the two below these.
    corners: [[[u8; LANES]; BLOCK]; 4],
    /// How far each is right of the first corner, in 256 parts.
    right: [[u16; LANES]; BLOCK],
    /// How far below it.
    lower: [[u16; LANES]; BLOCK],
    blended: [[u8; LANES]; BLOCK],
}

impl Block {
    /// Gathers what is around `at`, `at + step`, `at + 2 step`, ...: each across and down, in fixed
    /// point.
    fn gather(&mut self, source: Source, at: &mut [i64; 2], step: [i64; 2], count: usize) {
        let [x, y] = at;
        for pixel in 0..count.min(BLOCK) {
            let (left, top) = (*x >> POINT, *y >> POINT);
            let [first, second, third, fourth] = &mut self.corners;
            // Each pixel on its own way from the picture to its place: collected in an array, they
            // would be written and read in pieces of different size, which stalls.
            if let Some([upper, lower]) = source.two_rows(left, top) {
                first[pixel].copy_from_slice(&upper[..LANES]);
                second[pixel].copy_from_slice(&upper[CHANNELS..]);
                third[pixel].copy_from_slice(&lower[..LANES]);
                fourth[pixel].copy_from_slice(&lower[CHANNELS..]);
            } else {
                [first[pixel], second[pixel], third[pixel], fourth[pixel]] =
                    source.corners_at_the_edge(left, top);
            }
            let part = |at: i64| (at & (ONE - 1)) as u16 >> (POINT - SHORT);
            self.right[pixel] = [part(*x); LANES];
            self.lower[pixel] = [part(*y); LANES];
            *x += step[0];
            *y += step[1];
        }
    }

    fn blend(&mut self) {
        let [first, second, third, fourth] = &self.corners;
        let corners = [first, second, third, fourth].map(|all| all.as_flattened());
        let (right, lower) = (self.right.as_flattened(), self.lower.as_flattened());
        blend(corners, right, lower, self.blended.as_flattened_mut());
    }
}

/// What is between four corners, `right` and `lower` of 256 parts away from the first, byte by byte.
#[multiversion(targets("x86_64+avx2"))]
fn blend(corners: [&[u8]; 4], right: &[u16], lower: &[u16], blended: &mut [u8]) {
    const WHOLE: u32 = 1 << SHORT;
    let [first, second, third, fourth] = corners;
    let corners = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (((corners, &right), &lower), byte) in corners.zip(right).zip(lower).zip(blended) {
        let ((&first, &second), (&third, &fourth)) = corners;
        let (right, lower) = (u32::from(right), u32::from(lower));
        let between = |a: u8, b: u8| u32::from(a) * (WHOLE - right) + u32::from(b) * right;
        let (above, below) = (between(first, second), between(third, fourth));
        *byte = ((above * (WHOLE - lower) + below * lower + HALF) >> (2 * SHORT)) as u8;
    }
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
