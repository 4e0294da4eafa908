//! Stages of a run: what is learnt when.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use burn::module::Module;
use serde::{Deserialize, Serialize};
use weft_objectives::Objectives;

use crate::parameters::{Parameters, is_in};

/// A `[[stage]]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    pub name: String,
    pub steps: u64,
    /// Which of the recipe's objectives are computed.
    pub objectives: Vec<String>,
    /// What stays as it is: beginnings of parameters' paths, as in `backbone.vision`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

/// A stage with its place in the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Empty where the recipe has no stages.
    pub name: String,
    /// Its steps, counted from 0.
    pub steps: Range<u64>,
    pub objectives: Objectives,
    pub freeze: Vec<String>,
}

impl Stage {
    /// The stages of a run of `steps` steps; one with all objectives where none are configured.
    ///
    /// # Errors
    ///
    /// Where a stage has no steps, names an objective that is not in `objectives`, or the stages do not
    /// add up to `steps`; where an objective is in no stage.
    pub fn all(configs: &[StageConfig], objectives: &Objectives, steps: u64) -> Result<Vec<Self>> {
        if configs.is_empty() {
            let (name, freeze) = (String::new(), Vec::new());
            let objectives = objectives.clone();
            return Ok(vec![Self { name, steps: 0..steps, objectives, freeze }]);
        }
        let mut stages = Vec::with_capacity(configs.len());
        let mut first = 0;
        for config in configs {
            let StageConfig { name, steps, objectives: names, freeze } = config.clone();
            ensure!(steps > 0, "stage {name}: steps must be at least 1");
            let objectives = only(objectives, &names).with_context(|| format!("stage {name}"))?;
            stages.push(Self { name, steps: first..first + steps, objectives, freeze });
            first += steps;
        }
        ensure!(first == steps, "the stages have {first} steps, train.steps is {steps}");
        for objective in objectives.build() {
            let name = objective.name();
            let used = configs.iter().any(|stage| stage.objectives.iter().any(|n| n == name));
            ensure!(used, "objectives.{name} is in no stage");
        }
        Ok(stages)
    }

    /// Whether the parameter at `path` stays as it is.
    pub fn freezes(&self, path: &str) -> bool {
        self.freeze.iter().any(|part| is_in(path, part))
    }

    /// Fails where a beginning of paths in `freeze` is that of no parameter of `module`.
    pub fn check_freeze<M: Module>(&self, module: &mut M) -> Result<()> {
        let mut parameters = Parameters::take(module);
        let paths: Vec<String> = parameters.iter_mut().map(|(path, _)| path.to_owned()).collect();
        parameters.put(module);
        let unknown = self.freeze.iter().find(|part| !paths.iter().any(|path| is_in(path, part)));
        match unknown {
            None => Ok(()),
            Some(part) => {
                bail!("stage {}: freeze: no parameter's path begins with {part:?}", self.name)
            }
        }
    }
}

/// Those of `objectives` that `names` names.
fn only(objectives: &Objectives, names: &[String]) -> Result<Objectives> {
    let mut all = toml::Table::try_from(objectives)?;
    let known: Vec<String> = all.keys().cloned().collect();
    for name in names {
        ensure!(known.contains(name), "objective {name:?}: the recipe has {}", known.join(", "));
    }
    ensure!(!names.is_empty(), "at least one objective is needed");
    all.retain(|name, _| names.iter().any(|wanted| wanted == name));
    Ok(all.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objectives() -> Objectives {
        toml::from_str("[itc]\n[mlm]\nweight = 2.0").unwrap()
    }

    fn stage(name: &str, steps: u64, objectives: &[&str]) -> StageConfig {
        let objectives = objectives.iter().map(|name| name.to_string()).collect();
        StageConfig { name: name.into(), steps, objectives, freeze: vec!["backbone.vision".into()] }
    }

    #[test]
    fn stages_follow_one_another_with_their_own_objectives() {
        let configs = [stage("first", 3, &["mlm"]), stage("second", 4, &["itc", "mlm"])];
        let stages = Stage::all(&configs, &objectives(), 7).unwrap();
        assert_eq!([stages[0].steps.clone(), stages[1].steps.clone()], [0..3, 3..7]);
        assert_eq!(stages[0].objectives, toml::from_str("[mlm]\nweight = 2.0").unwrap());
        assert_eq!(stages[1].objectives, objectives());
        assert!(stages[0].freezes("backbone.vision.stack.norm"));
        assert!(!stages[0].freezes("backbone.visionary"));
    }

    #[test]
    fn without_stages_there_is_one() {
        let stages = Stage::all(&[], &objectives(), 7).unwrap();
        assert_eq!(stages.len(), 1);
        assert_eq!((stages[0].steps.clone(), &stages[0].objectives), (0..7, &objectives()));
    }

    #[test]
    fn what_does_not_add_up_is_named() {
        let of = |configs: &[StageConfig]| {
            format!("{:#}", Stage::all(configs, &objectives(), 7).unwrap_err())
        };
        assert!(of(&[stage("a", 6, &["itc", "mlm"])]).contains("6 steps, train.steps is 7"));
        assert!(of(&[stage("a", 7, &["itc"])]).contains("objectives.mlm is in no stage"));
        assert!(of(&[stage("a", 7, &["itm"])]).contains("stage a: objective \"itm\""));
        assert!(of(&[stage("a", 0, &["itc"])]).contains("at least 1"));
        assert!(of(&[stage("a", 7, &[])]).contains("at least one objective"));
    }
}
