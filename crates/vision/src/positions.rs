//! Position embeddings of one grid of patches, resampled to another.

use burn::tensor::{Device, Tensor, TensorData};

/// Patches of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    /// Number of patches.
    pub fn patches(self) -> usize {
        self.rows * self.columns
    }
}

/// How positions between those of the original grid are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Cubic convolution (Keys 1981) with a = -0.75, pixel centres at half numbers, edges repeated:
    /// DINO and those after it.
    Bicubic,
    /// Linear, corner on corner: ViLT.
    BilinearCorners,
}

/// Position embeddings for the patches of `to`. A linear map of those of `from`, so gradients come
/// back to them.
///
/// # Shapes
///
/// - `positions`: `[from.patches(), width]`
/// - output: `[to.patches(), width]`
pub fn resample(positions: Tensor<2>, from: Grid, to: Grid, method: Resampling) -> Tensor<2> {
    if from == to {
        return positions;
    }
    matrix(from, to, method, &positions.device()).matmul(positions)
}

/// `[to.patches(), from.patches()]`: the method is separable, so each weight is one of the rows times
/// one of the columns.
fn matrix(from: Grid, to: Grid, method: Resampling, device: &Device) -> Tensor<2> {
    let rows = weights(from.rows, to.rows, method);
    let columns = weights(from.columns, to.columns, method);
    let mut values = Vec::with_capacity(to.patches() * from.patches());
    for row in rows.chunks(from.rows) {
        for column in columns.chunks(from.columns) {
            values.extend(row.iter().flat_map(|r| column.iter().map(move |c| (r * c) as f32)));
        }
    }
    Tensor::from_data(TensorData::new(values, [to.patches(), from.patches()]), device)
}

/// What each of `from` positions on a line contributes to each of `to`, `[to, from]`.
fn weights(from: usize, to: usize, method: Resampling) -> Vec<f64> {
    let mut weights = vec![0.0; to * from];
    for (index, row) in weights.chunks_mut(from).enumerate() {
        let taps = match method {
            Resampling::Bicubic => bicubic((index as f64 + 0.5) * from as f64 / to as f64 - 0.5),
            Resampling::BilinearCorners => {
                let scale = if to > 1 { (from - 1) as f64 / (to - 1) as f64 } else { 0.0 };
                bilinear(index as f64 * scale)
            }
        };
        for (position, weight) in taps {
            row[position.clamp(0, from as i64 - 1) as usize] += weight;
        }
    }
    weights
}

/// The four neighbours of `position` and their weights.
fn bicubic(position: f64) -> Vec<(i64, f64)> {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let (start, t) = (position.floor() as i64, position - position.floor());
    vec![
        (start - 1, far(t + 1.0)),
        (start, near(t)),
        (start + 1, near(1.0 - t)),
        (start + 2, far(2.0 - t)),
    ]
}

/// The two neighbours of `position` and their weights.
fn bilinear(position: f64) -> Vec<(i64, f64)> {
    let (start, t) = (position.floor() as i64, position - position.floor());
    vec![(start, 1.0 - t), (start + 1, t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_equal_sizes_change_nothing() {
        for method in [Resampling::Bicubic, Resampling::BilinearCorners] {
            for (from, to) in [(1, 4), (3, 3), (4, 2), (5, 8), (37, 16)] {
                for row in weights(from, to, method).chunks(from) {
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{from} {to}");
                }
            }
            let same = weights(5, 5, method);
            assert!((0..25).all(|i| same[i] == if i / 5 == i % 5 { 1.0 } else { 0.0 }));
        }
    }

    #[test]
    fn corners_stay_where_they_are() {
        let weights = weights(4, 7, Resampling::BilinearCorners);
        assert_eq!(weights[..4], [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(weights[6 * 4..], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(weights[4..8], [0.5, 0.5, 0.0, 0.0]);
    }
}
