//! summary.json, report.html and the table at the end of a run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use weft_data::record::Record;
use weft_eval::{Curve, Hit, Query, Report, TaskResult};

use crate::attention_map::attention_map;
use crate::checkpoint::Best;
use crate::evaluate::{FoundFor, Retrieved};
use crate::inference::Inference;
use crate::metrics_log::Line;

/// Queries of each split in the gallery, and pairs with heat maps.
const GALLERY: usize = 8;
const HEAT_MAPS: usize = 4;

/// summary.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub recipe: String,
    pub seed: u64,
    pub steps: u64,
    /// Training and evaluation, over all restarts.
    pub seconds: f64,
    pub samples_per_second: f64,
    pub data_wait_fraction: f64,
    pub peak_rss_mib: u64,
    /// Commits of the programs that trained it; runs of before this was kept say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
    /// The checkpoint with the highest mean recall on `val`.
    pub best: Option<Best>,
    /// What a random ranking would give, per split.
    pub chance: BTreeMap<String, BTreeMap<String, f64>>,
    /// Per split.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Summary {
    /// Sorts the results' figures into metrics and chance.
    pub fn add(&mut self, result: &TaskResult) {
        for (name, value) in &result.metrics {
            let (table, name) = match name.strip_suffix("_chance") {
                Some(name) => (&mut self.chance, name),
                None => (&mut self.metrics, name.as_str()),
            };
            table.entry(result.split.clone()).or_default().insert(name.to_string(), *value);
        }
    }
}

/// One evaluated split with its records.
pub struct EvaluatedSplit<'a> {
    pub records: &'a [Record],
    pub retrieved: Retrieved,
}

/// The report of a finished run.
pub fn report(
    model: &Inference,
    summary: &Summary,
    lines: &[Line],
    splits: &[EvaluatedSplit],
    notes: Vec<String>,
    credit: Vec<String>,
) -> Result<Report> {
    let mut gallery = Vec::new();
    let mut attention = Vec::new();
    for split in splits {
        for query in spread(&split.retrieved.queries, GALLERY) {
            gallery.push(shown(query, split)?);
        }
        for query in spread(&split.retrieved.queries, HEAT_MAPS / splits.len().max(1)) {
            attention.extend(attention_map(model, &split.records[query.record], &query.text)?);
        }
    }
    Ok(Report {
        title: format!("weft: {}", summary.recipe),
        facts: facts(summary),
        curves: curves(lines),
        results: splits.iter().map(|split| split.retrieved.result.clone()).collect(),
        gallery,
        examples: vec![],
        attention,
        notes,
        credit,
    })
}

/// `count` items at equal distances: chosen before their results are seen.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).map(move |i| &items[i * items.len() / count])
}

fn shown(query: &FoundFor, split: &EvaluatedSplit) -> Result<Query> {
    let mut hits = Vec::with_capacity(query.hits.len());
    for (record, score) in &query.hits {
        let found = &split.records[*record];
        hits.push(Hit {
            picture: found.picture.read().map_err(|bad| anyhow::anyhow!("{bad}"))?,
            caption: found.captions.first().cloned().unwrap_or_default(),
            score: *score,
            correct: *record == query.record,
        });
    }
    Ok(Query { text: query.text.clone(), split: split.retrieved.result.split.clone(), hits })
}

fn facts(summary: &Summary) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_string(), value);
    vec![
        fact("recipe", summary.recipe.clone()),
        fact("seed", summary.seed.to_string()),
        fact("steps", summary.steps.to_string()),
        fact("time", format!("{:.0} s", summary.seconds)),
        fact("speed", format!("{:.1} samples/s", summary.samples_per_second)),
        fact("waiting for data", format!("{:.1} %", 100.0 * summary.data_wait_fraction)),
        fact("peak memory", format!("{} MiB", summary.peak_rss_mib)),
    ]
}

fn curves(lines: &[Line]) -> Vec<Curve> {
    let names: BTreeSet<&String> = lines.iter().flat_map(|line| line.figures.keys()).collect();
    let curve = |name: &String| Curve {
        name: name.clone(),
        points: lines
            .iter()
            .filter_map(|line| line.get(name).map(|value| (line.step as f64, value)))
            .collect(),
    };
    names.into_iter().map(curve).collect()
}
