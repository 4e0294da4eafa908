//! Grids of recipes: which variants of a recipe are compared, and by what.

mod figures;
mod length;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use weft_eval::MetricName;

use crate::recipe::Recipe;

/// The grids that come with weft.
const BUILT_IN: [(&str, &str); 4] = [
    ("mamo-objectives", include_str!("../recipes/ablations/mamo-objectives.toml")),
    ("mamo-targets", include_str!("../recipes/ablations/mamo-targets.toml")),
    ("mvp-parts", include_str!("../recipes/ablations/mvp-parts.toml")),
    ("unimo3-connections", include_str!("../recipes/ablations/unimo3-connections.toml")),
];

/// The folder of what variants start from, and beside the grids of what several share.
pub const START: &str = "start";
pub const STARTS: &str = "starts";

/// What the seed of a start is above that of its variants: with the same one, variants would see the start's batches
/// again, with the captions and masks that were drawn then.
pub const START_SEED: u64 = 1000;

/// Variants of a recipe, each run with the same seeds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ablation {
    pub name: String,
    /// What all variants pre-train, but for what they set.
    pub recipe: String,
    /// Keys of the recipe that all variants set, before their own.
    #[serde(default)]
    pub set: Vec<String>,
    /// The same of what makes the grid as small as it is: sizes, steps, rates, data. Another recipe comes without.
    #[serde(default)]
    pub size: Vec<String>,
    pub seeds: Vec<u64>,
    /// What all variants start from, trained once for each seed.
    pub start: Option<Start>,
    /// Fine-tuning recipes that start from each pre-trained model; `name@other` from what the other, which
    /// stands before it, made of that.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Keys of the fine-tuning recipes that all `tasks` set, and those that belong to the grid's size.
    #[serde(default)]
    pub task_set: Vec<String>,
    #[serde(default)]
    pub task_size: Vec<String>,
    /// What of the pre-trained models is evaluated, as `weft eval --task` names it; fine-tuned ones are
    /// evaluated on their own task.
    pub evaluate: Vec<String>,
    /// The columns of the table, in order.
    pub metrics: Vec<MetricName>,
    /// Names of the rows that all others are compared with: the first in brackets behind the figures, each further one
    /// in a table of differences; by default the first row.
    #[serde(default)]
    pub against: Vec<String>,
    /// The rows.
    pub variants: Vec<Variant>,
}

/// The `[start]` table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Grids beside one another whose starts have the same name share its runs; without one, the start is
    /// this grid's alone.
    pub name: Option<String>,
    /// What is trained.
    pub recipe: String,
    /// Keys that it sets, and those that belong to the grid's size.
    #[serde(default)]
    pub set: Vec<String>,
    #[serde(default)]
    pub size: Vec<String>,
    /// What the variants take of it: beginnings of parameters' paths; without any the whole model.
    #[serde(default)]
    pub parts: Vec<String>,
}

impl Start {
    /// All keys that it sets.
    pub fn settings(&self) -> Vec<String> {
        [&self.size[..], &self.set].concat()
    }

    /// What is trained for the variants of `seed`.
    ///
    /// # Errors
    ///
    /// When the base is unknown, or a key does not exist or has an impossible value.
    pub fn recipe_of(&self, seed: u64) -> Result<Recipe> {
        let recipe = Recipe::open(&self.recipe)?.with(&self.settings())?;
        Ok(Recipe { seed: START_SEED + seed, ..recipe })
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    /// Where its runs are if another grid has the same: `grid/variant`, as folders. Whichever grid comes first
    /// makes them.
    pub run: Option<String>,
    /// Keys of the recipe, as in `model.fusion.transformer.depth=2`.
    pub set: Vec<String>,
}

impl Ablation {
    /// Names of the grids that come with weft.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The grid `name`: one that comes with weft, or the path of a TOML file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a variant makes no recipe.
    pub fn open(name: &str) -> Result<Self> {
        let built_in = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
        let text = match built_in {
            Some((_, text)) => text.to_string(),
            None if Path::new(name).exists() => {
                std::fs::read_to_string(name).with_context(|| name.to_string())?
            }
            None => {
                let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                bail!("no ablation {name}: neither a file nor one of {}", names.join(", "));
            }
        };
        let ablation: Self = toml::from_str(&text).with_context(|| format!("ablation {name}"))?;
        ablation.check().with_context(|| format!("ablation {name}"))?;
        Ok(ablation)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.variants.is_empty(), "variants: at least one is needed");
        ensure!(!self.seeds.is_empty(), "seeds: at least one is needed");
        for (at, variant) in self.variants.iter().enumerate() {
            let name = variant.folder();
            let folder = |variant: &Variant| self.folder(variant, Path::new(&self.name));
            let others = &self.variants[..at];
            let twice = others
                .iter()
                .any(|other| other.folder() == name || folder(other) == folder(variant));
            ensure!(
                !twice && !name.is_empty(),
                "variants: {:?} needs a name and runs of its own",
                variant.name
            );
            ensure!(
                variant.run.is_none() || self.start.as_ref().is_none_or(|s| s.name.is_some()),
                "variants: the start of {:?}, whose run another grid shares, needs a name, too",
                variant.name
            );
            let recipe = self.recipe_of(variant)?;
            length::check_warm_up(&recipe)
                .with_context(|| format!("variant {:?}", variant.name))?;
            ensure!(variant.folder() != START, "variants: {START:?} is where the start is kept");
        }
        if let Some(start) = &self.start {
            start.recipe_of(0).and_then(|recipe| recipe.validate()).context("start")?;
        }
        self.check_against()?;
        self.check_metrics()
    }

