//! Which runs of a grid its metrics are asked of, and on which splits.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use weft_eval::MetricName;

use super::Ablation;
use crate::fine_tune::fine_tune_of;
use crate::recipe::Recipe;
use crate::tasks::own_task;

impl Ablation {
    /// The splits on which metrics ask `evaluated`, one of `evaluate`.
    pub fn splits(&self, evaluated: &str) -> Vec<String> {
        self.splits_where(|metric| is_of(metric, evaluated))
    }

    /// The splits on which metrics ask what is fine-tuned by `recipe`; none where they do not ask it at all.
    pub fn tuned_splits(&self, recipe: &Recipe) -> Vec<String> {
        let own = own_task(recipe);
        self.splits_where(|metric| metric.task == own)
    }

    fn splits_where(&self, wanted: impl Fn(&MetricName) -> bool) -> Vec<String> {
        let metrics = self.metrics.iter().filter(|metric| wanted(metric));
        let splits: BTreeSet<&String> = metrics.map(|metric| &metric.split).collect();
        splits.into_iter().cloned().collect()
    }

    /// The whole recipe of fine-tuning `task`, one of `tasks`, for a model of `base`; where that lies is left open.
    ///
    /// # Errors
    ///
    /// When the two make no recipe together.
    pub fn fine_tuning(&self, task: &str, base: &Recipe) -> Result<Recipe> {
        let (name, _) = task.split_once('@').unwrap_or((task, ""));
        fine_tune_of(name, base, Path::new(""))?.with(&self.task_settings())
    }

    /// Fails where a metric is of no run of the grid, or of several: found out after training, it would cost that.
    pub(super) fn check_metrics(&self) -> Result<()> {
        let base = self.recipe_of(&self.variants[0])?;
        let mut tuned = Vec::with_capacity(self.tasks.len());
        for task in &self.tasks {
            let recipe = self.fine_tuning(task, &base).with_context(|| format!("task {task}"))?;
            tuned.push((task, own_task(&recipe)));
        }
        for metric in &self.metrics {
            let evaluated = self.evaluate.iter().filter(|name| is_of(metric, name));
            let own = tuned.iter().filter(|(_, own)| *own == metric.task).map(|(task, _)| *task);
            let sources: Vec<&String> = evaluated.chain(own).collect();
            let name = String::from(metric.clone());
            match sources[..] {
                [_] => {}
                [] => bail!(
                    "metrics: {name}: expected a task of evaluate ({}) or of what is fine-tuned ({})",
                    self.evaluate.join(", "),
                    tuned.iter().map(|(_, own)| own.as_str()).collect::<Vec<_>>().join(", ")
                ),
                [first, second, ..] => bail!(
                    "metrics: {name}: expected one run that has it, and {first} and {second} both do"
                ),
            }
        }
        Ok(())
    }
}

/// Whether `metric` is a figure of what `weft eval --task` calls `evaluated`.
fn is_of(metric: &MetricName, evaluated: &str) -> bool {
    // The probes of attributes have a result for each of them.
    let attribute = evaluated == "attributes" && metric.task.starts_with("attribute: ");
    attribute || evaluated.replace('-', "_") == metric.task
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_is_evaluated_on_the_splits_of_its_metrics() {
        let grid = Ablation::open("mamo-objectives").unwrap();
        assert_eq!(grid.splits("retrieval"), ["test_pairs", "test_seen"]);
        assert_eq!(grid.splits("contrast"), ["test_seen"]);
        let grid = Ablation::open("unimo3-connections").unwrap();
        assert_eq!(tuned_splits(&grid), [["test_pairs", "test_seen"]]);
    }

    fn tuned_splits(grid: &Ablation) -> Vec<Vec<String>> {
        let base = grid.recipe_of(&grid.variants[0]).unwrap();
        let recipe = |task: &String| grid.fine_tuning(task, &base).unwrap();
        grid.tasks.iter().map(|task| grid.tuned_splits(&recipe(task))).collect()
    }

    /// A grid with models that are fine-tuned by `tasks`, and `metrics`.
    fn grid(tasks: &str, metrics: &str) -> Result<Ablation> {
        let text = format!(
            "name=\"x\"\nrecipe=\"quick-scenes\"\nseeds=[0]\nevaluate=[\"retrieval\", \"attributes\"]\n\
             tasks=[{tasks}]\nmetrics=[{metrics}]\n[[variants]]\nname=\"a\"\nset=[]\n"
        );
        let grid: Ablation = toml::from_str(&text)?;
        grid.check()?;
        Ok(grid)
    }

    #[test]
    fn each_fine_tuned_model_is_asked_for_its_own_splits() {
        let all = "\"retrieval/test_seen/i2t_r1\", \"attribute: size/test_sprites/probe_top1\", \
                   \"vqa/test_pairs/accuracy\", \"grounding/test_seen/accuracy\", \
                   \"retrieval, fine-tuned/test_counts/i2t_r1\"";
        let tasks = "\"scenes-vqa\", \"scenes-nlvr2\", \"scenes-grounding@scenes-vqa\", \
                     \"scenes-retrieval\"";
        let grid = grid(tasks, all).unwrap();
        let none: [&str; 0] = [];
        assert_eq!(grid.splits("retrieval"), ["test_seen"]);
        assert_eq!(grid.splits("attributes"), ["test_sprites"]);
        let found = tuned_splits(&grid);
        assert_eq!(found[0], ["test_pairs"]);
        assert_eq!(found[1], none);
        assert_eq!(found[2], ["test_seen"]);
        assert_eq!(found[3], ["test_counts"]);
    }

    #[test]
    fn a_metric_is_of_one_run() {
        let refused = |tasks: &str, metrics: &str, expected: &str| {
            let error = format!("{:#}", grid(tasks, metrics).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        let vqa = "\"vqa/test_seen/accuracy\"";
        refused("\"scenes-nlvr2\"", vqa, "fine-tuned (nlvr2)");
        let twice = "\"scenes-vqa\", \"easy-vqa\"";
        refused(twice, vqa, "scenes-vqa and easy-vqa both do");
        refused("", "\"contrast/test_seen/group\"", "evaluate (retrieval, attributes)");
        assert!(grid(twice, "").is_ok(), "nothing is asked of them");
    }
}
