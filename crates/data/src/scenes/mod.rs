//! Scenes composed of emoji, or of any pictures with alpha: real pictures with exact ground truth.
//!
//! Scene `k` of a split is a function of (seed, split, k), so nothing is stored: a record holds the
//! facts, and its picture is drawn when it is asked for. Sentences are made from the facts, and said
//! only where they are clear (see [`relation`]). `docs/guide/scenes.md` shows pictures and figures.

pub mod grammar;
mod layout;
pub mod relation;
pub mod render;
mod sample;
pub mod split;
pub mod sprites;
pub mod tasks;
pub mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::dataset::Dataset;
use crate::error::{DataError, Ledger};
use crate::random::addressed;
use crate::record::{Picture, Record};
use grammar::caption::{Caption, captions};
use render::{Drawn, Stage};
use split::{Lexicon, Split};
use world::Scene;

pub use tasks::contrasts::contrasts;
pub use tasks::expressions::expressions;
pub use tasks::hypotheses::hypotheses;
pub use tasks::labelled::{Target, labelled};
pub use tasks::pairs::pair_statements;
pub use tasks::questions::questions;

/// The name by which the data set is asked for.
pub const NAME: &str = "scenes";

/// Questions, statements and so on that tasks ask of each scene.
pub const EXAMPLES_PER_SCENE: usize = 4;

/// What the data set is made of, and a checksum of it.
pub const MANIFEST: &str = include_str!("../../../../datasets/scenes.toml");

/// Smallest and largest side of a picture, in pixels.
const SIZES: [u32; 2] = [32, 1024];

/// Which scenes there are.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ScenesConfig {
    /// Decides what is held out and what each scene is.
    pub seed: u64,
    /// Side of the pictures, in pixels.
    pub size: u32,
    /// Scenes in `train`.
    pub train: usize,
    /// Scenes in `val`.
    pub val: usize,
    /// Scenes in each of the test splits.
    pub test: usize,
    /// A folder of pictures with alpha, each named by its noun, in place of the emoji.
    pub sprites: Option<PathBuf>,
    /// How many of the sprites there are scenes of; without it all. Fewer are easier to tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<usize>,
    /// The most objects of a scene, two to four, but in `test_objects`; without it four. What a task
    /// adds to a scene is not bounded by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<usize>,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        ScenesConfig {
            seed: 0,
            size: 128,
            train: 20_000,
            val: 500,
            test: 500,
            sprites: None,
            kinds: None,
            objects: None,
        }
    }
}

impl ScenesConfig {
    /// Scenes in a split.
    pub fn count(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Val => self.val,
            _ => self.test,
        }
    }
}

/// The generator: what it draws is a function of its configuration.
#[derive(Clone)]
pub struct Scenes {
    pub config: ScenesConfig,
    pub lexicon: Arc<Lexicon>,
    pub stage: Arc<Stage>,
}

/// Opens the data set.
///
/// # Errors
///
/// Where the configuration cannot work, or the folder of sprites cannot be used.
pub fn open(config: &ScenesConfig) -> Result<Dataset, DataError> {
    Scenes::new(config)?.dataset()
}

impl Scenes {
    /// Reads the sprites and decides what is held out.
    pub fn new(config: &ScenesConfig) -> Result<Self, DataError> {
        let [smallest, largest] = SIZES;
        if !(smallest..=largest).contains(&config.size) {
            return Err(DataError::Config(format!(
                "data.scenes.size is {}; expected {smallest} to {largest} pixels",
                config.size
            )));
        }
        let [fewest, most] = Split::Train.objects();
        if let Some(objects) = config.objects.filter(|count| !(fewest..=most).contains(count)) {
            return Err(DataError::Config(format!(
                "data.scenes.objects is {objects}; expected {fewest} to {most}, the numbers of \
                 objects in scenes of training"
            )));
        }
        let sprites = match &config.sprites {
            Some(folder) => sprites::from_folder(folder)?,
            None => sprites::built_in()?,
        };
        let sprites = match config.kinds {
            Some(kinds) => sprites::some_of(sprites, kinds, config.seed)?,
            None => sprites,
        };
        let stage = Stage::new(&sprites, config.size);
        let lexicon = Lexicon::new(sprites, config.seed);
        Ok(Scenes { config: config.clone(), lexicon: lexicon.into(), stage: stage.into() })
    }

