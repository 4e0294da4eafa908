//! Which pictures are so alike that one of them tells nothing new.
//!
//! Twemoji draws some emoji alike, such as `person surfing` and `man surfing`, and some flags. If
//! one were trained on and the other tested on, the test would be a memory test.
//!
//! Two pictures are compared over white, as colour thumbnails, by their largest difference in any
//! cell and channel. The usual perceptual hashes look at grey gradients only: they would call the
//! five skin tones of one emoji duplicates, and two flags that differ in their colours.

use image::imageops::FilterType;
use rayon::prelude::*;

use crate::error::DataError;

/// Cells along a side of a thumbnail; each is the average of 4 x 4 of the 72 x 72 pixels.
const SIDE: usize = 18;
const CELLS: usize = SIDE * SIDE * 3;

/// Pictures that differ by no more than this (of 255) in every cell and channel are near-duplicates.
///
/// Twemoji leaves a gap here: the flags of Indonesia and Monaco differ by 14, and the most alike of
/// the pictures that show different things (a frowning and a pouting man) by 17.
pub const THRESHOLD: u8 = 15;

/// A picture over white, much reduced.
#[derive(Clone)]
pub struct Thumbnail {
    cells: Vec<u8>,
    /// Sum over all cells: pictures that are alike have close sums.
    sum: u32,
}

impl Thumbnail {
    /// Decodes and reduces a picture.
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let malformed = |error: image::ImageError| DataError::Malformed {
            origin: name.into(),
            detail: format!("expected a picture: {error}"),
        };
        let mut picture = image::load_from_memory(bytes).map_err(malformed)?.to_rgba8();
        if picture.dimensions() != (72, 72) {
            picture = image::imageops::resize(&picture, 72, 72, FilterType::Triangle);
        }
        let mut sums = [0u32; CELLS];
        for (x, y, pixel) in picture.enumerate_pixels() {
            let cell = (y as usize * SIDE / 72) * SIDE + x as usize * SIDE / 72;
            let [colour @ .., alpha] = pixel.0;
            for (channel, value) in colour.into_iter().enumerate() {
                let alpha = u32::from(alpha);
                sums[cell * 3 + channel] += (u32::from(value) * alpha + 255 * (255 - alpha)) / 255;
            }
        }
        let per_cell = (72 / SIDE * (72 / SIDE)) as u32;
        let cells: Vec<u8> = sums.iter().map(|sum| (sum / per_cell) as u8).collect();
        let sum = cells.iter().map(|&cell| u32::from(cell)).sum();
        Ok(Thumbnail { cells, sum })
    }

    /// The largest difference in any cell and channel.
    pub fn difference(&self, other: &Thumbnail) -> u8 {
        let pairs = self.cells.iter().zip(&other.cells);
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }

    /// Whether the two are near-duplicates.
    pub fn is_near(&self, other: &Thumbnail) -> bool {
        self.cells.iter().zip(&other.cells).all(|(a, b)| a.abs_diff(*b) <= THRESHOLD)
    }
}

/// All pairs of near-duplicates, as (lower index, higher index), sorted.
pub fn near_pairs(thumbnails: &[Thumbnail]) -> Vec<(usize, usize)> {
    let mut by_sum: Vec<usize> = (0..thumbnails.len()).collect();
    by_sum.sort_by_key(|&index| (thumbnails[index].sum, index));
    // No near pair can be further apart than this, so that a short stretch has to be compared.
    let reach = u32::from(THRESHOLD) * CELLS as u32;
    let mut pairs: Vec<(usize, usize)> = (0..by_sum.len())
        .into_par_iter()
        .flat_map_iter(|position| {
            let first = by_sum[position];
            by_sum[position + 1..]
                .iter()
                .take_while(move |&&other| thumbnails[other].sum <= thumbnails[first].sum + reach)
                .filter(move |&&other| thumbnails[first].is_near(&thumbnails[other]))
                .map(move |&other| (first.min(other), first.max(other)))
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

/// For each picture, the kept picture that it repeats, or `None` where it is kept itself.
///
/// Earlier pictures in `order` are kept in preference. No two kept pictures are near-duplicates.
pub fn repeats(thumbnails: &[Thumbnail], order: &[usize]) -> Vec<Option<usize>> {
    let mut near = vec![vec![]; thumbnails.len()];
    for (a, b) in near_pairs(thumbnails) {
        near[a].push(b);
        near[b].push(a);
    }
    let mut repeats = vec![None; thumbnails.len()];
    let mut kept = vec![false; thumbnails.len()];
    for &index in order {
        repeats[index] = near[index].iter().copied().find(|&other| kept[other]);
        kept[index] = repeats[index].is_none();
    }
    repeats
}
