//! The answers that a classifier chooses from, and what it is trained towards.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Question;
use super::normalise::normalise;
use crate::error::{BadRecord, Cause, DataError, Ledger};

/// How much of the full score each annotator gives who agrees: three give 0.9, four or more the
/// whole. (The official accuracy averages over ten sets of nine annotators; of an answer that `n`
/// of ten gave it makes 0.3, 0.6, 0.9, 1, 1, ... too.)
const PER_ANNOTATOR: f32 = 0.3;

/// The most frequent answers, in normal form ([`normalise`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AnswerVocabulary {
    answers: Vec<String>,
    places: HashMap<String, usize>,
}

impl AnswerVocabulary {
    /// The `most` answers that are right of the most questions, but none that is right of fewer
    /// than `at_least`. In order of frequency, equals in order of their text.
    ///
    /// What is right of a question is what most of its annotators say, of equals the first by text.
    /// (For VQAv2 3,129 answers are usual: those of at least nine questions in `train` and `val`.)
    ///
    /// # Errors
    /// [`DataError::Config`] where no answer is left.
    pub fn build(questions: &[Question], most: usize, at_least: usize) -> Result<Self, DataError> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        // An answer of so many periods that its normal form has a normal form of its own is none.
        let normal = |answer: &String| normalise(answer) == *answer;
        for answer in questions.iter().filter_map(agreed).filter(normal) {
            *counts.entry(answer).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= at_least).collect();
        // Stable, and sorted by text before.
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.truncate(most);
        Self::try_from(counts.into_iter().map(|(answer, _)| answer).collect::<Vec<_>>())
    }

    /// Number of answers.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Never: there is at least one answer.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The answers, most frequent first.
    pub fn answers(&self) -> &[String] {
        &self.answers
    }

    /// The place of an answer, however it is written.
    pub fn place(&self, answer: &str) -> Option<usize> {
        self.places.get(&normalise(answer)).copied()
    }

    /// The answers that are worth something, by place, and how much: 1 where there is one
    /// annotator, else `min(1, 0.3 n)` for `n` who agree. Empty where no annotator's answer is in
    /// the vocabulary.
    pub fn soft_targets(&self, question: &Question) -> Vec<(usize, f32)> {
        let mut counts: BTreeMap<usize, u8> = BTreeMap::new();
        for place in question.answers.iter().filter_map(|answer| self.place(answer)) {
            let count = counts.entry(place).or_default();
            *count = count.saturating_add(1);
        }
        let alone = question.answers.len() == 1;
        let score =
            |count: u8| if alone { 1.0 } else { (PER_ANNOTATOR * f32::from(count)).min(1.0) };
        counts.into_iter().map(|(place, count)| (place, score(count))).collect()
    }

    /// The questions that the classifier cannot get right: none of their annotators' answers is in
    /// the vocabulary. Questions without answers are not looked at.
    pub fn outside(&self, questions: &[Question]) -> Ledger {
        let mut ledger = Ledger::default();
        for question in questions.iter().filter(|question| !question.answers.is_empty()) {
            if question.answers.iter().all(|answer| self.place(answer).is_none()) {
                let answer = agreed(question).unwrap_or_default();
                ledger.record(BadRecord {
                    cause: Cause::UnknownAnswer,
                    origin: format!("question {}", question.key),
                    detail: format!(
                        "\"{answer}\" is not among the {} answers to choose from",
                        self.len()
                    ),
                });
            }
        }
        ledger
    }
}

/// What most annotators say, in normal form, of equals the first by text. An answer that is empty
/// in normal form ("the") is no answer.
pub fn agreed(question: &Question) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for answer in question.answers.iter().map(|answer| normalise(answer)) {
        if !answer.is_empty() {
            *counts.entry(answer).or_default() += 1;
        }
    }
    let most = *counts.values().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(answer, _)| answer)
}

impl TryFrom<Vec<String>> for AnswerVocabulary {
    type Error = DataError;

    /// From answers in normal form, each once, in the order of the classifier's outputs.
    fn try_from(answers: Vec<String>) -> Result<Self, DataError> {
        if answers.is_empty() {
            return Err(DataError::Config("the vocabulary of answers is empty".into()));
        }
        let mut places = HashMap::new();
        for (place, answer) in answers.iter().enumerate() {
            if normalise(answer) != *answer {
                let text = format!(
                    "answer {place}, \"{answer}\", is not in normal form, which is \"{}\"",
                    normalise(answer)
                );
                return Err(DataError::Config(text));
            }
            if let Some(first) = places.insert(answer.clone(), place) {
                let text =
                    format!("answer \"{answer}\" comes twice, in places {first} and {place}");
                return Err(DataError::Config(text));
            }
        }
        Ok(AnswerVocabulary { answers, places })
    }
}

impl From<AnswerVocabulary> for Vec<String> {
    fn from(vocabulary: AnswerVocabulary) -> Self {
        vocabulary.answers
    }
}
