//! Operations on colours, each as Pillow defines it, in integers or single `f32` steps.

use image::RgbImage;

const CHANNELS: usize = 3;

/// Stretches each channel so that its darkest value becomes 0 and its brightest 255.
pub(super) fn auto_contrast(picture: RgbImage) -> RgbImage {
    map_channels(picture, |histogram| {
        let low = histogram.iter().position(|&count| count > 0)?;
        let high = histogram.iter().rposition(|&count| count > 0)?;
        let span = high - low;
        (span > 0).then(|| {
            std::array::from_fn(|value| (value.saturating_sub(low) * 255 / span).min(255) as u8)
        })
    })
}

/// Spreads the values of each channel so that all brightnesses occur about equally often.
pub(super) fn equalize(picture: RgbImage) -> RgbImage {
    map_channels(picture, |histogram| {
        let last = histogram.iter().rposition(|&count| count > 0)?;
        let step = histogram[..last].iter().sum::<usize>() / 255;
        if step == 0 {
            return None;
        }
        let mut below = step / 2;
        Some(std::array::from_fn(|value| {
            let level = (below / step).min(255) as u8;
            below += histogram[value];
            level
        }))
    })
}

/// Multiplies every value by `factor`.
pub(super) fn brightness(mut picture: RgbImage, factor: f32) -> RgbImage {
    let table: [u8; 256] =
        std::array::from_fn(|value| (value as f32 * factor).clamp(0.0, 255.0) as u8);
    for value in picture.iter_mut() {
        *value = table[usize::from(*value)];
    }
    picture
}

/// Blends a smoothed copy (factor 0) with the picture (factor 1), or beyond it. The outermost
/// pixels have no full neighbourhood and stay as they are.
pub(super) fn sharpness(picture: &RgbImage, factor: f32) -> RgbImage {
    let mut sharpened = picture.clone();
    let stride = picture.width() as usize * 3;
    let source = picture.as_raw();
    let inner_rows = 1..(picture.height() as usize).saturating_sub(1);
    for row in inner_rows {
        for at in row * stride + 3..((row + 1) * stride).saturating_sub(3) {
            let centre = u32::from(source[at]);
            // The kernel: 5 in the middle, 1 around it, divided by 13.
            let mut sum = 4 * centre;
            for above in [at - stride, at, at + stride] {
                sum += u32::from(source[above - 3])
                    + u32::from(source[above])
                    + u32::from(source[above + 3]);
            }
            let smooth = ((sum + 6) / 13) as f32;
            let value = smooth + factor * (centre as f32 - smooth);
            sharpened.as_mut()[at] = value.clamp(0.0, 255.0) as u8;
        }
    }
    sharpened
}

/// Replaces every value by its entry in a table made from its channel's histogram; a channel for
/// which there is no table stays as it is.
fn map_channels(
    mut picture: RgbImage,
    table: impl Fn(&[usize; 256]) -> Option<[u8; 256]>,
) -> RgbImage {
    let mut histograms = [[0; 256]; CHANNELS];
    for pixel in picture.as_raw().as_chunks::<CHANNELS>().0 {
        for (histogram, &value) in histograms.iter_mut().zip(pixel) {
            histogram[usize::from(value)] += 1;
        }
    }
    let same = || std::array::from_fn(|value| value as u8);
    let tables = histograms.map(|histogram| table(&histogram).unwrap_or_else(same));
    for pixel in picture.as_chunks_mut::<CHANNELS>().0 {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GenericImageView, Rgb};
    use proptest::prelude::*;

    fn noise(width: u32, height: u32, seed: u32, levels: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let noise = (x + 977 * y).wrapping_add(seed).wrapping_mul(2_654_435_761) >> 7;
            Rgb([noise, noise >> 8, noise >> 16].map(|value| (value % levels) as u8))
        })
    }

    fn sharpness_reference(picture: &RgbImage, factor: f32) -> RgbImage {
        let (width, height) = picture.dimensions();
        RgbImage::from_fn(width, height, |x, y| {
            let centre = picture.get_pixel(x, y).0;
            if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
                return Rgb(centre);
            }
            Rgb(std::array::from_fn(|channel| {
                let around = picture.view(x - 1, y - 1, 3, 3);
                let sum: u32 = around.pixels().map(|(_, _, pixel)| u32::from(pixel[channel])).sum();
                let middle = f32::from(centre[channel]);
                let smooth = ((sum + 4 * u32::from(centre[channel]) + 6) / 13) as f32;
                (smooth + factor * (middle - smooth)).clamp(0.0, 255.0) as u8
            }))
        })
    }

    proptest! {
        #[test]
        fn sharpness_is_as_defined(
            width in 1_u32..60, height in 1_u32..20, seed: u32, levels in 1_u32..256,
            factor in 0.0..2.0_f32,
        ) {
            let picture = noise(width, height, seed, levels);
            let expected = sharpness_reference(&picture, factor);
            prop_assert_eq!(sharpness(&picture, factor), expected);
        }

        /// Each channel by itself, whatever the others hold.
        #[test]
        fn channels_do_not_mix(width in 1_u32..40, height in 1_u32..40, seed: u32, levels in 1_u32..256) {
            let picture = noise(width, height, seed, levels);
            for operation in [auto_contrast, equalize] {
                let changed = operation(picture.clone());
                for channel in 0..3 {
                    let alone = RgbImage::from_fn(width, height, |x, y| {
                        Rgb([picture.get_pixel(x, y)[channel]; 3])
                    });
                    let alone = operation(alone);
                    let same = changed.pixels().zip(alone.pixels()).all(|(a, b)| a[channel] == b[0]);
                    prop_assert!(same, "channel {}", channel);
                }
            }
        }
    }
}
