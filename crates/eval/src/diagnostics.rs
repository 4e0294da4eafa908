//! Figures that show early whether a joint representation is healthy.
//!
//! Contrastive training can collapse: all features drift to one point, and the loss alone shows it
//! late. These three cost next to nothing on a batch.

use crate::EvalError;

/// Mean over dimensions of the standard deviation over rows. For L2-normalised features of `dim`
/// dimensions a healthy value is near `1 / sqrt(dim)`; near 0 means collapse.
///
/// # Shapes
/// `features`: `[n, dim]`, row-major, `n >= 2`.
///
/// # Errors
/// `dim` is 0, the length is not a multiple of `dim`, or there are fewer than two rows.
pub fn std_per_dimension(features: &[f32], dim: usize) -> Result<f64, EvalError> {
    let n = rows(features, dim)?;
    let mut sum = vec![0.0f64; dim];
    for row in features.chunks_exact(dim) {
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    // Two passes: the textbook one-pass formula loses the digits that matter when std is small.
    let mut squares = vec![0.0f64; dim];
    for row in features.chunks_exact(dim) {
        for ((square, sum), &x) in squares.iter_mut().zip(&sum).zip(row) {
            *square += (f64::from(x) - sum / n as f64).powi(2);
        }
    }
    Ok(squares.iter().map(|square| (square / n as f64).sqrt()).sum::<f64>() / dim as f64)
}

/// Mean squared distance between the two members of each pair; lower is better aligned (Wang and
/// Isola 2020, equation 1, alpha = 2).
///
/// # Shapes
/// `images`, `texts`: `[n, dim]`, row-major and L2-normalised; row i of both is one pair.
///
/// # Errors
/// `dim` is 0, a length is not a multiple of `dim`, the lengths differ, or there are fewer than two
/// rows.
pub fn alignment(images: &[f32], texts: &[f32], dim: usize) -> Result<f64, EvalError> {
    let n = rows(images, dim)?;
    if texts.len() != images.len() {
        let expected = format!("as many text as image features ({})", images.len());
        return Err(EvalError::FeatureCount { expected, got: texts.len() });
    }
    Ok(squared_distance(images, texts) / n as f64)
}

/// Log of the mean Gaussian potential between different rows; lower is more uniform on the sphere, 0
/// is total collapse (Wang and Isola 2020, equation 2, t = 2). Time grows with n squared: give it a
/// batch, not a data set.
///
/// # Shapes
/// `features`: `[n, dim]`, row-major and L2-normalised, `n >= 2`.
///
/// # Errors
/// As [`std_per_dimension`].
pub fn uniformity(features: &[f32], dim: usize) -> Result<f64, EvalError> {
    let n = rows(features, dim)?;
    let mut sum = 0.0;
    for (i, a) in features.chunks_exact(dim).enumerate() {
        for b in features.chunks_exact(dim).take(i) {
            sum += (-2.0 * squared_distance(a, b)).exp();
        }
    }
    Ok((sum / (n * (n - 1) / 2) as f64).ln())
}

fn rows(features: &[f32], dim: usize) -> Result<usize, EvalError> {
    if dim == 0 || !features.len().is_multiple_of(dim) || features.len() / dim < 2 {
        let expected = format!("two or more rows of {dim} features");
        return Err(EvalError::FeatureCount { expected, got: features.len() });
    }
    Ok(features.len() / dim)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}
