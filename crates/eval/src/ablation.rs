//! Variants of a recipe over the same seeds, and whether they differ.

use serde::{Deserialize, Serialize};

use crate::report::escape;
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
    fn chance(&self, results: &[TaskResult]) -> Option<f64> {
        let metric = self.metric.split('[').next().unwrap_or_default();
        let metric = metric.strip_suffix("_reranked").unwrap_or(metric);
        Self { metric: format!("{metric}{}", Answerer::Chance.suffix()), ..self.clone() }
            .find(results)
    }
}

/// The runs of one variant, in the order of the seeds.
#[derive(Clone, Debug)]
pub struct VariantRuns {
    pub name: String,
    pub runs: Vec<Vec<TaskResult>>,
}

/// Mean and standard deviation of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub mean: f64,
    /// With `n - 1` below; 0 of a single figure.
    pub deviation: f64,
}

impl Moments {
    /// Absent without figures.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let n = figures.len() as f64;
        if figures.is_empty() {
            return None;
        }
        let mean = figures.iter().sum::<f64>() / n;
        let squares = figures.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let deviation = if figures.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
        Some(Self { mean, deviation })
    }
}

/// The mean difference of two variants seed by seed, and half the width of its 95 % interval (Student
/// 1908); infinite of a single seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    pub mean: f64,
    pub half_width: f64,
}

impl PairedDifference {
    /// Of `a - b`, in the same order of seeds. Absent without figures or where there are not as many.
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.len() != b.len() {
            return None;
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let Moments { mean, deviation } = Moments::of(&differences)?;
        let half_width = match differences.len() {
            1 => f64::INFINITY,
            n => student(n - 1) * deviation / (n as f64).sqrt(),
        };
        Some(Self { mean, half_width })
    }

    /// Whether the interval leaves zero out.
    pub fn is_significant(&self) -> bool {
        self.mean.abs() > self.half_width
    }
}

/// The 97.5 % quantile of Student's distribution; of more than 30 degrees of freedom the normal one's.
fn student(degrees: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    QUANTILES.get(degrees - 1).copied().unwrap_or(1.960)
}

/// The cells of an ablation: a row for each variant, a column for each metric.
pub struct AblationTable {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    seeds: usize,
}

impl AblationTable {
    /// Mean and standard deviation of each metric, and the paired difference from the first variant; what chance gives
    /// below.
    pub fn new(variants: &[VariantRuns], metrics: &[MetricName]) -> Self {
        let figures = |variant: &VariantRuns, metric: &MetricName| -> Vec<f64> {
            variant.runs.iter().filter_map(|results| metric.find(results)).collect()
        };
        let mut header = vec!["variant".to_string()];
        header.extend(metrics.iter().cloned().map(String::from));
        let rows = variants.iter().map(|variant| {
            let cells = metrics.iter().map(|metric| {
                let own = figures(variant, metric);
                let first = figures(&variants[0], metric);
                let other = (variant.name != variants[0].name).then_some(&first[..]);
                cell(&own, other)
            });
            std::iter::once(variant.name.clone()).chain(cells).collect()
        });
        let mut rows: Vec<Vec<String>> = rows.collect();
        rows.extend(chance(variants, metrics));
        Self { header, rows, seeds: variants.iter().map(|v| v.runs.len()).max().unwrap_or(0) }
    }

