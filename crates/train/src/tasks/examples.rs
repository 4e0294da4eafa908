//! The examples of a task as records to train on, and what was asked of each.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use weft_data::dataset::Dataset;
use weft_data::record::{Label, Record};
use weft_data::scenes::{self, EXAMPLES_PER_SCENE};
use weft_data::tasks::answers::AnswerVocabulary;
use weft_data::tasks::{
    Entailment, Expression, Hypothesis, PairStatement, Question, Region, TaskData, expressions_of,
    open_hypotheses, open_pair_statements, open_questions,
};
use weft_model::TaskHeadConfig;
use weft_objectives::Task;

use super::needs_patches;
use crate::recipe::Recipe;

/// Examples of one task.
#[derive(Debug, Clone)]
pub enum Examples {
    /// With the answers that can be given.
    Vqa(TaskData<Question>, AnswerVocabulary),
    Nlvr2(TaskData<PairStatement>),
    Entailment(TaskData<Hypothesis>),
    Grounding(TaskData<Expression>),
}

impl Examples {
    /// The examples of the recipe's `task`. `classes` are those of a model that is trained already; the
    /// answers that a new one can give are counted in the training split.
    ///
    /// # Errors
    ///
    /// When the data cannot be read as the task's.
    pub fn open(task: Task, recipe: &Recipe, classes: Option<Vec<String>>) -> Result<Self> {
        let (data, source) = (&recipe.data, recipe.data.of_tasks());
        let on_scenes = data.source == scenes::NAME;
        if on_scenes {
            needs_patches(recipe)?;
        }
        Ok(match task {
            Task::Vqa => {
                let questions = if on_scenes {
                    scenes::questions(&data.scenes, EXAMPLES_PER_SCENE)?
                } else {
                    open_questions(&source)?
                };
                let answers = match classes {
                    Some(classes) => AnswerVocabulary::try_from(classes)?,
                    None => {
                        let most = recipe.objectives.vqa.as_ref().map_or(0, |vqa| vqa.answers);
                        AnswerVocabulary::build(train(&questions)?, most, 1)?
                    }
                };
                Examples::Vqa(questions, answers)
            }
            Task::Nlvr2 if on_scenes => {
                Examples::Nlvr2(scenes::pair_statements(&data.scenes, EXAMPLES_PER_SCENE)?)
            }
            Task::Nlvr2 => Examples::Nlvr2(open_pair_statements(&source)?),
            Task::Entailment if on_scenes => {
                Examples::Entailment(scenes::hypotheses(&data.scenes, EXAMPLES_PER_SCENE)?)
            }
            Task::Entailment => Examples::Entailment(open_hypotheses(&source)?),
            Task::Grounding => Examples::Grounding(expressions_of(data)?),
        })
    }

