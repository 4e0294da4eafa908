//! Operations on colours, each as Pillow defines it, in integers or single `f32` steps.

use image::RgbImage;

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
    for channel in 0..3 {
        let mut histogram = [0; 256];
        for pixel in picture.pixels() {
            histogram[usize::from(pixel[channel])] += 1;
        }
        if let Some(table) = table(&histogram) {
            for pixel in picture.pixels_mut() {
                pixel[channel] = table[usize::from(pixel[channel])];
            }
        }
    }
    picture
}
