//! A linear probe: how well a linear classifier tells classes apart by frozen features.

use rayon::prelude::*;

use crate::EvalError;
use crate::lbfgs::minimise;
use crate::zero_shot::{ZeroShot, top_k};

/// Strengths of the penalty that are tried, weakest first.
pub const STRENGTHS: [f64; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// The largest entry of the gradient at which the search ends.
const TOLERANCE: f64 = 1e-6;
const STEPS: usize = 1000;
/// Examples whose gradients are summed in one go. Fixed, so that the sum, and with it the result,
/// does not depend on the number of threads.
const CHUNK: usize = 256;

/// Features of some examples with their classes.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// `[examples, width]`, row-major.
    pub values: &'a [f32],
    pub width: usize,
    /// The class of each example.
    pub labels: &'a [usize],
}

/// A linear classifier: multinomial logistic regression on standardised features.
#[derive(Clone, Debug)]
pub struct LinearProbe {
    /// Strength of the penalty.
    pub strength: f64,
    /// Whether the search for the weights came to its end. If not, they are those of the last step.
    pub converged: bool,
    classes: usize,
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// `[classes, width + 1]`; the last of a row is the bias.
    weights: Vec<f64>,
}

impl Features<'_> {
    fn check(&self, classes: usize) -> Result<(), EvalError> {
        let Features { values, width, labels } = *self;
        if labels.is_empty() {
            return Err(EvalError::NoExamples);
        }
        if width == 0 || labels.len().checked_mul(width) != Some(values.len()) {
            let expected = format!("{} x {width} features (examples x width)", labels.len());
            return Err(EvalError::FeatureCount { expected, got: values.len() });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(EvalError::NanExample { example: at / width });
        }
        match labels.iter().position(|&class| class >= classes) {
            Some(example) => {
                Err(EvalError::ClassOutOfRange { example, class: labels[example], classes })
            }
            None => Ok(()),
        }
    }
}

impl LinearProbe {
    /// Fits to `train`: the mean cross-entropy plus `strength / 2` times the sum of squared weights
    /// (not of biases). Features are brought to mean 0 and variance 1 over `train`; one that never
    /// changes is left out. There is one minimum, and the search starts from zero: same input, same
    /// probe.
    ///
    /// # Errors
    /// No examples, features that do not fit or are not finite, a class past the end, or a strength
    /// that is not above 0.
    pub fn fit(train: Features, classes: usize, strength: f64) -> Result<Self, EvalError> {
        train.check(classes)?;
        if !(strength > 0.0 && strength.is_finite()) {
            let expected = format!("a strength above 0 (found {strength})");
            return Err(EvalError::FeatureCount { expected, got: 1 });
        }
        let (mean, scale) = moments(train);
        let mut probe = LinearProbe {
            strength,
            converged: false,
            classes,
            weights: vec![0.0; classes * (train.width + 1)],
            mean,
            scale,
        };
        let rows = probe.standardised(train.values);
        let start = std::mem::take(&mut probe.weights);
        let function = |weights: &[f64], gradient: &mut [f64]| {
            objective(&rows, train.labels, classes, strength, weights, gradient)
        };
        let minimum = minimise(function, start, TOLERANCE, STEPS);
        (probe.weights, probe.converged) = (minimum.point, minimum.converged);
        Ok(probe)
    }

    /// Fits with each of the `strengths` and keeps the one with the best top-1 accuracy on `val`,
    /// of equals the strongest.
    ///
    /// # Errors
    /// As [`Self::fit`], for either set; or no strengths.
    pub fn fit_best(
        train: Features,
        val: Features,
        classes: usize,
        strengths: &[f64],
    ) -> Result<Self, EvalError> {
        let mut best: Option<(f64, LinearProbe)> = None;
        let mut strengths = strengths.to_vec();
        strengths.sort_by(|a, b| b.total_cmp(a));
        for strength in strengths {
            let probe = Self::fit(train, classes, strength)?;
            let accuracy = probe.accuracy(val)?.top1;
            if best.as_ref().is_none_or(|(most, _)| accuracy > *most) {
                best = Some((accuracy, probe));
            }
        }
        best.map(|(_, probe)| probe).ok_or(EvalError::NoExamples)
    }

