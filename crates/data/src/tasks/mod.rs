//! Examples of the tasks by which vision-language models are judged, whichever data set they come
//! from: the published files of a task and `scenes` give the same types.

pub mod answers;
mod aro;
pub(crate) mod captions;
mod classes;
pub(crate) mod easy_vqa;
mod nlvr2;
pub mod normalise;
mod open;
mod refcoco;
mod region;
mod snli_ve;
mod source;
mod sugar_crepe;
mod vqa_v2;
mod winoground;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::split;
use crate::error::{DataError, Ledger};
use crate::record::Picture;

pub use captions::expressions_of;
pub use classes::Classes;
pub use easy_vqa::NAME as EASY_VQA;
pub use open::{
    open_classes, open_contrasts, open_expressions, open_hypotheses, open_pair_statements,
    open_questions,
};
pub use source::TaskSource;

/// The examples of a task in named splits, with what was wrong with those that were left out.
#[derive(Debug, Clone)]
pub struct TaskData<T> {
    pub name: String,
    /// `train`, `val`, and the test splits.
    pub splits: BTreeMap<String, Vec<T>>,
    pub ledger: Ledger,
    /// Counts that a reader of the run wants to know.
    pub notes: BTreeMap<String, u64>,
}

impl<T> TaskData<T> {
    /// The examples of one split.
    pub fn split(&self, name: &str) -> Result<&[T], DataError> {
        split(&self.splits, name, &self.name)
    }
}

/// A question about a picture.
#[derive(Debug, Clone)]
pub struct Question {
    /// Unique in its split; every random choice about the example is keyed by it. (The questions of
    /// VQAv2's `test-dev` are some of those of `test`.)
    pub key: String,
    pub picture: Picture,
    pub text: String,
    /// One answer of each annotator: ten in VQAv2, one where the answer is a fact, none in a test
    /// split whose answers are kept secret.
    pub answers: Vec<String>,
    /// The kind of question (`exist`, `count`, `yes/no`, ...), by which accuracy is reported.
    pub kind: String,
}

/// A statement about two pictures (NLVR2).
#[derive(Debug, Clone)]
pub struct PairStatement {
    pub key: String,
    /// Left and right.
    pub pictures: [Picture; 2],
    pub text: String,
    /// Absent in a test split whose labels are kept secret.
    pub label: Option<bool>,
    /// What the pairs of pictures with the same statement have in common: a model is consistent
    /// where it is right of all of them.
    pub group: String,
}

/// What a picture says of a sentence (SNLI-VE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entailment {
    Contradiction,
    Neutral,
    Entailment,
}

/// A sentence that a picture entails, contradicts or leaves open (SNLI-VE).
#[derive(Debug, Clone)]
pub struct Hypothesis {
    pub key: String,
    pub picture: Picture,
    pub text: String,
    pub label: Entailment,
}

/// A rectangle in a picture, in pixels of the picture as it is stored: left, top, width, height.
/// The corner is the pixel's upper left one, so that a whole picture is `[0, 0, width, height]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Region {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

/// A phrase that refers to one thing in a picture (RefCOCO+).
#[derive(Debug, Clone)]
pub struct Expression {
    pub key: String,
    pub picture: Picture,
    /// Width and height of the picture as it is stored.
    pub size: [u32; 2],
    pub text: String,
    pub region: Region,
    /// The regions to choose from, where the data set has some.
    pub proposals: Vec<Region>,
}

/// Captions that differ in one respect, and the picture or pictures that tell them apart
/// (Winoground, ARO, SugarCrepe).
#[derive(Debug, Clone)]
pub struct Contrast {
    pub key: String,
    /// What differs (`swap-attributes`, `flip-relation`, ...), by which scores are reported.
    pub kind: String,
    /// The second is false of the first picture.
    pub captions: [String; 2],
    /// The first picture goes with the first caption; the second, where there is one, with the
    /// second.
    pub picture: Picture,
    pub other: Option<Picture>,
}

/// A picture of one of some classes.
#[derive(Debug, Clone)]
pub struct Labelled {
    pub key: String,
    pub picture: Picture,
    /// Place in the list of classes.
    pub class: usize,
}
