//! The recipe: everything that decides a run, as one TOML file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use weft_data::augment::Augment;
use weft_data::dataset::SourceConfig;
use weft_data::mask::MaskConfig;
use weft_data::packages;
use weft_data::pipeline::{PadTo, Pipeline};
use weft_data::preprocess::{Interpolation, Preprocess};
use weft_data::tags::TagConfig;
use weft_data::tokenizer::Tokenizer;
use weft_model::ModelConfig;
use weft_objectives::{Objectives, Task};
use weft_vision::MaskMode;

use crate::checkpoint::{self, Checkpoint};
use crate::concepts::ConceptRecipe;
use crate::overrides::{explain, parse_value, set};
use crate::schedule::Decay;
use crate::stage::{Stage, StageConfig};

/// The recipes that come with weft.
const BUILT_IN: [(&str, &str); 12] = [
    ("quick", include_str!("../recipes/quick.toml")),
    ("quick-scenes", include_str!("../recipes/quick-scenes.toml")),
    ("quick-mamo", include_str!("../recipes/quick-mamo.toml")),
    ("quick-unimo3", include_str!("../recipes/quick-unimo3.toml")),
    ("quick-mvp", include_str!("../recipes/quick-mvp.toml")),
    ("pretrained", include_str!("../recipes/pretrained.toml")),
    ("small-mamo", include_str!("../recipes/small-mamo.toml")),
    ("small-unimo3", include_str!("../recipes/small-unimo3.toml")),
    ("small-mvp", include_str!("../recipes/small-mvp.toml")),
    ("base-mamo", include_str!("../recipes/base-mamo.toml")),
    ("base-unimo3", include_str!("../recipes/base-unimo3.toml")),
    ("base-mvp", include_str!("../recipes/base-mvp.toml")),
];

/// A run, completely described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Names the run directory.
    pub name: String,
    /// Decides initial weights, data order, augmentation, masks and negatives.
    pub seed: u64,
    pub train: TrainConfig,
    pub optimizer: OptimizerConfig,
    pub data: SourceConfig,
    pub tokenizer: TokenizerConfig,
    /// Phrases and tags, where the model shall know some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concepts: Option<ConceptRecipe>,
    pub preprocess: PreprocessConfig,
    pub augment: Augment,
    pub mask: MaskConfig,
    pub model: ModelConfig,
    /// What the whole model starts from.
    #[serde(default)]
    pub start: CheckpointConfig,
    /// What the image encoder starts from.
    #[serde(default)]
    pub vision: StartConfig,
    /// What the text encoder and the fusion encoder start from.
    #[serde(default)]
    pub text: StartConfig,
    pub objectives: Objectives,
    /// Stages that follow one another; without them all objectives are there from the first step to
    /// the last.
    #[serde(default, rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    pub eval: EvalConfig,
    /// What a run of this recipe gave, over several seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

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

/// The `[optimizer]` table: AdamW with linear warm-up and cosine decay.
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
    pub path: Option<std::path::PathBuf>,
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
    pub init: Option<std::path::PathBuf>,
}

/// The `[start]` table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A run directory or a checkpoint whose model this run goes on with, with its tokenizer. Heads
    /// of tasks start anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<std::path::PathBuf>,
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
}

/// The `[expected]` table: what was measured with this recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The seeds of the runs.
    pub seeds: Vec<u64>,
    /// Seconds of a run alone on the machine.
    pub seconds: f64,
    pub machine: String,
    /// `"<split>.<metric>"` to what the runs gave.
    pub metrics: BTreeMap<String, Measured>,
}

/// One metric over several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// How far below `min` a run may fall and still be as expected: two standard errors of a split
    /// of this size.
    pub tolerance: f64,
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

impl Recipe {
    /// Turns the fused kernels off if the recipe wants that.
    pub fn choose_kernels(&self) {
        if !self.train.fused {
            weft_kernels::set_fused(false);
        }
    }

