//! The name of a figure, and where it is among the results of a run.

use serde::{Deserialize, Serialize};

use crate::{Answerer, EvalError, TaskResult};

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
    /// The figure in the results of one run; nothing where it has none.
    ///
    /// # Errors
    ///
    /// When several results are of this task and split: the name does not say which is meant.
    pub fn find(&self, results: &[TaskResult]) -> Result<Option<f64>, EvalError> {
        let mut named = results.iter().filter(|r| r.task == self.task && r.split == self.split);
        let first = named.next();
        if let (Some(first), Some(second)) = (first, named.next()) {
            return Err(EvalError::AmbiguousMetric {
                metric: self.clone().into(),
                first: first.checkpoint.clone(),
                second: second.checkpoint.clone(),
            });
        }
        Ok(first.and_then(|result| result.metrics.get(&self.metric).copied()))
    }

    /// What chance gives for it, where the run says so: that of a kind of examples is that of all, and a shortlist's
    /// order changes nothing for who guesses.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub(super) fn chance(&self, results: &[TaskResult]) -> Result<Option<f64>, EvalError> {
        let metric = self.metric.split('[').next().unwrap_or_default();
        let metric = metric.strip_suffix("_reranked").unwrap_or(metric);
        Self { metric: format!("{metric}{}", Answerer::Chance.suffix()), ..self.clone() }
            .find(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_results_answer_to_is_refused() {
        let result = |checkpoint: &str, accuracy: f64| TaskResult {
            task: "vqa".into(),
            split: "test".into(),
            n: 1,
            metrics: [("accuracy".to_string(), accuracy)].into(),
            recipe: String::new(),
            checkpoint: checkpoint.into(),
            seed: 0,
            seconds: 0.0,
        };
        let name = MetricName::try_from("vqa/test/accuracy".to_string()).unwrap();
        let of = |results: &[TaskResult]| name.find(results);
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[result("first", 1.0)]).unwrap(), Some(1.0));
        let other = TaskResult { split: "val".into(), ..result("other", 2.0) };
        assert_eq!(of(&[other, result("first", 1.0)]).unwrap(), Some(1.0));
        let error = of(&[result("first", 1.0), result("second", 2.0)]).unwrap_err().to_string();
        for part in ["vqa/test/accuracy", "first", "second"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
