use image::{Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

/// The weight of each old pixel in a new one: the definition, over the whole side.
fn weights(side: &Side, interpolation: Interpolation, at: usize) -> Vec<i64> {
    let length = side.source.len();
    let scale = length as f64 / side.resized as f64;
    let middle = (at as f64 + 0.5) * scale;
    if interpolation == Interpolation::Nearest {
        // A running sum, whose rounding decides where a middle is on an edge.
        let middle = (0..at).fold(0.5 * scale, |middle, _| middle + scale);
        let nearest = (middle as usize).min(length - 1);
        return (0..length).map(|pixel| i64::from(pixel == nearest) << 22).collect();
    }
    let stretch = scale.max(1.0);
    let support = interpolation.support() * stretch;
    let within = (middle - support + 0.5) as usize..(middle + support + 0.5) as usize;
    let weight = |pixel: usize| match within.contains(&pixel) {
        true => interpolation.weight((pixel as f64 - middle + 0.5) * (1.0 / stretch)),
        false => 0.0,
    };
    let total: f64 = (0..length).map(weight).sum();
    (0..length).map(|pixel| (weight(pixel) / total * f64::from(1 << 22)).round() as i64).collect()
}

/// One pixel after the other: `old(x, y)` weighted along one side.
fn weighted(weights: &[i64], old: impl Fn(usize) -> [u8; 3]) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let sum: i64 =
            weights.iter().enumerate().map(|(at, w)| w * i64::from(old(at)[channel])).sum();
        ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8
    })
}

fn pass(picture: &RgbImage, side: &Side, interpolation: Interpolation, across: bool) -> RgbImage {
    let mut kept: Vec<usize> = side.kept.clone().collect();
    if side.mirrored {
        kept.reverse();
    }
    let rows: Vec<_> = kept.iter().map(|&at| weights(side, interpolation, at)).collect();
    let (width, height) = picture.dimensions();
    let start = side.source.start;
    let new = rows.len() as u32;
    if across {
        RgbImage::from_fn(new, height, |x, y| {
            Rgb(weighted(&rows[x as usize], |at| picture.get_pixel(start + at as u32, y).0))
        })
    } else {
        RgbImage::from_fn(width, new, |x, y| {
            Rgb(weighted(&rows[y as usize], |at| picture.get_pixel(x, start + at as u32).0))
        })
    }
}

fn reference(
    picture: &RgbImage,
    columns: &Side,
    rows: &Side,
    interpolation: Interpolation,
) -> RgbImage {
    if rows.loss() > 0 && rows.loss() > 2 * columns.loss() {
        pass(&pass(picture, rows, interpolation, false), columns, interpolation, true)
    } else {
        pass(&pass(picture, columns, interpolation, true), rows, interpolation, false)
    }
}

/// A side of a picture of 1 to 90 pixels: how long it is, and what is made of which part of it.
fn any_side() -> impl Strategy<Value = (u32, Side)> {
    (1_u32..90, any::<[prop::sample::Index; 2]>(), 1_usize..60, any::<[prop::sample::Index; 2]>())
        .prop_flat_map(|(length, cut, resized, kept)| {
            let range = |[a, b]: [prop::sample::Index; 2], length: usize| {
                let (a, b) = (a.index(length), b.index(length));
                a.min(b)..a.max(b) + 1
            };
            let source = range(cut, length as usize);
            let source = source.start as u32..source.end as u32;
            let kept = range(kept, resized);
            any::<bool>().prop_map(move |mirrored| {
                let (source, kept) = (source.clone(), kept.clone());
                (length, Side { source, resized, kept, mirrored })
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_vector_loops_do_as_the_definition_says(
        (width, columns) in any_side(),
        (height, rows) in any_side(),
        interpolation in prop::sample::select(vec![
            Interpolation::Nearest,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
            Interpolation::Lanczos,
        ]),
        seed: u32,
    ) {
        // Hard edges as well as noise: sums then leave the range of a byte.
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let noise = (x + 977 * y).wrapping_add(seed).wrapping_mul(2_654_435_761) >> 7;
            Rgb([noise as u8, (noise >> 8) as u8, 255 * (noise >> 16 & 1) as u8])
        });
        prop_assert_eq!(
            resample(&picture, &columns, &rows, interpolation),
            reference(&picture, &columns, &rows, interpolation)
        );
    }
}