    /// Scene `index` of a split.
    pub fn scene(&self, split: Split, index: u64) -> Scene {
        let mut rng = addressed(self.config.seed, index, split.name(), "scene");
        let count = self.config.objects.filter(|_| split != Split::TestObjects).map(|most| {
            let [fewest, _] = split.objects();
            rng.random_range(fewest..=most)
        });
        sample::sample(&self.lexicon, split, count, &[], &mut rng)
    }

    /// The captions of that scene.
    pub fn captions(&self, split: Split, index: u64, scene: &Scene) -> Vec<Caption> {
        let mut rng = addressed(self.config.seed, index, split.name(), "captions");
        captions(scene, split, &self.lexicon, &mut rng)
    }

    /// The picture of a scene.
    pub fn picture(&self, scene: Scene) -> Picture {
        Picture::Generated(Drawn::new(self.stage.clone(), scene))
    }

    /// All splits as records.
    pub fn dataset(&self) -> Result<Dataset, DataError> {
        let mut splits = BTreeMap::new();
        for &split in Split::ALL {
            let count = self.config.count(split) as u64;
            let records = (0..count).into_par_iter().map(|index| self.record(split, index));
            splits.insert(split.name().to_string(), records.collect());
        }
        let notes = BTreeMap::from([
            ("sprites".to_string(), self.lexicon.sprites.len() as u64),
            ("sprites held out".to_string(), self.lexicon.held_out().len() as u64),
        ]);
        // The emoji's artists are to be named; those of other sprites are not known.
        let name = match &self.config.sprites {
            Some(folder) => format!("{NAME} of {}", folder.display()),
            None => NAME.into(),
        };
        Ok(Dataset { name, splits, ledger: Ledger::default(), notes })
    }

    /// Scene `index` of a split as a record, annotated with
    ///
    /// - `tags`: the names of what is there, each once;
    /// - `objects`: a JSON list with each object's attributes and box (left, top, width, height in
    ///   pixels);
    /// - `phrases`: a JSON list for each caption of its noun phrases: first byte, byte after the
    ///   last, places in `objects`.
    pub fn record(&self, split: Split, index: u64) -> Record {
        let scene = self.scene(split, index);
        let captions = self.captions(split, index, &scene);
        let phrases: Vec<Vec<_>> = captions
            .iter()
            .map(|caption| {
                caption
                    .links
                    .iter()
                    .map(|link| json!([link.start, link.end, link.objects]))
                    .collect()
            })
            .collect();
        let annotations = BTreeMap::from([
            ("tags".to_string(), self.tags(&scene).join(", ")),
            ("objects".to_string(), self.described(&scene).to_string()),
            ("phrases".to_string(), json!(phrases).to_string()),
        ]);
        let texts = captions.into_iter().map(|caption| caption.text).collect();
        Record::new(key(split, index), texts, self.picture(scene)).annotated(annotations)
    }

    /// The names of what is in the scene, each once, in order.
    pub fn tags(&self, scene: &Scene) -> Vec<&str> {
        let name = |sprite: usize| self.lexicon.sprites[sprite].name.as_str();
        let mut tags: Vec<&str> = scene.objects.iter().map(|object| name(object.sprite)).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    fn described(&self, scene: &Scene) -> serde_json::Value {
        let objects = scene.objects.iter().map(|object| {
            let size = self.config.size;
            json!({
                "name": self.lexicon.sprites[object.sprite].name,
                "colour": object.colour.word(),
                "shape": object.shape.word(),
                "size": object.size.word(),
                "upside_down": object.upside_down,
                "box": object.rect().in_pixels(size),
                "inside": object.around.map(|around| json!({
                    "outline": around.outline.word(),
                    "colour": around.colour.word(),
                    "box": object.around_rect().map(|rect| rect.in_pixels(size)),
                })),
            })
        });
        objects.collect()
    }
}

/// The key of a scene.
fn key(split: Split, index: u64) -> String {
    format!("{}-{index:06}", split.name())
}
