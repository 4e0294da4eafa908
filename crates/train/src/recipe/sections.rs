//! The tables of a recipe that say how it is run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use weft_data::pipeline::PadTo;
use weft_data::preprocess::Interpolation;

use crate::schedule::Decay;

/// The `[train]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Pairs of one forward pass; each has the others as negatives.
    pub batch_size: usize,
    /// Examples of one picture that stand side by side in a batch and share its encoder pass: the
    /// questions of a task's picture.
    #[serde(default = "one")]
    pub per_picture: usize,
    /// Batches whose gradients are averaged for one step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// What the momentum twin keeps of itself at each step.
    pub momentum: f64,
    /// What it keeps of itself at the end, where it is to become slower: half a cosine leads there (BYOL,
    /// Grill et al. 2020, section 3.2; DINO). Without it the momentum stays as it is (MAMO, ALBEF).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum_final: Option<f64>,
    /// Threads that decode and augment.
    #[serde(default = "one")]
    pub workers: usize,
    /// Batches prepared ahead.
    #[serde(default = "four")]
    pub queue: usize,
    /// Steps between two lines of metrics.jsonl.
    #[serde(default = "one_step")]
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Latest checkpoints that are kept, besides the best.
    #[serde(default = "two")]
    pub keep_last: usize,
    /// Warn when the targets of MRM or MIM stay more alike than this: a figure `*_spread` of the log
    /// that is below it for 100 logged steps. Without it nothing is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_below: Option<f64>,
    /// Pair captions with other pictures: the control experiment, in which nothing can be learned.
    #[serde(default)]
    pub shuffle_pairs: bool,
    /// Whether fused kernels are used where the backend has them; without, every operation is
    /// composed of Burn's. For comparing the two: results differ by rounding alone.
    #[serde(default = "yes")]
    pub fused: bool,
}

/// The `[optimizer]` table: AdamW with linear warm-up and cosine or linear decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The highest learning rate.
    pub lr: f64,
    /// How many times as fast the head of a task learns as the model that it is put on (METER: 50).
    #[serde(default = "unit")]
    pub task_head_lr: f64,
    /// How many times as fast the fusion encoder and the heads of pre-training learn as the encoders
    /// below (METER: 5).
    #[serde(default = "unit")]
    pub fusion_lr: f64,
    /// Where warm-up starts.
    pub warmup_lr: f64,
    /// Where the decay ends.
    pub final_lr: f64,
    pub warmup_steps: u64,
    /// How the rate falls behind the warm-up.
    #[serde(default)]
    pub decay: Decay,
    /// Of weights of two or more dimensions; biases, norms and the temperature have none.
    pub weight_decay: f64,
    pub betas: [f64; 2],
    pub epsilon: f64,
    /// Largest norm of all gradients together.
    pub clip_norm: f64,
}

/// The `[tokenizer]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// A `tokenizer.json`; without it a WordPiece vocabulary is learned from the training captions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Size of a learned vocabulary.
    pub vocab_size: usize,
    /// How far captions are filled up, `max` or `longest`.
    #[serde(default)]
    pub pad_to: PadTo,
}

/// The `[vision]` and `[text]` tables: how a part starts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartConfig {
    /// A Hugging Face folder with a published encoder, or the name of a package that `weft data get`
    /// has fetched; without it the part starts anew. Of a text
    /// encoder, the first layers become `model.text` and the last ones `model.fusion`, as ALBEF and
    /// MAMO do with BERT, and its `tokenizer.json` is used where `tokenizer.path` names no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
}

/// The `[start]` table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A run directory or a checkpoint whose model this run goes on with, with its tokenizer. Heads
    /// of tasks start anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// What of it is taken: beginnings of parameters' paths, as in `backbone.vision`; the rest starts anew
    /// and may be of another shape. Without any it is the whole model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// The `[preprocess]` table; the size is the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Mean and standard deviation of each channel, of pixels in [0, 1].
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Cut the centre square instead of squeezing the picture into one.
    pub crop: bool,
    /// Size before the centre is cut out, where it is not the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    #[serde(default)]
    pub interpolation: Interpolation,
}

/// The `[eval]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Pictures or captions of one forward pass.
    pub batch_size: usize,
    /// Captions of each picture that are queries and candidates; 0 for all.
    pub captions: usize,
    /// Candidates that the matching head re-ranks, per query.
    pub rerank: usize,
    /// Steps between two evaluations on `val`; 0 for none.
    #[serde(default)]
    pub every: u64,
    /// Whether a run ends with an evaluation of the test splits. Without, they are left to `weft eval`.
    #[serde(default = "yes")]
    pub test: bool,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn unit() -> f64 {
    1.0
}

fn one_step() -> u64 {
    1
}

fn two() -> usize {
    2
}

fn four() -> usize {
    4
}
