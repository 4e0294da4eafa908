//! The name of a figure, and where it is among the results of a run.

use serde::{Deserialize, Serialize};

use crate::{Answerer, TaskResult};

/// A figure of an evaluation, written `task/split/metric` in a grid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetricName {
    pub task: String,
    pub split: String,
    pub metric: String,
}

impl TryFrom<String> for MetricName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [task, split, metric] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self { task: task.into(), split: split.into(), metric: metric.into() })
            }
            _ => Err(format!("metric {text:?}: expected task/split/metric")),
        }
    }
}

impl From<MetricName> for String {
    fn from(name: MetricName) -> String {
        format!("{}/{}/{}", name.task, name.split, name.metric)
    }
}

impl MetricName {
    /// The figure in the results of one run.
    pub fn find(&self, results: &[TaskResult]) -> Option<f64> {
        let result = results.iter().find(|r| r.task == self.task && r.split == self.split)?;
        result.metrics.get(&self.metric).copied()
    }

    /// What chance gives for it, where the run says so: that of a kind of examples is that of all, and a shortlist's
    /// order changes nothing for who guesses.
    pub(super) fn chance(&self, results: &[TaskResult]) -> Option<f64> {
        let metric = self.metric.split('[').next().unwrap_or_default();
        let metric = metric.strip_suffix("_reranked").unwrap_or(metric);
        Self { metric: format!("{metric}{}", Answerer::Chance.suffix()), ..self.clone() }
            .find(results)
    }
}
