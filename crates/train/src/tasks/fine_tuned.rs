//! How a fine-tuned model does its task on a split, beside those who did not look.

use std::time::Instant;

use anyhow::Result;
use weft_data::error::Ledger;
use weft_data::record::{Label, Record};
use weft_data::tasks::{Entailment, Expression, Hypothesis, PairStatement, Question, Region};
use weft_eval::{
    Answered, Answerer, Judged, LABELS, Prior, TaskResult, TypicalRegion, entailment, grounding,
    pairs, vqa,
};

use super::chunks::partner;
use super::examples::{Examples, pixels};
use super::result;
use crate::inference::{Inference, TaskOutputs};

/// A result with the model's own outputs.
pub struct Evaluated {
    pub result: TaskResult,
    /// What checkpoints are chosen by: the main metric, in percent.
    pub score: f64,
    /// Examples that could not be read and were left out.
    pub ledger: Ledger,
    pub outputs: TaskOutputs,
}

/// What to evaluate, and what to call it in the result.
pub struct TaskEvaluation<'a> {
    pub split: &'a str,
    /// The split's examples as records, in their order.
    pub records: &'a [Record],
    pub checkpoint: &'a str,
    /// Whether the blind baselines are wanted, which run the model twice more.
    pub blind: bool,
    /// Fraction of the data set's records that may be unusable, and how many it has.
    pub bad_budget: f64,
    pub data_set: usize,
}

/// Answers of one answerer: for each readable example the model's row of outputs.
type Rows<'a> = &'a [Vec<f32>];

/// Evaluates `model` on a split of its task.
///
/// With `blind`, it is asked again with each example's picture replaced by another's (`_text_only`: what
/// is left of its accuracy without the right picture) and with each example's text replaced by another's
/// (`_picture_only`); a single example has no other.
///
/// # Errors
///
/// When the split has no example with a label, or too many cannot be read.
pub fn evaluate_task(
    model: &Inference,
    examples: &Examples,
    evaluation: &TaskEvaluation,
) -> Result<Evaluated> {
    let begun = Instant::now();
    let records = evaluation.records;
    let mut ledger = Ledger::default();
    let outputs = model.task_outputs(records, &mut ledger)?;
    ledger.check(evaluation.bad_budget, evaluation.data_set)?;
    let count = outputs.readable.len();
    let mut result = result(model, examples.name(), evaluation.split, evaluation.checkpoint, count);
    let judge = Judge { examples, split: evaluation.split, readable: &outputs.readable };
    let score = judge.add(&mut result, Answerer::Model, &outputs.rows)?;
    if evaluation.blind {
        judge.add_constants(&mut result)?;
        let read: Vec<Record> = outputs.readable.iter().map(|row| records[*row].clone()).collect();
        for (who, blinded) in [
            (Answerer::TextOnly, with_other(&read, other_picture)),
            (Answerer::PictureOnly, with_other(&read, other_text)),
        ] {
            // One example alone has no other.
            let Some(blinded) = blinded else { continue };
            let found = model.task_outputs(&blinded, &mut ledger)?;
            judge.add(&mut result, who, &found.rows)?;
        }
    }
    result.seconds = begun.elapsed().as_secs_f64();
    Ok(Evaluated { result, score, ledger, outputs })
}

/// Each record with something of its partner, which `exchange` takes; nothing where there is only one.
fn with_other(
    records: &[Record],
    exchange: impl Fn(&Record, &Record) -> Record,
) -> Option<Vec<Record>> {
    let other = |at: usize| Some(exchange(&records[at], &records[partner(at, records.len())?]));
    (0..records.len()).map(other).collect()
}

fn other_picture(own: &Record, other: &Record) -> Record {
    // The key names an embedded picture.
    Record {
        key: other.key.clone(),
        picture: other.picture.clone(),
        other: other.other.clone(),
        ..own.clone()
    }
}

fn other_text(own: &Record, other: &Record) -> Record {
    Record { captions: other.captions.clone(), ..own.clone() }
}

/// Holds outputs to the truth of the examples that could be read.
struct Judge<'a> {
    examples: &'a Examples,
    split: &'a str,
    readable: &'a [usize],
}