    /// Fails where what rows are compared with is none of them, or named twice.
    fn check_against(&self) -> Result<()> {
        for (at, name) in self.against.iter().enumerate() {
            let names: Vec<&str> = self.variants.iter().map(|row| row.name.as_str()).collect();
            ensure!(
                names.contains(&name.as_str()),
                "against: no variant {name:?}; expected one of {}",
                names.join(", ")
            );
            ensure!(!self.against[..at].contains(name), "against: {name:?} is there twice");
        }
        Ok(())
    }

    /// Where what the variants start from lies, with the grid itself in `out`.
    pub fn start_folder(&self, out: &Path) -> Option<PathBuf> {
        let start = self.start.as_ref()?;
        Some(match &start.name {
            Some(name) => beside(out, Path::new(STARTS).join(name)),
            None => out.join(START),
        })
    }

    /// Where the runs of `variant` lie, with the grid itself in `out`.
    pub fn folder(&self, variant: &Variant, out: &Path) -> PathBuf {
        match &variant.run {
            Some(run) => beside(out, run.into()),
            None => out.join(variant.folder()),
        }
    }

    /// What a variant sets, the grid's keys before its own.
    pub fn settings(&self, variant: &Variant) -> Vec<String> {
        [&self.size[..], &self.set, &variant.set].concat()
    }

    /// What all tasks set.
    pub fn task_settings(&self) -> Vec<String> {
        [&self.task_size[..], &self.task_set].concat()
    }

    /// The recipe of a variant.
    ///
    /// # Errors
    ///
    /// When the base is unknown, or a key does not exist or has an impossible value.
    pub fn recipe_of(&self, variant: &Variant) -> Result<Recipe> {
        let recipe = Recipe::open(&self.recipe)?.with(&self.settings(variant));
        let recipe = recipe.with_context(|| format!("variant {:?}", variant.name))?;
        recipe.validate().with_context(|| format!("variant {:?}", variant.name))?;
        Ok(recipe)
    }
}

/// The recipe without what changes nothing in the model that a run ends with: how its data are prepared ahead, what
/// is logged and kept, what a run is expected to give.
pub fn essence(recipe: Recipe) -> Recipe {
    let mut recipe = Recipe { expected: None, ..recipe };
    let train = &mut recipe.train;
    (train.workers, train.queue, train.keep_last) = (1, 1, 1);
    (train.log_every, train.checkpoint_every, train.collapse_below) = (1, 1, None);
    recipe
}

/// What lies beside `folder`.
fn beside(folder: &Path, path: PathBuf) -> PathBuf {
    folder.parent().unwrap_or(Path::new("")).join(path)
}

impl Variant {
    /// The name, fit for a folder.
    pub fn folder(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        let words: String = self.name.chars().map(plain).collect();
        words.split_whitespace().collect::<Vec<_>>().join("-")
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn every_built_in_can_be_run() {
        for (name, _) in BUILT_IN {
            let ablation = Ablation::open(name).unwrap();
            assert_eq!(ablation.name, name);
            assert!(ablation.seeds.len() >= 3);
            assert!(!ablation.metrics.is_empty());
        }
    }

    #[test]
    fn connections_are_compared_at_equal_parameters() {
        let ablation = Ablation::open("unimo3-connections").unwrap();
        let counts: Vec<usize> = ablation
            .variants
            .iter()
            .map(|variant| {
                let recipe = ablation.recipe_of(variant).unwrap();
                let model = recipe.model.blank(recipe.tokenizer.vocab_size, &Device::flex());
                model.unwrap().num_params()
            })
            .collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*most as f64 <= 1.01 * *least as f64, "{counts:?}");
    }

