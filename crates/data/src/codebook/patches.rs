//! Patches of pictures in host memory, as the image encoder cuts them.

use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::pipeline::Pipeline;
use crate::random::addressed;
use crate::record::Record;

/// Added to the variance of a patch, so that a patch of one colour is all zeros.
const EPSILON: f64 = 1e-6;

/// Patches of a picture that are taken, unless there are too few pictures: neighbours are alike, and
/// many pictures show more than few.
const PER_PICTURE: usize = 16;

/// Pictures that are read at a time.
const AT_A_TIME: usize = 64;

/// Which patches of a data set are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatchSample {
    /// Most patches.
    pub patches: usize,
    /// Whether each is standardised.
    pub standardized: bool,
}

impl PatchSample {
    /// Patches of `records` as evaluation sees them, `[patches, 3 * patch_size^2]`: of pictures drawn
    /// by `pipeline.seed`, some patches each. A picture that cannot be read is passed over; training
    /// will name it.
    pub fn take(&self, records: &[Record], pipeline: &Pipeline) -> Vec<f32> {
        let width = 3 * pipeline.patch_size * pipeline.patch_size;
        let each = PER_PICTURE.max(self.patches.div_ceil(records.len().max(1)));
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.shuffle(&mut addressed(pipeline.seed, 0, "", "codebook-pictures"));
        let mut taken = Vec::new();
        for chunk in order.chunks(AT_A_TIME) {
            let of = |at: &usize| self.of_picture(&records[*at], pipeline, each);
            let found: Vec<Vec<f32>> = chunk.par_iter().map(of).collect();
            found.into_iter().for_each(|patches| taken.extend(patches));
            if taken.len() >= self.patches * width {
                break;
            }
        }
        taken.truncate(self.patches * width);
        taken
    }

    /// At most `count` patches of one record's picture; none where it cannot be read.
    fn of_picture(&self, record: &Record, pipeline: &Pipeline, count: usize) -> Vec<f32> {
        let Ok(picture) = pipeline.picture(record) else { return Vec::new() };
        let mut places: Vec<usize> = (0..pipeline.grid().iter().product()).collect();
        places.shuffle(&mut addressed(pipeline.seed, 0, &record.key, "codebook-patches"));
        let (size, side) = (pipeline.preprocess.size, pipeline.patch_size);
        let patches = places.into_iter().take(count).map(|place| cut(&picture, size, side, place));
        patches
            .flat_map(|patch| if self.standardized { standardize(&patch) } else { patch })
            .collect()
    }
}

/// Patch `place`, in reading order, of a picture `[3, size, size]`: its pixels by channel, row and
/// column.
pub fn cut(picture: &[f32], size: usize, side: usize, place: usize) -> Vec<f32> {
    let columns = size / side;
    let (top, left) = (place / columns * side, place % columns * side);
    let rows = (0..3).flat_map(|channel| (top..top + side).map(move |row| channel * size + row));
    rows.flat_map(|row| picture[row * size + left..][..side].iter().copied()).collect()
}

/// `(x - mean(x)) / sqrt(var(x) + epsilon)` of a patch (the normalised pixels of He et al. 2022).
pub fn standardize(patch: &[f32]) -> Vec<f32> {
    let count = patch.len().max(1) as f64;
    let mean = patch.iter().copied().map(f64::from).sum::<f64>() / count;
    let variance = patch.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    let deviation = (variance + EPSILON).sqrt();
    patch.iter().map(|x| ((f64::from(*x) - mean) / deviation) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_cut_by_channel_row_and_column() {
        let picture: Vec<f32> = (0..3 * 4 * 4).map(|at| at as f32).collect();
        let patch = cut(&picture, 4, 2, 1);
        assert_eq!(patch, [2.0, 3.0, 6.0, 7.0, 18.0, 19.0, 22.0, 23.0, 34.0, 35.0, 38.0, 39.0]);
        assert_eq!(cut(&picture, 4, 2, 2)[..4], [8.0, 9.0, 12.0, 13.0]);
    }

    #[test]
    fn standardised_is_of_mean_0_and_deviation_1_and_one_colour_is_zeros() {
        let patch = standardize(&[1.0, 2.0, 3.0, 6.0]);
        assert!(patch.iter().sum::<f32>().abs() < 1e-6);
        assert!((patch.iter().map(|x| x * x).sum::<f32>() / 4.0 - 1.0).abs() < 1e-5);
        assert_eq!(standardize(&[7.0; 4]), [0.0; 4]);
    }
}
