//! The same evaluation over several seeds, as one table.

use std::collections::BTreeMap;

use crate::TaskResult;
use crate::answerer::Answerer;

/// One figure over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub runs: usize,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of the figures of some runs; absent without any.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let runs = figures.len();
        (runs > 0).then(|| Spread {
            runs,
            mean: figures.iter().sum::<f64>() / runs as f64,
            min: figures.iter().copied().fold(f64::INFINITY, f64::min),
            max: figures.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// Figures of all runs by metric and answerer.
type Figures<'a> = BTreeMap<&'a str, BTreeMap<Answerer, Vec<f64>>>;

/// A Markdown table for each task: a line for each split and metric with the mean over `runs`, the
/// smallest and the largest in brackets, and the means of the blind baselines beside them. Each run is
/// the results of one seed. A metric that some runs lack says of how many it is.
pub fn spread_table(runs: &[Vec<TaskResult>]) -> String {
    let mut tasks: Vec<&str> = Vec::new();
    let mut found: BTreeMap<(&str, &str), (usize, Figures)> = BTreeMap::new();
    for result in runs.iter().flatten() {
        if !tasks.contains(&result.task.as_str()) {
            tasks.push(&result.task);
        }
        let key = (result.task.as_str(), result.split.as_str());
        let (n, figures) = found.entry(key).or_default();
        *n = result.n;
        for (name, value) in &result.metrics {
            let (metric, who) = Answerer::of(name);
            figures.entry(metric).or_default().entry(who).or_default().push(*value);
        }
    }
    let mut text = String::new();
    for task in tasks {
        let of_task: Vec<_> = found.iter().filter(|((name, _), _)| *name == task).collect();
        let has = |who: &Answerer| {
            of_task.iter().any(|(_, (_, f))| f.values().any(|of| of.contains_key(who)))
        };
        let columns: Vec<Answerer> = Answerer::ALL.into_iter().filter(has).collect();
        text += &format!("### {task}\n\n| split | n | metric |");
        text.extend(columns.iter().map(|who| format!(" {} |", who.heading())));
        text += &format!("\n| --- | --- | --- |{}\n", " --- |".repeat(columns.len()));
        for ((_, split), (n, figures)) in of_task {
            for (metric, by) in figures {
                text += &format!("| {split} | {n} | {metric} |");
                text.extend(columns.iter().map(|who| cell(by.get(who), *who, runs.len())));
                text.push('\n');
            }
        }
        text.push('\n');
    }
    text
}

fn cell(figures: Option<&Vec<f64>>, who: Answerer, runs: usize) -> String {
    let Some(Spread { runs: of, mean, min, max }) = figures.and_then(|f| Spread::of(f)) else {
        return " - |".into();
    };
    let lack = if of == runs { String::new() } else { format!(" ({of} of {runs} runs)") };
    match who {
        Answerer::Model => format!(" {mean:.1} [{min:.1}, {max:.1}]{lack} |"),
        _ => format!(" {mean:.1}{lack} |"),
    }
}
