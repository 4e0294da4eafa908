//! Accuracy of answers to questions about pictures, as VQA counts it (Antol et al., ICCV 2015; the
//! published evaluation of VQAv2).

use serde::Serialize;
use weft_data::tasks::normalise::{normalise, trimmed};

use crate::{ByKind, EvalError};

/// How many annotators make an answer wholly right.
const ENOUGH: f64 = 3.0;

/// A question's kind, its annotators' answers, and what the model says.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    pub kind: &'a str,
    /// Ten in VQAv2; one where the answer is a fact.
    pub answers: &'a [String],
    /// The empty text where the model has no answer.
    pub prediction: &'a str,
}

/// The accuracy of one prediction, 0 to 1; absent where there are no answers to compare with.
///
/// Of one answer: whether both have the same normal form ([`normalise`]). Of several, the official
/// score: each annotator is left out once, the prediction scores `min(1, agreeing / 3)` against the
/// others, and the mean counts. As in the published code, texts are brought into normal form only
/// where the annotators differ (the texts as they are, without white space around them); where they
/// all agree, the prediction must be their answer as it stands.
pub fn vqa_accuracy(prediction: &str, answers: &[String]) -> Option<f64> {
    match answers {
        [] => None,
        [answer] => Some(f64::from(u8::from(normalise(prediction) == normalise(answer)))),
        _ => Some(of_several(prediction, answers)),
    }
}

fn of_several(prediction: &str, answers: &[String]) -> f64 {
    let mut prediction = trimmed(prediction);
    let mut answers: Vec<String> = answers.iter().map(|answer| trimmed(answer)).collect();
    if answers.iter().any(|answer| *answer != answers[0]) {
        prediction = normalise(&prediction);
        answers = answers.iter().map(|answer| normalise(answer)).collect();
    }
    let agreeing = answers.iter().filter(|answer| **answer == prediction).count();
    let score = |agreeing: usize| (agreeing as f64 / ENOUGH).min(1.0);
    // Leaving out one who agrees leaves one less; leaving out another changes nothing.
    let without_one = agreeing as f64 * score(agreeing.saturating_sub(1));
    let without_another = (answers.len() - agreeing) as f64 * score(agreeing);
    (without_one + without_another) / answers.len() as f64
}

/// Accuracy over all questions and per kind, in percent. Questions without answers are left out:
/// compare [`ByKind::all`]'s `n` with the number of questions.
///
/// # Errors
/// No question has answers.
pub fn vqa<'a>(answered: impl IntoIterator<Item = Answered<'a>>) -> Result<ByKind, EvalError> {
    ByKind::of(answered.into_iter().filter_map(|Answered { kind, answers, prediction }| {
        vqa_accuracy(prediction, answers).map(|score| (kind, score))
    }))
}

/// The file that VQA's evaluation server takes: `[{"question_id": 1, "answer": "yes"}, ...]`.
///
/// # Errors
/// A key that is no number (only VQAv2's are), or one that comes twice.
pub fn vqa_submission<'a>(
    answers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, EvalError> {
    #[derive(Serialize)]
    struct Entry<'a> {
        question_id: u64,
        answer: &'a str,
    }
    let mut seen = std::collections::HashSet::new();
    let mut entries = vec![];
    for (key, answer) in answers {
        let id = key.parse().ok().filter(|id| seen.insert(*id));
        let question_id = id.ok_or_else(|| EvalError::SubmissionKey { key: key.to_owned() })?;
        entries.push(Entry { question_id, answer });
    }
    Ok(serde_json::to_string(&entries)?)
}