    /// The task's name in results.
    pub fn name(&self) -> &'static str {
        name_of(match self {
            Examples::Vqa(..) => Task::Vqa,
            Examples::Nlvr2(_) => Task::Nlvr2,
            Examples::Entailment(_) => Task::Entailment,
            Examples::Grounding(_) => Task::Grounding,
        })
    }

    /// Names of the splits.
    pub fn splits(&self) -> Vec<String> {
        match self {
            Examples::Vqa(data, _) => data.splits.keys().cloned().collect(),
            Examples::Nlvr2(data) => data.splits.keys().cloned().collect(),
            Examples::Entailment(data) => data.splits.keys().cloned().collect(),
            Examples::Grounding(data) => data.splits.keys().cloned().collect(),
        }
    }

    /// The names of the classes, in the order of the head's outputs; none for rectangles.
    pub fn classes(&self) -> Vec<String> {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        match self {
            Examples::Vqa(_, answers) => answers.answers().to_vec(),
            Examples::Nlvr2(_) => names(&["false", "true"]),
            Examples::Entailment(_) => names(&["contradiction", "neutral", "entailment"]),
            Examples::Grounding(_) => Vec::new(),
        }
    }

    /// The head that the task asks for.
    pub fn head(&self) -> TaskHeadConfig {
        let pictures = if matches!(self, Examples::Nlvr2(_)) { 2 } else { 1 };
        let outputs = match self {
            Examples::Grounding(_) => 4,
            _ => self.classes().len(),
        };
        let region = matches!(self, Examples::Grounding(_));
        TaskHeadConfig { pictures, outputs, region }
    }

    /// The examples as records with labels. Of the training split those are left out that have
    /// nothing to learn: questions none of whose answers can be given.
    pub fn dataset(&self) -> Dataset {
        match self {
            Examples::Vqa(data, answers) => dataset(data, |question| {
                let classes = answers.soft_targets(question);
                Record {
                    label: Some(Label::Classes(classes)),
                    ..Record::new(
                        &question.key,
                        vec![question.text.clone()],
                        question.picture.clone(),
                    )
                }
            }),
            Examples::Nlvr2(data) => dataset(data, |statement| {
                let [left, right] = statement.pictures.clone();
                let label = statement.label.map(|label| (usize::from(label), 1.0));
                Record {
                    other: Some(right),
                    label: Some(Label::Classes(label.into_iter().collect())),
                    ..Record::new(&statement.key, vec![statement.text.clone()], left)
                }
            }),
            Examples::Entailment(data) => dataset(data, |sentence| Record {
                label: Some(Label::Classes(vec![(class_of(sentence.label), 1.0)])),
                ..Record::new(&sentence.key, vec![sentence.text.clone()], sentence.picture.clone())
            }),
            Examples::Grounding(data) => dataset(data, |phrase| Record {
                label: Some(Label::Region(fractions(phrase.region, phrase.size))),
                ..Record::new(&phrase.key, vec![phrase.text.clone()], phrase.picture.clone())
            }),
        }
    }
}

/// The name of `task` in results.
pub fn name_of(task: Task) -> &'static str {
    match task {
        Task::Vqa => "vqa",
        Task::Nlvr2 => "nlvr2",
        Task::Entailment => "entailment",
        Task::Grounding => "grounding",
    }
}

/// The place of a label among the classes.
pub fn class_of(label: Entailment) -> usize {
    match label {
        Entailment::Contradiction => 0,
        Entailment::Neutral => 1,
        Entailment::Entailment => 2,
    }
}

/// A rectangle as fractions of a picture of `size`.
pub fn fractions(region: Region, [width, height]: [u32; 2]) -> [f32; 4] {
    let (width, height) = (width as f32, height as f32);
    [region.x / width, region.y / height, region.width / width, region.height / height]
}

/// The rectangle of fractions of a picture of `size`, in its pixels.
pub fn pixels([x, y, w, h]: [f32; 4], [width, height]: [u32; 2]) -> Region {
    let (width, height) = (width as f32, height as f32);
    Region { x: x * width, y: y * height, width: w * width, height: h * height }
}

fn train<T>(data: &TaskData<T>) -> Result<&[T]> {
    let train = data.splits.get("train").map(Vec::as_slice).unwrap_or_default();
    ensure!(!train.is_empty(), "{}: no training split", data.name);
    Ok(train)
}

fn dataset<T>(data: &TaskData<T>, record: impl Fn(&T) -> Record) -> Dataset {
    let learns =
        |record: &Record| !matches!(&record.label, Some(Label::Classes(c)) if c.is_empty());
    let mut notes = data.notes.clone();
    let mut splits = BTreeMap::new();
    for (name, examples) in &data.splits {
        let mut records: Vec<Record> = examples.iter().map(&record).collect();
        if name == "train" {
            let before = records.len();
            records.retain(learns);
            let note = "training examples with no answer that can be given, left out";
            notes.insert(note.into(), (before - records.len()) as u64);
        }
        splits.insert(name.clone(), records);
    }
    Dataset { name: data.name.clone(), splits, ledger: data.ledger.clone(), notes }
}
