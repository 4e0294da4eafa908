//! Does a picture entail a sentence, contradict it or leave it open (SNLI-VE)?

use serde::{Deserialize, Serialize};
use weft_data::tasks::Entailment;

use crate::{ByKind, EvalError};

/// The three labels, in the order of [`EntailmentScore::confusion`].
pub const LABELS: [Entailment; 3] =
    [Entailment::Contradiction, Entailment::Neutral, Entailment::Entailment];

/// Accuracy and what is taken for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntailmentScore {
    /// In all, and of the sentences with each label (its recall), in percent.
    pub accuracy: ByKind,
    /// `confusion[label][prediction]` counts sentences, both in the order of [`LABELS`].
    pub confusion: [[usize; 3]; 3],
}

/// The name of a label, as it stands in the data.
pub fn label_name(label: Entailment) -> &'static str {
    match label {
        Entailment::Contradiction => "contradiction",
        Entailment::Neutral => "neutral",
        Entailment::Entailment => "entailment",
    }
}

/// Accuracy of predictions, given as pairs of label and prediction.
///
/// # Errors
/// No pairs.
pub fn entailment(
    judged: impl IntoIterator<Item = (Entailment, Entailment)>,
) -> Result<EntailmentScore, EvalError> {
    let judged: Vec<_> = judged.into_iter().collect();
    let mut confusion = [[0; 3]; 3];
    for &(label, prediction) in &judged {
        confusion[place(label)][place(prediction)] += 1;
    }
    let score = |(label, prediction): &(Entailment, Entailment)| {
        (label_name(*label), f64::from(u8::from(label == prediction)))
    };
    let accuracy = ByKind::of(judged.iter().map(score))?;
    Ok(EntailmentScore { accuracy, confusion })
}

fn place(label: Entailment) -> usize {
    LABELS.iter().position(|known| *known == label).expect("all labels are listed")
}