    /// The logit of each class.
    ///
    /// # Shapes
    /// `values`: `[examples, width]`. Returns `[examples, classes]`.
    ///
    /// # Errors
    /// A length that is no multiple of the width.
    pub fn logits(&self, values: &[f32]) -> Result<Vec<f64>, EvalError> {
        let width = self.mean.len();
        if !values.len().is_multiple_of(width) {
            let expected = format!("rows of {width} features");
            return Err(EvalError::FeatureCount { expected, got: values.len() });
        }
        let rows = self.standardised(values);
        let rows = rows.chunks(width + 1);
        Ok(rows.flat_map(|row| logits(row, &self.weights).collect::<Vec<_>>()).collect())
    }

    /// Top-1 and top-5 accuracy; ties count against the right class.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn accuracy(&self, examples: Features) -> Result<ZeroShot, EvalError> {
        examples.check(self.classes)?;
        top_k(&self.logits(examples.values)?, self.classes, examples.labels)
    }

    /// Rows of standardised features, each with a 1 behind it for the bias.
    fn standardised(&self, values: &[f32]) -> Vec<f64> {
        let row = |row: &[f32]| -> Vec<f64> {
            let moments = self.mean.iter().zip(&self.scale);
            let features = row.iter().zip(moments);
            let features =
                features.map(|(&value, (mean, scale))| (f64::from(value) - mean) * scale);
            features.chain([1.0]).collect()
        };
        values.chunks(self.mean.len()).flat_map(row).collect()
    }
}

/// Mean and one over the standard deviation of each feature; 0 for one that never changes.
fn moments(Features { values, width, labels }: Features) -> (Vec<f64>, Vec<f64>) {
    let n = labels.len() as f64;
    let mut mean = vec![0.0; width];
    for row in values.chunks(width) {
        mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / n);
    }
    let mut variance = vec![0.0; width];
    for row in values.chunks(width) {
        for ((variance, mean), &value) in variance.iter_mut().zip(&mean).zip(row) {
            *variance += (f64::from(value) - mean).powi(2) / n;
        }
    }
    // Of a constant, rounding leaves a variance some 1e-32 of the mean's square.
    let scale = variance.iter().zip(&mean).map(|(variance, mean): (&f64, &f64)| {
        if *variance > 1e-24 * (1.0 + mean * mean) { 1.0 / variance.sqrt() } else { 0.0 }
    });
    let scale = scale.collect();
    (mean, scale)
}

fn logits<'a>(row: &'a [f64], weights: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    weights.chunks(row.len()).map(|of_class| row.iter().zip(of_class).map(|(a, b)| a * b).sum())
}

/// The value at `weights`, and its gradient.
fn objective(
    rows: &[f64],
    labels: &[usize],
    classes: usize,
    strength: f64,
    weights: &[f64],
    gradient: &mut [f64],
) -> f64 {
    let width = weights.len() / classes;
    let n = labels.len() as f64;
    let chunks = rows.par_chunks(CHUNK * width).zip(labels.par_chunks(CHUNK));
    let parts: Vec<(f64, Vec<f64>)> =
        chunks.map(|(rows, labels)| cross_entropy(rows, labels, width, weights)).collect();
    gradient.fill(0.0);
    let mut value = 0.0;
    for (part, of_part) in parts {
        value += part / n;
        gradient.iter_mut().zip(of_part).for_each(|(sum, entry)| *sum += entry / n);
    }
    for (at, weight) in weights.iter().enumerate().filter(|(at, _)| at % width != width - 1) {
        value += strength / 2.0 * weight * weight;
        gradient[at] += strength * weight;
    }
    value
}

/// Sum of the cross-entropies of some rows, and its gradient.
fn cross_entropy(rows: &[f64], labels: &[usize], width: usize, weights: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; weights.len()];
    let mut value = 0.0;
    for (row, &label) in rows.chunks(width).zip(labels) {
        let mut scores: Vec<f64> = logits(row, weights).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let right = scores[label];
        scores.iter_mut().for_each(|score| *score = (*score - most).exp());
        let sum: f64 = scores.iter().sum();
        value += sum.ln() + most - right;
        for (class, (score, gradient)) in scores.iter().zip(gradient.chunks_mut(width)).enumerate()
        {
            let error = score / sum - f64::from(u8::from(class == label));
            gradient.iter_mut().zip(row).for_each(|(entry, feature)| *entry += error * feature);
        }
    }
    (value, gradient)
}
