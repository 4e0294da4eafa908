//! The recipe: everything that decides a run, as one TOML file.

mod expected;
mod extended;
mod sections;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use weft_data::augment::Augment;
use weft_data::dataset::{Dataset, SourceConfig};
use weft_data::mask::MaskConfig;
use weft_data::packages;
use weft_data::pipeline::Pipeline;
use weft_data::preprocess::Preprocess;
use weft_data::regions::RegionShape;
use weft_data::tags::TagConfig;
use weft_data::tokenizer::Tokenizer;
use weft_model::{ModelConfig, TaskHeadConfig};
use weft_objectives::{Objectives, Task};
use weft_vision::{Grid, RegionsConfig};

use crate::checkpoint::{self, Checkpoint};
use crate::concepts::ConceptRecipe;
use crate::fine_tune;
use crate::overrides::{explain, parse_value, set};
use crate::stage::{Stage, StageConfig};

pub use expected::{Expected, Measured};
pub use sections::{
    CheckpointConfig, EvalConfig, OptimizerConfig, PreprocessConfig, StartConfig, TokenizerConfig,
    TrainConfig,
};

/// The recipes that come with weft.
const BUILT_IN: [(&str, &str); 15] = [
    ("quick", include_str!("../recipes/quick.toml")),
    ("quick-scenes", include_str!("../recipes/quick-scenes.toml")),
    ("quick-mamo", include_str!("../recipes/quick-mamo.toml")),
    ("quick-unimo3", include_str!("../recipes/quick-unimo3.toml")),
    ("quick-mvp", include_str!("../recipes/quick-mvp.toml")),
    ("quick-mvp-joint", include_str!("../recipes/quick-mvp-joint.toml")),
    ("pretrained", include_str!("../recipes/pretrained.toml")),
    ("small-mamo", include_str!("../recipes/small-mamo.toml")),
    ("small-unimo3", include_str!("../recipes/small-unimo3.toml")),
    ("small-mvp", include_str!("../recipes/small-mvp.toml")),
    ("base-mamo", include_str!("../recipes/base-mamo.toml")),
    ("base-unimo3", include_str!("../recipes/base-unimo3.toml")),
    ("base-mvp", include_str!("../recipes/base-mvp.toml")),
    ("base-mvp-regions", include_str!("../recipes/base-mvp-regions.toml")),
    ("base-mvp-joint", include_str!("../recipes/base-mvp-joint.toml")),
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

impl Recipe {
    /// Turns the fused kernels off if the recipe wants that.
    pub fn choose_kernels(&self) {
        if !self.train.fused {
            weft_kernels::set_fused(false);
        }
    }

    /// Reads a recipe: the name of one that comes with weft, or the path of a TOML file, which may say what it
    /// changes of another one (`extends`, `name`, `set`).
    pub fn open(name: &str) -> Result<Self> {
        let beside = Path::new(name).parent().unwrap_or(Path::new(""));
        extended::parse(&Self::text(name)?, beside).with_context(|| format!("recipe {name}"))
    }

    /// Names of the recipes that come with weft.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The text of a recipe that comes with weft, or of a file.
    fn text(name: &str) -> Result<String> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Ok(text.to_string());
        }
        if !Path::new(name).exists() {
            ensure!(
                !fine_tune::built_in().any(|built_in| built_in == name),
                "{name} is a fine-tuning recipe: name the run that it starts from with --from"
            );
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            bail!("no recipe {name}: neither a file nor one of {}", names.join(", "));
        }
        std::fs::read_to_string(name).with_context(|| name.to_string())
    }

    /// Reads a recipe that is written out from a TOML file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Parses and checks a recipe that is written out.
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

    /// The keys in which this recipe is not `wanted`, as `optimizer.lr is 0.1, expected 0.01`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be written as TOML.
    pub fn differences(&self, wanted: &Self) -> Result<Vec<String>> {
        let leaves = |recipe: &Self| -> Result<BTreeMap<String, Value>> {
            Ok(leaves(Value::Table(Table::try_from(recipe)?)))
        };
        let (found, wanted) = (leaves(self)?, leaves(wanted)?);
        let shown = |value: Option<&Value>| value.map_or("not set".to_string(), Value::to_string);
        let mut keys: Vec<&String> = found.keys().chain(wanted.keys()).collect();
        keys.sort();
        keys.dedup();
        let differing = keys.into_iter().filter(|key| found.get(*key) != wanted.get(*key));
        Ok(differing
            .map(|key| {
                let (is, expected) = (shown(found.get(key)), shown(wanted.get(key)));
                format!("{key} is {is}, expected {expected}")
            })
            .collect())
    }

    /// The same with the head that its MIM needs. A recipe without MIM keeps the head that stands in it:
    /// fine-tuning takes it over from the recipe that it goes on from.
    fn with_mim_head(mut self) -> Self {
        if let Some(mim) = &self.objectives.mim {
            self.model.mim_head = mim.head(&self.model.vision);
        }
        self
    }

    /// The task that the model is fine-tuned for, if it is.
    pub fn task(&self) -> Option<Task> {
        self.objectives.tasks().first().copied()
    }

    /// How training shows tags: not in fine-tuning, whose data have none.
    pub fn shown_tags(&self) -> Option<TagConfig> {
        let concepts = self.concepts.as_ref().filter(|_| self.task().is_none())?;
        concepts.tags.clone()
    }

    /// The tags that the model is shown outside training, if it is. Of a fine-tuned one: none.
    pub fn tags_at_test(&self) -> Option<TagConfig> {
        self.shown_tags().filter(|tags| tags.at_test)
    }

    /// Fails where the model is shown tags outside training, and a split of `dataset` has none at all.
    ///
    /// # Errors
    ///
    /// Names the split.
    pub fn check_tags(&self, dataset: &Dataset) -> Result<()> {
        match (&self.concepts, self.task()) {
            (Some(concepts), None) => concepts.check_tags(dataset),
            _ => Ok(()),
        }
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

    /// How the patches of a picture lie; nothing where the image encoder sees regions.
    pub fn patch_grid(&self) -> Option<Grid> {
        let vision = &self.model.vision;
        vision.regions.is_none().then(|| vision.grid())
    }

    /// How records reach the model outside training.
    pub fn pipeline(&self, tokenizer: Arc<Tokenizer>) -> Pipeline {
        Pipeline {
            tokenizer,
            preprocess: self.preprocessing(),
            augment: None,
            mask: self.mask.clone(),
            patch_size: self.model.vision.patch_size,
            regions: self
                .model
                .vision
                .regions
                .map(|RegionsConfig { features, most }| RegionShape { features, most }),
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
        Ok(match self.tokenizer_path()? {
            Some(path) => Tokenizer::load(&path)?.vocab_size(),
            None => self.tokenizer.vocab_size,
        })
    }

    /// The tokenizer that the recipe names, if it names one.
    ///
    /// # Errors
    ///
    /// When what the recipe starts from is not there.
    pub fn tokenizer_path(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = &self.start.checkpoint {
            let (_, checkpoint) = Checkpoint::locate(path)?;
            return Ok(Some(checkpoint.path().join(checkpoint::TOKENIZER)));
        }
        Ok(match (&self.tokenizer.path, &self.text.init) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(published)) => {
                let folder = packages::resolve(published).context("text.init")?;
                Some(folder.join("tokenizer.json"))
            }
            (None, None) => None,
        })
    }

    /// Fails where a tokenizer that has yet to learn will pad with another token than the model expects: known before
    /// a caption is read.
    ///
    /// # Errors
    ///
    /// Names the key and what it must be.
    pub fn check_padding(&self) -> Result<()> {
        let learned = Tokenizer::LEARNED_PAD_ID as usize;
        let Some(id) = self.model.text.padding_id.filter(|id| *id != learned) else {
            return Ok(());
        };
        ensure!(
            self.tokenizer_path()?.is_some(),
            "model.text.padding_id is {id}, but a tokenizer that learns from the captions pads with \
             {learned}; expected text.init or tokenizer.path, or model.text.padding_id = {learned}"
        );
        Ok(())
    }

    /// The head of the recipe's task before its data are read: of questions, with as many answers as there can be.
    pub fn head_at_most(&self) -> Option<TaskHeadConfig> {
        let (pictures, outputs) = match self.task()? {
            Task::Vqa => (1, self.objectives.vqa.as_ref()?.answers),
            Task::Nlvr2 => (2, 2),
            Task::Entailment => (1, 3),
            Task::Grounding => (1, 4),
        };
        Some(TaskHeadConfig { pictures, outputs, region: self.task()? == Task::Grounding })
    }

    /// How pictures reach the model outside training.
    pub fn preprocessing(&self) -> Preprocess {
        let PreprocessConfig { mean, std, crop, resize, interpolation } = self.preprocess.clone();
        // A recipe's pictures are square: `validate` sees to it.
        let size = self.model.vision.image_size.height;
        Preprocess { size, resize, crop, interpolation, mean, std, ..Preprocess::default() }
    }
}