impl Judge<'_> {
    /// The examples of the split that could be read.
    fn readable<'t, T>(&self, data: &'t weft_data::tasks::TaskData<T>) -> Result<Vec<&'t T>> {
        let examples = data.split(self.split)?;
        Ok(self.readable.iter().map(|row| &examples[*row]).collect())
    }

    /// Adds the figures of outputs, and returns the main one.
    fn add(&self, result: &mut TaskResult, who: Answerer, rows: Rows) -> Result<f64> {
        match self.examples {
            Examples::Vqa(data, answers) => {
                let names = answers.answers();
                let answer = |row: &Vec<f32>| names[best(row)].clone();
                let answers = rows.iter().map(answer).collect();
                add_vqa(result, who, &self.readable(data)?, answers)
            }
            Examples::Nlvr2(data) => {
                let says = rows.iter().map(|row| best(row) == 1).collect();
                add_pairs(result, who, &self.readable(data)?, says)
            }
            Examples::Entailment(data) => {
                let says = rows.iter().map(|row| LABELS[best(row)]).collect();
                add_entailment(result, who, &self.readable(data)?, says)
            }
            Examples::Grounding(data) => {
                let phrases = self.readable(data)?;
                let place = |(phrase, row): (&&Expression, &Vec<f32>)| {
                    let fractions =
                        <[f32; 4]>::try_from(&row[..]).expect("a rectangle is four numbers");
                    pixels(fractions, phrase.size)
                };
                let says = phrases.iter().zip(rows).map(place).collect();
                add_grounding(result, who, &phrases, says)
            }
        }
    }

    /// Adds what the training answers alone would give.
    fn add_constants(&self, result: &mut TaskResult) -> Result<()> {
        match self.examples {
            Examples::Vqa(data, _) => {
                let of = |question: &'_ Question| {
                    let Question { text, kind, answers, .. } = question.clone();
                    answers.into_iter().map(move |answer| (text.clone(), kind.clone(), answer))
                };
                let train: Vec<_> = train(data).iter().flat_map(of).collect();
                let train = train.iter().map(|(t, k, a)| (t.as_str(), k.as_str(), a.clone()));
                let questions = self.readable(data)?;
                add_prior(
                    Prior::of(train),
                    &questions,
                    |question| (&question.text, &question.kind),
                    |who, says| add_vqa(result, who, &questions, says),
                )
            }
            Examples::Nlvr2(data) => {
                let train =
                    train(data).iter().filter_map(|s| Some((s.text.as_str(), "", s.label?)));
                let statements = self.readable(data)?;
                add_prior(
                    Prior::of(train),
                    &statements,
                    |statement| (&statement.text, ""),
                    |who, says| add_pairs(result, who, &statements, says),
                )
            }
            Examples::Entailment(data) => {
                let train = train(data).iter().map(|h| (h.text.as_str(), "", h.label));
                let sentences = self.readable(data)?;
                add_prior(
                    Prior::of(train),
                    &sentences,
                    |sentence| (&sentence.text, ""),
                    |who, says| add_entailment(result, who, &sentences, says),
                )
            }
            Examples::Grounding(data) => {
                // No rectangle is the most frequent one.
                let phrases = self.readable(data)?;
                let train = train(data).iter().map(|phrase| (phrase.region, phrase.size));
                let Some(typical) = TypicalRegion::of(train) else { return Ok(()) };
                let says = phrases.iter().map(|phrase| typical.within(phrase.size)).collect();
                add_grounding(result, Answerer::Majority, &phrases, says)?;
                Ok(())
            }
        }
    }
}

/// Adds the most frequent training answer to the same words, and the most frequent of all.
fn add_prior<T, A: Ord + Clone>(
    prior: Option<Prior<A>>,
    examples: &[&T],
    words: impl Fn(&T) -> (&str, &str),
    mut add: impl FnMut(Answerer, Vec<A>) -> Result<f64>,
) -> Result<()> {
    let Some(prior) = prior else { return Ok(()) };
    let given = examples.iter().map(|example| {
        let (text, kind) = words(example);
        prior.given(text, kind).clone()
    });
    add(Answerer::Prior, given.collect())?;
    add(Answerer::Majority, vec![prior.majority().clone(); examples.len()])?;
    Ok(())
}

fn train<T>(data: &weft_data::tasks::TaskData<T>) -> &[T] {
    data.splits.get("train").map(Vec::as_slice).unwrap_or_default()
}

fn add_vqa(
    result: &mut TaskResult,
    who: Answerer,
    questions: &[&Question],
    predictions: Vec<String>,
) -> Result<f64> {
    let answered = questions.iter().zip(&predictions).map(|(question, prediction)| Answered {
        kind: &question.kind,
        answers: &question.answers,
        prediction,
    });
    let scores = vqa(answered)?;
    result.add_by_kind("accuracy", who, &scores);
    Ok(scores.percent())
}

fn add_pairs(
    result: &mut TaskResult,
    who: Answerer,
    statements: &[&PairStatement],
    predictions: Vec<bool>,
) -> Result<f64> {
    let judged = statements.iter().zip(predictions).filter_map(|(statement, prediction)| {
        Some(Judged { group: &statement.group, label: statement.label?, prediction })
    });
    let scores = pairs(judged)?;
    result.add_figure("accuracy", who, scores.accuracy);
    result.add_figure("consistency", who, scores.consistency);
    Ok(scores.accuracy)
}

fn add_entailment(
    result: &mut TaskResult,
    who: Answerer,
    sentences: &[&Hypothesis],
    predictions: Vec<Entailment>,
) -> Result<f64> {
    let scores = entailment(sentences.iter().map(|s| s.label).zip(predictions))?;
    result.add_by_kind("accuracy", who, &scores.accuracy);
    Ok(scores.accuracy.percent())
}

fn add_grounding(
    result: &mut TaskResult,
    who: Answerer,
    phrases: &[&Expression],
    predictions: Vec<Region>,
) -> Result<f64> {
    let scores =
        grounding(phrases.iter().map(|p| p.region).zip(predictions.into_iter().map(Some)))?;
    result.add_figure("accuracy", who, scores.accuracy);
    result.add_figure("mean_iou", who, scores.mean_iou);
    Ok(scores.accuracy)
}

/// The place of the largest number, of equal ones the first.
pub fn best(row: &[f32]) -> usize {
    let mut best = 0;
    for (place, number) in row.iter().enumerate() {
        if *number > row[best] {
            best = place;
        }
    }
    best
}

/// Whether `records` have what a score needs: a label each.
pub fn has_labels(records: &[Record]) -> bool {
    let known = |record: &Record| match &record.label {
        Some(Label::Classes(classes)) => !classes.is_empty(),
        Some(Label::Region(_)) => true,
        None => false,
    };
    records.iter().any(known)
}
