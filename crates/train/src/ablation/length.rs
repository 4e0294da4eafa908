//! A grid at another size: of another recipe, of another length.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Ablation, Variant};
use crate::recipe::Recipe;
use crate::stage::StageConfig;

impl Ablation {
    /// The same grid from another base recipe, and `steps` long; by default as long as that recipe, or as it is: so
    /// long is the longest variant, and others, stages, and with `steps` the warm-up keep their shares.
    ///
    /// # Errors
    ///
    /// When that recipe is unknown, or a variant makes no recipe with it, or none that leaves its warm-up.
    pub fn at(mut self, recipe: Option<&str>, steps: Option<u64>) -> Result<Self> {
        if let Some(name) = recipe {
            self.base_on(name)?;
        }
        if let Some(steps) = steps {
            self.stretch(steps)?;
        }
        if recipe.is_some() || steps.is_some() {
            self.check().with_context(|| format!("ablation {}", self.name))?;
        }
        Ok(self)
    }

    /// Steps of the longest variant.
    fn longest(&self) -> Result<u64> {
        let steps = self.variants.iter().map(|variant| Ok(self.recipe_of(variant)?.train.steps));
        let steps: Vec<u64> = steps.collect::<Result<_>>()?;
        Ok(steps.into_iter().max().unwrap_or(1))
    }

    /// Puts `recipe` in the place of the grid's and of its start's, and makes the longest variant as long as that. The
    /// runs are others, and lie elsewhere.
    fn base_on(&mut self, recipe: &str) -> Result<()> {
        let base = Recipe::open(recipe)?;
        let factor = base.train.steps as f64 / self.longest()? as f64;
        let lengths = self.variants.iter().map(|variant| {
            let own = self.recipe_of(variant)?;
            let steps = scaled(own.train.steps, factor);
            Ok(match self.sets_stages(variant) {
                true => lengths(steps, &own.stages, factor),
                // Those of the recipe that the grid leaves are not this one's.
                false => lengths(steps, &base.stages, steps as f64 / base.train.steps as f64),
            })
        });
        let lengths: Vec<_> = lengths.collect::<Result<_>>()?;
        for (variant, lengths) in self.variants.iter_mut().zip(lengths) {
            variant.set.extend(lengths);
        }
        self.rename(recipe);
        Ok(())
    }

    /// Whether `variant` has stages of the grid's or its own, whatever the recipe's are. Those among the grid's sizes
    /// go with them.
    fn sets_stages(&self, variant: &Variant) -> bool {
        let mut keys = self.set.iter().chain(&variant.set);
        keys.any(|key| key.split_once('=').is_some_and(|(path, _)| path.trim() == "stage"))
    }

    fn rename(&mut self, recipe: &str) {
        let stem = Path::new(recipe).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name = format!("{}-{stem}", self.name);
        self.recipe = recipe.to_string();
        self.size.clear();
        self.task_size.clear();
        if let Some(start) = &mut self.start {
            start.recipe = recipe.to_string();
            start.size.clear();
            start.name = start.name.as_ref().map(|name| format!("{name}-{stem}"));
        }
        for variant in &mut self.variants {
            let run = variant.run.as_ref().and_then(|run| run.split_once('/'));
            variant.run = run.map(|(grid, row)| format!("{grid}-{stem}/{row}"));
        }
    }

    /// Makes the longest variant `steps` long, and the others, all stages and warm-ups by the same factor longer or
    /// shorter: with the warm-up of a long run a short one would never leave it.
    fn stretch(&mut self, steps: u64) -> Result<()> {
        let factor = steps as f64 / self.longest()? as f64;
        let sets = self.variants.iter().map(|variant| {
            let recipe = self.recipe_of(variant)?;
            let mut set = lengths(scaled(recipe.train.steps, factor), &recipe.stages, factor);
            if recipe.optimizer.warmup_steps > 0 {
                let warm_up = scaled(recipe.optimizer.warmup_steps, factor);
                set.push(format!("optimizer.warmup_steps={warm_up}"));
            }
            Ok(set)
        });
        let sets: Vec<_> = sets.collect::<Result<_>>()?;
        for (variant, set) in self.variants.iter_mut().zip(sets) {
            variant.set.extend(set);
        }
        Ok(())
    }
}

/// Fails where a run of `recipe` ends before its warm-up does.
pub(super) fn check_warm_up(recipe: &Recipe) -> Result<()> {
    let (warm_up, steps) = (recipe.optimizer.warmup_steps, recipe.train.steps);
    ensure!(
        warm_up < steps,
        "optimizer.warmup_steps is {warm_up} and train.steps {steps}; expected a warm-up that ends before the run"
    );
    Ok(())
}

fn scaled(steps: u64, factor: f64) -> u64 {
    ((steps as f64 * factor).round() as u64).max(1)
}

/// The keys that make a run `steps` long, and `stages` by `factor` as long as they are; the last one takes what
/// rounding leaves.
fn lengths(steps: u64, stages: &[StageConfig], factor: f64) -> Vec<String> {
    let mut left = steps;
    let mut set = vec![format!("train.steps={steps}")];
    if let Some((last, first)) = stages.split_last() {
        let mut tables = Vec::with_capacity(stages.len());
        for stage in first {
            let steps = scaled(stage.steps, factor);
            left = left.saturating_sub(steps);
            tables.push(table(stage, steps));
        }
        tables.push(table(last, left));
        set.push(format!("stage=[{}]", tables.join(", ")));
    }
    set
}