/// What is in a tree, by its path; an empty table is a value, too.
fn leaves(tree: Value) -> BTreeMap<String, Value> {
    match tree {
        Value::Table(table) if !table.is_empty() => {
            let below = table.into_iter().flat_map(|(name, value)| {
                leaves(value).into_iter().map(move |(path, leaf)| match path.is_empty() {
                    true => (name.clone(), leaf),
                    false => (format!("{name}.{path}"), leaf),
                })
            });
            below.collect()
        }
        leaf => BTreeMap::from([(String::new(), leaf)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_recipes_parse_and_survive_a_round_trip() {
        for (name, _) in BUILT_IN {
            let recipe = Recipe::open(name).unwrap_or_else(|error| panic!("{error:#}"));
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
    fn differences_name_keys_and_both_values() {
        let recipe = Recipe::open("quick").unwrap();
        assert!(recipe.differences(&recipe).unwrap().is_empty());
        let other = ["train.steps=7", "objectives={itc={}}"].map(str::to_string);
        let found = recipe.with(&other).unwrap().differences(&recipe).unwrap();
        let steps = format!("train.steps is 7, expected {}", recipe.train.steps);
        assert!(found.contains(&steps), "{found:?}");
        let gone = |key: &str| found.iter().any(|line| line.starts_with(key));
        assert!(gone("objectives.mlm") && !gone("objectives.itc"), "{found:?}");
    }

    #[test]
    fn wrong_pairs_are_there_where_wpg_takes_them() {
        let recipe = Recipe::open("quick-mvp").unwrap();
        let of = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
            recipe.with(&keys).and_then(|recipe| recipe.validate())
        };
        let paired = "objectives.wpg.wrong=paired";
        of(&[paired]).unwrap();
        let alone = r#"stage=[{name="all", steps=3200, objectives=["itc", "wpg", "mlm", "mcr"]}]"#;
        let without = "objectives={itc={}, wpg={}, mlm={}, mcr={}}";
        of(&[without, alone]).unwrap();
        let error = of(&[without, paired, alone]).unwrap_err();
        assert!(error.to_string().contains("the wrong pairs of ITM"), "{error:#}");
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
            ("start={parts=[\"backbone.text\"]}", "needs start.checkpoint"),
            ("nothing", "table.key=value"),
        ] {
            let message = format!("{:#}", set(bad).unwrap_err());
            assert!(message.contains(expected), "{bad}: {message}");
        }
    }
}