    /// How to read the table.
    pub fn note(&self) -> String {
        if self.seeds == 1 {
            return "One seed, which says nothing of how far apart two would be; in brackets the \
                    difference from the first row."
                .into();
        }
        format!(
            "Mean and standard deviation over {} seeds; in brackets the difference from the first row, \
             seed by seed, with its 95 % interval (Student's t), and * where that leaves zero out. \
             Intervals are not corrected for the number of comparisons.",
            self.seeds
        )
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_string(); self.header.len()];
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{}{rows}\n{}\n", line(&self.header), line(&rule), self.note())
    }

    /// A page that opens without a network.
    pub fn html(&self, title: &str, facts: &str) -> String {
        let row = |cells: &[String], tag: &str| -> String {
            let cells: String =
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let rows: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{0}</title>\n\
             <style>body{{font:15px/1.5 sans-serif;margin:2em;max-width:80em}}table{{border-collapse:\
             collapse}}td,th{{border:1px solid #bbb;padding:.3em .6em;text-align:left}}</style>\n\
             <h1>{0}</h1>\n<p>{1}</p>\n<table>\n{2}{rows}</table>\n<p>{3}</p>\n</html>\n",
            escape(title),
            escape(facts),
            row(&self.header, "th"),
            escape(&self.note()),
        )
    }
}

/// The row of what chance gives, where that is known of some metric.
fn chance(variants: &[VariantRuns], metrics: &[MetricName]) -> Option<Vec<String>> {
    let results = variants.first()?.runs.first()?;
    let found: Vec<_> = metrics.iter().map(|metric| metric.chance(results)).collect();
    found.iter().any(Option::is_some).then(|| {
        let text = |figure: Option<f64>| figure.map_or("-".into(), |figure| format!("{figure:.1}"));
        std::iter::once("chance".to_string()).chain(found.into_iter().map(text)).collect()
    })
}

fn cell(own: &[f64], first: Option<&[f64]>) -> String {
    let Some(Moments { mean, deviation }) = Moments::of(own) else {
        return "-".into();
    };
    let difference = first.and_then(|first| PairedDifference::of(own, first));
    if own.len() == 1 {
        // No spread: "± 0.0" would claim that there is none.
        let brackets = difference.map(|difference| format!(" ({:+.1})", difference.mean));
        return format!("{mean:.1}{}", brackets.unwrap_or_default());
    }
    let text = format!("{mean:.1} \u{b1} {deviation:.1}");
    let Some(difference) = difference else { return text };
    let star = if difference.is_significant() { "*" } else { "" };
    let PairedDifference { mean, half_width } = difference;
    format!("{text} ({mean:+.1} \u{b1} {half_width:.1}{star})")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn run(value: f64) -> Vec<TaskResult> {
        vec![TaskResult {
            task: "vqa".into(),
            split: "test".into(),
            n: 10,
            metrics: BTreeMap::from([("accuracy".to_string(), value)]),
            recipe: String::new(),
            checkpoint: String::new(),
            seed: 0,
            seconds: 0.0,
        }]
    }

    #[test]
    fn a_paired_difference_by_hand() {
        // Differences 1, 2, 3: mean 2, deviation 1, interval 4.303 / sqrt(3).
        let found = PairedDifference::of(&[11.0, 22.0, 33.0], &[10.0, 20.0, 30.0]).unwrap();
        assert!((found.mean - 2.0).abs() < 1e-12);
        assert!((found.half_width - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert!(!found.is_significant());
        assert!(PairedDifference::of(&[3.0, 3.1], &[1.0, 1.0]).unwrap().is_significant());
        assert!(PairedDifference::of(&[1.0], &[0.0]).unwrap().half_width.is_infinite());
        assert_eq!(PairedDifference::of(&[1.0], &[]), None);
    }

    #[test]
    fn the_table_compares_with_its_first_row() {
        let variant = |name: &str, values: &[f64]| VariantRuns {
            name: name.into(),
            runs: values.iter().map(|value| run(*value)).collect(),
        };
        let variants =
            [variant("none", &[50.0, 51.0, 52.0]), variant("<gate>", &[60.0, 61.0, 62.1])];
        let metrics = ["vqa/test/accuracy", "vqa/test/missing"]
            .map(|name| MetricName::try_from(name.to_string()).unwrap());
        let table = AblationTable::new(&variants, &metrics);
        let markdown = table.markdown();
        assert!(markdown.contains("| none | 51.0 \u{b1} 1.0 | - |"), "{markdown}");
        assert!(
            markdown.contains("| <gate> | 61.0 \u{b1} 1.1 (+10.0 \u{b1} 0.1*) | - |"),
            "{markdown}"
        );
        let one = [variant("none", &[50.0]), variant("gate", &[60.0])];
        let one = AblationTable::new(&one, &metrics[..1]).markdown();
        assert!(
            one.contains("| none | 50.0 |") && one.contains("| gate | 60.0 (+10.0) |"),
            "{one}"
        );
        assert!(one.contains("One seed"), "{one}");
        let html = table.html("grid", "3 seeds");
        assert!(html.contains("&lt;gate&gt;") && !html.contains("<gate>"));
        assert!(MetricName::try_from("vqa/test".to_string()).is_err());
    }

    #[test]
    fn chance_is_a_row_where_it_is_known() {
        let results = vec![TaskResult {
            metrics: [("group", 20.0), ("group[count]", 1.0), ("group_chance", 100.0 / 6.0)]
                .map(|(name, value)| (name.to_string(), value))
                .into(),
            ..run(0.0).remove(0)
        }];
        let variants = [VariantRuns { name: "a".into(), runs: vec![results] }];
        let metrics = ["vqa/test/group", "vqa/test/group[count]", "vqa/test/accuracy"]
            .map(|name| MetricName::try_from(name.to_string()).unwrap());
        let markdown = AblationTable::new(&variants, &metrics).markdown();
        assert!(
            markdown.contains("| a | 20.0 | 1.0 | - |\n| chance | 16.7 | 16.7 | - |"),
            "{markdown}"
        );
        let markdown = AblationTable::new(&variants, &metrics[2..]).markdown();
        assert!(!markdown.contains("chance"), "{markdown}");
    }

    proptest! {
        /// A difference does not depend on what all seeds share, and swaps its sign with the variants.
        #[test]
        fn a_shift_of_a_seed_changes_nothing(
            a in proptest::collection::vec(-50.0..50.0f64, 2..6),
            shift in -10.0..10.0f64,
        ) {
            let b: Vec<f64> = a.iter().enumerate().map(|(i, x)| x * 0.5 + i as f64).collect();
            let moved = |x: &[f64]| -> Vec<f64> {
                x.iter().enumerate().map(|(i, x)| x + shift * i as f64).collect()
            };
            let before = PairedDifference::of(&a, &b).unwrap();
            let after = PairedDifference::of(&moved(&a), &moved(&b)).unwrap();
            prop_assert!((before.mean - after.mean).abs() < 1e-9);
            prop_assert!((before.half_width - after.half_width).abs() < 1e-9);
            let swapped = PairedDifference::of(&b, &a).unwrap();
            prop_assert!((before.mean + swapped.mean).abs() < 1e-12);
        }
    }
}