/// `stage` with other `steps`, in TOML's notation.
fn table(stage: &StageConfig, steps: u64) -> String {
    format!(
        "{{name={:?}, steps={steps}, objectives={:?}, freeze={:?}}}",
        stage.name, stage.objectives, stage.freeze
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of the run, of its stages and of its warm-up.
    fn steps(grid: &Ablation, name: &str) -> (u64, Vec<u64>, u64) {
        let variant = grid.variants.iter().find(|variant| variant.name == name).unwrap();
        let recipe = grid.recipe_of(variant).unwrap();
        let stages = recipe.stages.iter().map(|stage| stage.steps).collect();
        (recipe.train.steps, stages, recipe.optimizer.warmup_steps)
    }

    #[test]
    fn a_longer_grid_keeps_the_shares_of_stages_and_warm_up() {
        let grid = Ablation::open("mvp-parts").unwrap();
        assert_eq!(steps(&grid, "whole"), (1800, vec![200, 1600], 50));
        let short = grid.clone().at(None, Some(90)).unwrap();
        // 2.5 steps of warm-up.
        assert_eq!(steps(&short, "whole"), (90, vec![10, 80], 3));
        assert_eq!(steps(&short, "without MCR"), (80, vec![], 3));
        assert_eq!(steps(&short, "one stage"), (90, vec![], 3));
        assert_eq!(short.name, "mvp-parts");
        assert_eq!(steps(&grid.clone().at(None, Some(18)).unwrap(), "whole").2, 1);
        let error = format!("{:#}", grid.clone().at(None, Some(1)).unwrap_err());
        assert!(error.contains("steps"), "{error}");
        // As long as it is, it is the same runs.
        let again = grid.clone().at(None, Some(1800)).unwrap();
        for (variant, other) in grid.variants.iter().zip(&again.variants) {
            assert_eq!(grid.recipe_of(variant).unwrap(), again.recipe_of(other).unwrap());
        }
    }

    #[test]
    fn a_grid_of_another_recipe_has_its_size() {
        for (name, recipe) in [
            ("mamo-objectives", "small-mamo"),
            ("mamo-targets", "base-mamo"),
            ("unimo3-connections", "small-unimo3"),
            ("mvp-parts", "small-mvp"),
        ] {
            let base = Recipe::open(recipe).unwrap();
            let grid = Ablation::open(name).unwrap().at(Some(recipe), None).unwrap();
            assert_eq!(grid.name, format!("{name}-{recipe}"));
            let whole = grid.recipe_of(&grid.variants[0]).unwrap();
            assert_eq!(whole.train.steps, base.train.steps, "{name}");
            assert_eq!(whole.optimizer.warmup_steps, base.optimizer.warmup_steps, "{name}");
            assert_eq!(whole.model.vision, base.model.vision, "{name}");
            assert_eq!(whole.data, base.data, "{name}");
            if let Some(start) = &grid.start {
                let start = start.recipe_of(0).unwrap();
                assert_eq!(start.model.text, base.model.text, "{name}");
            }
        }
        let targets = Ablation::open("mamo-targets").unwrap().at(Some("small-mamo"), None).unwrap();
        assert_eq!(targets.variants[2].run.as_deref(), Some("mamo-objectives-small-mamo/all"));
        let parts = Ablation::open("mvp-parts").unwrap().at(Some("small-mvp"), None).unwrap();
        assert_eq!(steps(&parts, "whole"), (40_000, vec![4444, 35_556], 1000));
    }

    const SMALL: &str = r#"
        name = "x"
        recipe = "quick-mvp"
        size = [
            "train.steps=100",
            """stage=[{name="a", steps=50, objectives=["mcr"]},
                {name="b", steps=50, objectives=["itc", "wpg", "itm", "mlm", "mcr"]}]""",
        ]
        seeds = [0]
        evaluate = []
        metrics = []
        [[variants]]
        name = "of the recipe"
        set = []
        [[variants]]
        name = "its own"
        set = ["""stage=[{name="a", steps=20, objectives=["mcr"]},
            {name="b", steps=80, objectives=["itc", "wpg", "itm", "mlm", "mcr"]}]"""]
    "#;

    #[test]
    fn another_recipe_brings_its_own_stages() {
        let grid: Ablation = toml::from_str(SMALL).unwrap();
        let base = Recipe::open("small-mvp").unwrap();
        let whole = grid.clone().at(Some("small-mvp"), None).unwrap();
        assert_eq!(whole.recipe_of(&whole.variants[0]).unwrap().stages, base.stages);
        assert_eq!(steps(&whole, "its own"), (40_000, vec![8000, 32_000], 1000));
        let short = grid.at(Some("small-mvp"), Some(400)).unwrap();
        assert_eq!(steps(&short, "of the recipe"), (400, vec![100, 300], 10));
        assert_eq!(steps(&short, "its own"), (400, vec![80, 320], 10));
    }

    #[test]
    fn a_run_leaves_its_warm_up() {
        let warm = SMALL
            .replace("\"train.steps=100\"", "\"train.steps=100\", \"optimizer.warmup_steps=100\"");
        let grid: Ablation = toml::from_str(&warm).unwrap();
        let error = format!("{:#}", grid.check().unwrap_err());
        assert!(error.contains("warmup_steps is 100 and train.steps 100"), "{error}");
    }
}