    /// Reads a recipe: the name of one that comes with weft, or the path of a TOML file.
    pub fn open(name: &str) -> Result<Self> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Self::parse(text).with_context(|| format!("recipe {name}"));
        }
        let path = Path::new(name);
        if !path.exists() {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            bail!("no recipe {name}: neither a file nor one of {}", names.join(", "));
        }
        Self::read(path)
    }

    /// Reads a recipe from a TOML file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Parses and checks a recipe.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| explain(&error))?;
        let recipe = recipe.with_mim_head();
        recipe.validate()?;
        Ok(recipe)
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The same recipe with `assignments` (`table.key=value`, values in TOML's notation, a bare word
    /// standing for a string) in place of what it had.
    pub fn with(&self, assignments: &[String]) -> Result<Self> {
        let mut tree = toml::Table::try_from(self)?;
        for assignment in assignments {
            let Some((path, value)) = assignment.split_once('=') else {
                bail!("--set {assignment}: expected table.key=value");
            };
            set(&mut tree, path.trim(), parse_value(value.trim()))?;
        }
        let recipe: Recipe = tree.try_into().map_err(|error| explain(&error))?;
        let recipe = recipe.with_mim_head();
        recipe.validate()?;
        Ok(recipe)
    }

    /// The same with the head that its MIM needs. A recipe without MIM keeps the head that stands in it:
    /// fine-tuning takes it over from the recipe that it goes on from.
    fn with_mim_head(mut self) -> Self {
        if let Some(mim) = &self.objectives.mim {
            self.model.mim_head = mim.head(&self.model.vision);
        }
        self
    }

    /// Checks what the types alone do not.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        let vision = &self.model.vision;
        ensure!(vision.image_size.side().is_some(), "model.vision.image_size must be one number");
        ensure!(!vision.distillation_token, "model.vision.distillation_token is for DeiT alone");
        self.preprocessing().check().context("preprocess")?;
        let train = &self.train;
        ensure!(train.steps > 0, "train.steps must be at least 1");
        ensure!(train.batch_size > 1, "train.batch_size must be at least 2: ITC needs negatives");
        ensure!(train.accumulate > 0, "train.accumulate must be at least 1");
        ensure!(train.per_picture > 0, "train.per_picture must be at least 1");
        let contrasts = &self.objectives;
        ensure!(
            train.per_picture == 1
                || [contrasts.itc.is_none(), contrasts.filip.is_none(), contrasts.itm.is_none()]
                    == [true; 3],
            "train.per_picture must be 1 for ITC, FILIP and ITM: a picture is no negative of its own \
             captions"
        );
        ensure!(train.workers > 0, "train.workers must be at least 1");
        ensure!(train.queue > 0, "train.queue must be at least 1");
        ensure!(train.log_every > 0, "train.log_every must be at least 1");
        ensure!(train.checkpoint_every > 0, "train.checkpoint_every must be at least 1");
        ensure!(train.keep_last > 0, "train.keep_last must be at least 1");
        ensure!((0.0..=1.0).contains(&train.momentum), "train.momentum must be in [0, 1]");
        ensure!(
            train.collapse_below.is_none_or(|below| below > 0.0 && below.is_finite()),
            "train.collapse_below must be above 0"
        );
        ensure!(self.eval.batch_size > 0, "eval.batch_size must be at least 1");
        ensure!(self.optimizer.clip_norm > 0.0, "optimizer.clip_norm must be above 0");
        let optimizer = &self.optimizer;
        for (name, rate) in [
            ("lr", optimizer.lr),
            ("warmup_lr", optimizer.warmup_lr),
            ("final_lr", optimizer.final_lr),
            ("weight_decay", optimizer.weight_decay),
            ("task_head_lr", optimizer.task_head_lr),
            ("fusion_lr", optimizer.fusion_lr),
        ] {
            ensure!(
                rate >= 0.0 && rate.is_finite(),
                "optimizer.{name} is {rate}; expected 0 or more"
            );
        }
        ensure!(
            optimizer.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "optimizer.betas are {:?}; expected numbers in [0, 1)",
            optimizer.betas
        );
        ensure!(optimizer.epsilon > 0.0, "optimizer.epsilon must be above 0");
        let objectives = &self.objectives;
        ensure!(
            !objectives.need_masked_words() || self.mask.text_ratio > 0.0,
            "mask.text_ratio must be above 0 for MLM and MRM"
        );
        ensure!(
            (objectives.mrm.is_none() && objectives.mim.is_none()) || self.mask.image_ratio > 0.0,
            "mask.image_ratio must be above 0 for MRM and MIM"
        );
        ensure!(
            self.codebook().is_none_or(|(codes, _)| codes > 1),
            "objectives.mim.codes must be at least 2"
        );
        ensure!(
            self.model.vision.mask_mode != MaskMode::Drop || self.mask.image_ratio < 1.0,
            "mask.image_ratio must be below 1 where masked patches are dropped"
        );
        ensure!(!self.objectives.build().is_empty(), "objectives: at least one is needed");
        self.validate_concepts()?;
        self.stages()?;
        self.validate_task()
    }

    /// The task that the model is fine-tuned for, if it is.
    pub fn task(&self) -> Option<Task> {
        self.objectives.tasks().first().copied()
    }

    fn validate_task(&self) -> Result<()> {
        let tasks = self.objectives.tasks();
        ensure!(tasks.len() <= 1, "objectives: {tasks:?} are several tasks; expected one at most");
        if tasks == [Task::Grounding] {
            // A rectangle is a place in the whole picture.
            let Augment { crop_scale, flip, rand_ops, .. } = &self.augment;
            ensure!(
                *crop_scale == [1.0, 1.0]
                    && *flip == 0.0
                    && *rand_ops == 0
                    && !self.preprocess.crop,
                "grounding needs whole pictures: augment.crop_scale = [1.0, 1.0], augment.flip = \
                 0.0, augment.rand_ops = 0 and preprocess.crop = false"
            );
        }
        Ok(())
    }

    fn validate_concepts(&self) -> Result<()> {
        let Objectives { mcr, wpg, .. } = &self.objectives;
        ensure!(
            self.concepts.is_some() || (mcr.is_none() && wpg.is_none()),
            "objectives: MCR and WPG need the table [concepts]"
        );
        let Some(concepts) = &self.concepts else { return Ok(()) };
        concepts.validate(self.model.text.longest())?;
        ensure!(
            self.shown_tags().is_none() || self.train.per_picture == 1,
            "concepts.tags needs train.per_picture = 1"
        );
        Ok(())
    }

    /// How training shows tags: not in fine-tuning, as outside training, since no detector stands in front
    /// of the model.
    pub fn shown_tags(&self) -> Option<TagConfig> {
        let concepts = self.concepts.as_ref().filter(|_| self.task().is_none())?;
        concepts.tags.clone()
    }

    /// The stages of the run, one after another.
    ///
    /// # Errors
    ///
    /// Where they name an objective that the recipe has not, or do not make `train.steps` together.
    pub fn stages(&self) -> Result<Vec<Stage>> {
        Stage::all(&self.stages, &self.objectives, self.train.steps)
    }

    /// Size of the codebook that the run needs: how many codes, and of how many numbers each; none
    /// where it predicts no codes.
    pub fn codebook(&self) -> Option<(usize, usize)> {
        self.objectives.mim.as_ref()?.codebook(&self.model.vision)
    }

    /// How records reach the model outside training.
    pub fn pipeline(&self, tokenizer: Arc<Tokenizer>) -> Pipeline {
        Pipeline {
            tokenizer,
            preprocess: self.preprocessing(),
            augment: None,
            mask: self.mask.clone(),
            patch_size: self.model.vision.patch_size,
            max_tokens: self.model.text.longest(),
            pad_to: self.tokenizer.pad_to,
            seed: self.seed,
            shuffle_pairs: false,
            share_pictures: self.train.per_picture > 1,
            tags: None,
        }
    }

    /// Tokens that the model will know: those of the tokenizer that the recipe names, or of the one
    /// that it will train.
    ///
    /// # Errors
    ///
    /// When the tokenizer cannot be read.
    pub fn vocab_size(&self) -> Result<usize> {
        Ok(match self.tokenizer_path() {
            Some(path) => Tokenizer::load(&path)?.vocab_size(),
            None => self.tokenizer.vocab_size,
        })
    }

    /// The tokenizer that the recipe names, if it names one.
    pub fn tokenizer_path(&self) -> Option<std::path::PathBuf> {
        if let Some(path) = &self.start.checkpoint {
            let (_, checkpoint) = Checkpoint::locate(path).ok()?;
            return Some(checkpoint.path().join(checkpoint::TOKENIZER));
        }
        let published = || {
            let folder = packages::resolve(self.text.init.as_ref()?).ok()?;
            Some(folder.join("tokenizer.json"))
        };
        self.tokenizer.path.clone().or_else(published)
    }

    /// How pictures reach the model outside training.
    pub fn preprocessing(&self) -> Preprocess {
        let PreprocessConfig { mean, std, crop, resize, interpolation } = self.preprocess.clone();
        // A recipe's pictures are square: `validate` sees to it.
        let size = self.model.vision.image_size.height;
        Preprocess { size, resize, crop, interpolation, mean, std, ..Preprocess::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_recipes_parse_and_survive_a_round_trip() {
        for (name, text) in BUILT_IN {
            let recipe = Recipe::parse(text).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert_eq!(recipe.name, name);
            assert_eq!(Recipe::parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
        }
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest_one() {
        let text = BUILT_IN[0].1.replace("batch_size", "batchsize");
        let message = format!("{:#}", Recipe::parse(&text).unwrap_err());
        assert!(message.contains("batchsize") && message.contains("\"batch_size\""), "{message}");
    }

    #[test]
    fn the_head_of_mim_follows_from_its_target() {
        let quick = Recipe::open("quick").unwrap();
        assert_eq!(quick.model.mim_head, None);
        let of = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
            let recipe = quick.with(&settings).unwrap();
            assert_eq!(Recipe::parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
            recipe
        };
        let head = |recipe: &Recipe| recipe.model.mim_head.map(|head| (head.depth, head.output));
        let pixels = of(&["objectives.mim.target=pixels"]);
        assert_eq!(head(&pixels), Some((0, 3 * 18 * 18)));
        assert_eq!(pixels.codebook(), None);
        let tokens = of(&["objectives.mim.target=tokens", "objectives.mim.codes=64"]);
        assert_eq!(head(&tokens), Some((0, 64)));
        assert_eq!(tokens.codebook(), Some((64, 3 * 18 * 18)));
        assert_eq!(head(&of(&["objectives.mim.head_depth=2"])), Some((2, 128)));
        // Back again, and on to a task.
        let back = pixels.with(&["objectives.mim.target=features".to_string()]).unwrap();
        assert_eq!(head(&back), None);
        let task = pixels.with(&["objectives={vqa={}}".to_string()]).unwrap();
        assert_eq!(head(&task), head(&pixels));
    }

    #[test]
    fn set_overrides_and_refuses() {
        let recipe = Recipe::open("quick").unwrap();
        let set = |text: &str| recipe.with(&[text.to_string()]);
        assert_eq!(set("train.steps=7").unwrap().train.steps, 7);
        assert_eq!(set("data.source=here").unwrap().data.source, "here");
        for (bad, expected) in [
            ("train.stepz=7", "\"steps\""),
            ("trian.steps=7", "\"train\""),
            ("train.steps=many", "steps"),
            ("train.batch_size=1", "at least 2"),
            ("train.collapse_below=0.0", "train.collapse_below"),
            ("objectives.mim={target=\"tokens\", codes=1}", "at least 2"),
            ("objectives.mim.target=words", "tokens"),
            ("model.vision.patch_size=7", "not a multiple"),
            ("nothing", "table.key=value"),
        ] {
            let message = format!("{:#}", set(bad).unwrap_err());
            assert!(message.contains(expected), "{bad}: {message}");
        }
    }
}
