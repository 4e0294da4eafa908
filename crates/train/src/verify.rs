//! Holding a run to what its recipe says that runs give.

use anyhow::{Context, Result, ensure};

use crate::recipe::{Measured, Recipe};
use crate::report::Summary;

/// One metric of a run beside what the recipe expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// `<split>.<metric>`
    pub name: String,
    pub expected: Measured,
    pub found: f64,
}

impl Verdict {
    /// Whether the run is no worse than the worst run of the recipe's seeds, less the tolerance.
    pub fn holds(&self) -> bool {
        self.found >= self.expected.min - self.expected.tolerance
    }
}

/// Compares each metric that `recipe` expects.
///
/// # Errors
///
/// When the recipe expects nothing, or the run was not measured in a metric that it expects.
pub fn verify(recipe: &Recipe, summary: &Summary) -> Result<Vec<Verdict>> {
    let expected = recipe
        .expected
        .as_ref()
        .with_context(|| format!(
                "recipe {} has no [expected] table (nor has a run whose keys are not all those of its recipe)",
                recipe.name
            ))?;
    ensure!(!expected.metrics.is_empty(), "recipe {}: [expected] has no metric", recipe.name);
    let verdict = |(name, measured): (&String, &Measured)| {
        let (split, metric) = name
            .split_once('.')
            .with_context(|| format!("[expected] {name:?}: expected \"<split>.<metric>\""))?;
        let found = summary
            .metrics
            .get(split)
            .and_then(|metrics| metrics.get(metric))
            .with_context(|| format!("the run has no {metric} on {split}"))?;
        Ok(Verdict { name: name.clone(), expected: measured.clone(), found: *found })
    };
    expected.metrics.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(value: f64) -> Summary {
        let metrics = [("test".to_string(), [("t2i_r1".to_string(), value)].into())].into();
        Summary {
            recipe: "quick".into(),
            seed: 0,
            steps: 1,
            seconds: 1.0,
            samples_per_second: 1.0,
            data_wait_fraction: 0.0,
            peak_rss_mib: 1,
            commits: Vec::new(),
            best: None,
            chance: Default::default(),
            metrics,
        }
    }

    fn recipe(name: &str) -> Recipe {
        let mut recipe = Recipe::open("quick").unwrap();
        let measured = Measured { mean: 40.0, min: 38.0, max: 42.0, tolerance: 3.0 };
        recipe.expected = Some(crate::recipe::Expected {
            seeds: vec![0],
            seconds: 1.0,
            machine: "a test".into(),
            metrics: [(name.to_string(), measured)].into(),
        });
        recipe
    }

    #[test]
    fn a_run_holds_down_to_the_tolerance() {
        let holds = |found| verify(&recipe("test.t2i_r1"), &summary(found)).unwrap()[0].holds();
        assert!(holds(50.0) && holds(38.0) && holds(35.0));
        assert!(!holds(34.9));
    }

    #[test]
    fn what_was_not_measured_is_an_error() {
        let message = |recipe| format!("{:#}", verify(&recipe, &summary(1.0)).unwrap_err());
        assert!(message(recipe("test.vqa")).contains("no vqa on test"));
        assert!(message(recipe("nothing")).contains("<split>.<metric>"));
        let mut silent = recipe("test.t2i_r1");
        silent.expected = None;
        assert!(message(silent).contains("no [expected] table"));
    }
}
