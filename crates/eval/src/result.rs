//! The result of one evaluation, as JSON for scripts and as a table for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answerer::Compared;
use crate::{EvalError, Retrieval};

/// Suffix of the metrics after re-ranking.
const RERANKED: &str = "_reranked";
/// Suffix of the metrics of a random ranking.
const CHANCE: &str = "_chance";

/// What one evaluation found: the JSON that `weft eval` writes.
///
/// Retrieval metrics are named `i2t_r1` ... `t2i_r10` (percent), with `_reranked` behind the name
/// after re-ranking and `_chance` for a random ranking. Other metrics are in percent too, `name` or
/// `name[kind]`, with the suffix of an [`Answerer`](crate::Answerer) behind it for a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// What was evaluated, as `retrieval` or `vqa`.
    pub task: String,
    /// On which part of the data, as `test`.
    pub split: String,
    /// On how many examples. For retrieval: pictures.
    pub n: usize,
    /// The figures by name.
    pub metrics: BTreeMap<String, f64>,
    /// Name or path of the recipe.
    pub recipe: String,
    /// Path of the checkpoint.
    pub checkpoint: String,
    /// Seed of the run.
    pub seed: u64,
    /// How long the evaluation took, in seconds.
    pub seconds: f64,
}

impl TaskResult {
    /// Adds the six figures of a retrieval by the dual encoder.
    pub fn add_retrieval(&mut self, figures: &Retrieval) {
        self.add(figures, "");
    }

    /// Adds the six figures after re-ranking.
    pub fn add_reranked(&mut self, figures: &Retrieval) {
        self.add(figures, RERANKED);
    }

    /// Adds what a random ranking would reach.
    pub fn add_chance(&mut self, figures: &Retrieval) {
        self.add(figures, CHANCE);
    }

    fn add(&mut self, figures: &Retrieval, suffix: &str) {
        for (name, value) in Retrieval::NAMES.iter().zip(figures.values()) {
            self.metrics.insert(format!("{name}{suffix}"), value);
        }
    }

    /// The result as indented JSON.
    ///
    /// # Errors
    /// A metric or the time is NaN or infinite: JSON would silently turn it into `null`.
    pub fn to_json(&self) -> Result<String, EvalError> {
        let figures = self.metrics.iter().map(|(name, &value)| (name.as_str(), value));
        for (name, value) in figures.chain([("seconds", self.seconds)]) {
            if !value.is_finite() {
                let (task, split, name) = (self.task.clone(), self.split.clone(), name.to_owned());
                return Err(EvalError::NotFinite { task, split, name, value });
            }
        }
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// Not JSON, or a field is missing or of another type.
    pub fn from_json(json: &str) -> Result<Self, EvalError> {
        Ok(serde_json::from_str(json)?)
    }
}

/// One line of the retrieval table: a split and a way of ranking.
pub(crate) struct Row<'a> {
    /// The first row of its result: split and size stand there and not below.
    pub first: bool,
    pub split: &'a str,
    pub n: usize,
    pub ranking: &'static str,
    /// In the order of [`Retrieval::NAMES`]; `None` where the result lacks the metric.
    pub values: [Option<f64>; 6],
}

/// The retrieval figures among `results`, as the rows both tables (text, HTML) show.
pub(crate) fn retrieval_rows(results: &[TaskResult]) -> Vec<Row<'_>> {
    let rankings = [("dual encoder", ""), ("re-ranked", RERANKED), ("chance", CHANCE)];
    let mut rows = Vec::new();
    for result in results {
        let mut first = true;
        for (ranking, suffix) in rankings {
            let metric = |name| result.metrics.get(&format!("{name}{suffix}")).copied();
            let values = Retrieval::NAMES.map(metric);
            if values.iter().any(Option::is_some) {
                rows.push(Row { first, split: &result.split, n: result.n, ranking, values });
                first = false;
            }
        }
    }
    rows
}

/// The figures that the retrieval table does not show: `(result, name, value)`.
pub(crate) fn other_metrics(results: &[TaskResult]) -> Vec<(&TaskResult, &str, f64)> {
    let in_table = |name: &str| {
        let plain = name.strip_suffix(RERANKED).or(name.strip_suffix(CHANCE)).unwrap_or(name);
        Retrieval::NAMES.contains(&plain)
    };
    let metrics = results.iter().flat_map(|result| {
        result.metrics.iter().map(move |(name, &value)| (result, name.as_str(), value))
    });
    metrics.filter(|(_, name, _)| !in_table(name)).collect()
}

/// A figure as both tables show it.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// A plain-text table of `results`: for each split the recall before and after re-ranking, beside
/// chance, in percent. Other tasks follow: a table each where there are baselines beside the
/// model's figures, else a metric a line. Ends with a line feed unless empty.
pub fn results_table(results: &[TaskResult]) -> String {
    let mut table = String::new();
    let rows = retrieval_rows(results);
    if !rows.is_empty() {
        let width = rows.iter().map(|row| row.split.chars().count()).fold(5, usize::max);
        let recalls = "   R@1    R@5   R@10";
        table += &format!("{:width$}  {:>6}  {:12}", "", "", "");
        table += &format!(" |{:>20} |{:>20}\n", "picture to caption", "caption to picture");
        table += &format!("{:width$}  {:>6}  {:12}", "split", "n", "ranking");
        table += &format!(" |{recalls} |{recalls}\n");
        for row in &rows {
            let (split, n) =
                if row.first { (row.split, row.n.to_string()) } else { ("", String::new()) };
            table += &format!("{split:width$}  {n:>6}  {:12}", row.ranking);
            for direction in row.values.chunks(3) {
                table += " |";
                for &value in direction {
                    table += &format!("{:>6} ", cell(value));
                }
                table.pop();
            }
            table.push('\n');
        }
    }
    for result in results {
        if let Some(compared) = Compared::of(result) {
            table += &compared.text();
            continue;
        }
        for (_, name, value) in other_metrics(std::slice::from_ref(result)) {
            let TaskResult { task, split, n, .. } = result;
            table += &format!("{task}, {split}, n = {n}: {name} = {value:.4}\n");
        }
    }
    table
}