    #[test]
    fn targets_of_mim_differ_in_the_target_alone() {
        let ablation = Ablation::open("mamo-targets").unwrap();
        let heads: Vec<(usize, usize)> = ablation
            .variants
            .iter()
            .map(|variant| {
                let mut recipe = ablation.recipe_of(variant).unwrap();
                let head = recipe.model.mim_head.take().map_or((0, 64), |h| (h.depth, h.output));
                let all = ablation.recipe_of(&ablation.variants[2]).unwrap();
                recipe.objectives.mim.clone_from(&all.objectives.mim);
                assert_eq!(recipe, all, "{}", variant.name);
                head
            })
            .collect();
        assert_eq!(heads, [(0, 768), (0, 512), (0, 64), (2, 64)]);
    }

    #[test]
    fn housekeeping_is_not_of_the_essence() {
        let recipe = Recipe::open("quick").unwrap();
        let of = |key: &str| essence(recipe.with(&[key.to_string()]).unwrap());
        let own = essence(recipe.clone());
        for key in ["train.workers=3", "train.checkpoint_every=7", "train.log_every=9"] {
            assert_eq!(of(key), own, "{key}");
        }
        for key in ["train.steps=7", "optimizer.lr=0.5", "objectives={itc={}}"] {
            assert_ne!(of(key), own, "{key}");
        }
    }

    #[test]
    fn shared_runs_lie_beside_the_grid() {
        let grid = Ablation::open("mamo-targets").unwrap();
        let out = Path::new("runs/ablations/mamo-targets");
        let shared = grid.variants.iter().find(|variant| variant.run.is_some()).unwrap();
        assert_eq!(grid.folder(shared, out), Path::new("runs/ablations/mamo-objectives/all"));
        assert_eq!(grid.folder(&grid.variants[0], out), out.join("pixels"));
        // Whoever makes the run makes the same one.
        let other = Ablation::open("mamo-objectives").unwrap();
        let all = other.variants.iter().find(|variant| variant.folder() == "all").unwrap();
        assert_eq!(other.recipe_of(all).unwrap(), grid.recipe_of(shared).unwrap());
        assert_eq!((&other.start, other.start_folder(out)), (&grid.start, None));
        let grid = Ablation::open("unimo3-connections").unwrap();
        let start = grid.start_folder(out).unwrap();
        assert_eq!(start, Path::new("runs/ablations/starts/pictures-and-words"));
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let of = |text: &str| -> Result<Ablation> {
            let ablation: Ablation = toml::from_str(text)?;
            ablation.check()?;
            Ok(ablation)
        };
        let head = "name=\"x\"\nrecipe=\"quick\"\nseeds=[0]\nevaluate=[]\nmetrics=[]\n";
        let error =
            of(&format!("{head}[[variants]]\nname=\"a\"\nset=[\"train.step=1\"]")).unwrap_err();
        assert!(format!("{error:#}").contains("steps"), "{error:#}");
        let twice = "[[variants]]\nname=\"+ A\"\nset=[]\n[[variants]]\nname=\"a\"\nset=[]\n";
        let error = of(&format!("{head}{twice}")).unwrap_err();
        assert!(format!("{error:#}").contains("a name and runs of its own"), "{error:#}");
        let shared = "[start]\nrecipe=\"quick\"\n[[variants]]\nname=\"a\"\nrun=\"y/b\"\nset=[]\n";
        let error = of(&format!("{head}{shared}")).unwrap_err();
        assert!(format!("{error:#}").contains("needs a name, too"), "{error:#}");
        let one = "[[variants]]\nname=\"a\"\nset=[]\n";
        for (against, expected) in [("\"b\"", "expected one of a"), ("\"a\", \"a\"", "twice")] {
            let error = of(&format!("{head}against=[{against}]\n{one}")).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
        assert!(Ablation::open("nothing").unwrap_err().to_string().contains("mamo-objectives"));
    }
}
