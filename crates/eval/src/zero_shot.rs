//! Zero-shot classification: each class is a text, and a picture belongs to the class whose text is
//! nearest (Radford et al., "Learning Transferable Visual Models From Natural Language
//! Supervision", ICML 2021, section 3.1).

use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::products::Embeddings;

/// Templates for pictures of things, of which there is nothing to know but the class.
pub const TEMPLATES: [&str; 7] = [
    "a photo of a {}.",
    "a picture of a {}.",
    "a drawing of a {}.",
    "a close-up of a {}.",
    "a small {}.",
    "a large {}.",
    "there is a {} in the picture.",
];

/// Where the name of the class stands in a template.
const PLACE: &str = "{}";

/// Share of the pictures whose class is the first, or among the first five, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZeroShot {
    /// Number of pictures.
    pub n: usize,
    pub top1: f64,
    pub top5: f64,
}

/// The prompts of all classes: of the first class with each template, of the second, and so on.
///
/// # Errors
/// A template without `{}`.
pub fn prompts(classes: &[String], templates: &[&str]) -> Result<Vec<String>, EvalError> {
    if let Some(template) = templates.iter().find(|template| !template.contains(PLACE)) {
        return Err(EvalError::Template { template: (*template).to_owned() });
    }
    let of_class =
        |class: &String| templates.iter().map(|text| text.replace(PLACE, class)).collect();
    Ok(classes.iter().flat_map(|class| -> Vec<String> { of_class(class) }).collect())
}

/// One embedding per class: the mean of its prompts' embeddings, each of length one, brought to
/// length one itself. An embedding of length zero stays zero.
///
/// # Shapes
/// `prompts`: `[classes, templates, width]`, row-major, as of [`prompts`]. Returns `[classes,
/// width]`.
///
/// # Errors
/// No templates, a width of 0, or a length that is no multiple of both.
pub fn class_embeddings(
    prompts: &[f32],
    templates: usize,
    width: usize,
) -> Result<Vec<f32>, EvalError> {
    let rows = templates.checked_mul(width).filter(|&size| size > 0);
    let Some(size) = rows.filter(|size| prompts.len().is_multiple_of(*size)) else {
        let expected = format!("classes of {templates} x {width} values (prompts x width)");
        return Err(EvalError::FeatureCount { expected, got: prompts.len() });
    };
    let mut classes = Vec::with_capacity(prompts.len() / templates.max(1));
    for class in prompts.chunks(size) {
        let mut mean = vec![0.0; width];
        for prompt in class.chunks(width) {
            for (sum, value) in mean.iter_mut().zip(unit(prompt.iter().map(|&v| f64::from(v)))) {
                *sum += value;
            }
        }
        classes.extend(unit(mean.into_iter()).into_iter().map(|value| value as f32));
    }
    Ok(classes)
}

fn unit(vector: impl Iterator<Item = f64>) -> Vec<f64> {
    let vector: Vec<f64> = vector.collect();
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.into_iter().map(|value| value * scale).collect()
}

/// Accuracy of the nearest class by inner product. Equal scores count against the right class.
///
/// # Shapes
/// `pictures`: `[pictures, width]`, `classes`: `[classes, width]`, row-major; `labels`: the class
/// of each picture.
///
/// # Errors
/// No pictures, lengths that do not fit, a label past the end, or an inner product that is NaN.
pub fn zero_shot(
    pictures: &[f32],
    classes: &[f32],
    width: usize,
    labels: &[usize],
) -> Result<ZeroShot, EvalError> {
    Embeddings::new("pictures", pictures, width)?;
    Embeddings::new("classes", classes, width)?;
    let count = classes.len() / width;
    let scores = pictures.chunks(width).flat_map(|picture| {
        let dot = |class: &[f32]| {
            picture.iter().zip(class).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
        };
        classes.chunks(width).map(dot).collect::<Vec<_>>()
    });
    top_k(&scores.collect::<Vec<f64>>(), count, labels)
}

/// Accuracy by any scores, higher being better; equal scores count against the right class.
///
/// # Shapes
/// `scores`: `[labels.len(), classes]`, row-major.
///
/// # Errors
/// As [`zero_shot`].
pub fn top_k(scores: &[f64], classes: usize, labels: &[usize]) -> Result<ZeroShot, EvalError> {
    if labels.is_empty() {
        return Err(EvalError::NoExamples);
    }
    if classes == 0 || labels.len().checked_mul(classes) != Some(scores.len()) {
        let expected = format!("{} x {classes} scores (pictures x classes)", labels.len());
        return Err(EvalError::FeatureCount { expected, got: scores.len() });
    }
    let (mut first, mut among_five) = (0, 0);
    for (example, (row, &class)) in scores.chunks(classes).zip(labels).enumerate() {
        if class >= classes {
            return Err(EvalError::ClassOutOfRange { example, class, classes });
        }
        if row.iter().any(|score| score.is_nan()) {
            return Err(EvalError::NanExample { example });
        }
        let others = row.iter().enumerate().filter(|(other, _)| *other != class);
        let rivals = others.filter(|(_, score)| **score >= row[class]).count();
        first += usize::from(rivals < 1);
        among_five += usize::from(rivals < 5);
    }
    let n = labels.len();
    let percent = |right: usize| 100.0 * right as f64 / n as f64;
    Ok(ZeroShot { n, top1: percent(first), top5: percent(among_five) })
}
