//! Variants of a recipe over the same seeds, and whether they differ.

mod cell;
mod difference;
mod metric;

pub use difference::{Moments, PairedDifference};
pub use metric::MetricName;

use crate::report::escape;
use crate::{EvalError, TaskResult};
use cell::cell;

/// The runs of one variant, in the order of the seeds.
#[derive(Clone, Debug)]
pub struct VariantRuns {
    pub name: String,
    pub runs: Vec<Vec<TaskResult>>,
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
    ///
    /// # Errors
    ///
    /// When two results of a run answer to one metric.
    pub fn new(variants: &[VariantRuns], metrics: &[MetricName]) -> Result<Self, EvalError> {
        let seeds = variants.iter().map(|variant| variant.runs.len()).max().unwrap_or(0);
        let figures = variants.iter().map(|variant| figures(variant, metrics, seeds));
        let figures: Vec<Vec<Figures>> = figures.collect::<Result<_, _>>()?;
        let mut header = vec!["variant".to_string()];
        header.extend(metrics.iter().cloned().map(String::from));
        let mut rows = Vec::with_capacity(variants.len() + 1);
        for (variant, own) in variants.iter().zip(&figures) {
            let other = (variant.name != variants[0].name).then_some(&figures[0]);
            let cells = own.iter().enumerate().map(|(at, own)| {
                let other = other.map(|other| &other[at][..]);
                cell(own, other)
            });
            rows.push(std::iter::once(variant.name.clone()).chain(cells).collect());
        }
        rows.extend(chance(variants, metrics)?);
        Ok(Self { header, rows, seeds })
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

/// A metric's figure of each seed, where its run has it.
type Figures = Vec<Option<f64>>;

/// The figures of a variant, metric by metric.
fn figures(
    variant: &VariantRuns,
    metrics: &[MetricName],
    seeds: usize,
) -> Result<Vec<Figures>, EvalError> {
    let of_seed = |metric: &MetricName, seed: usize| match variant.runs.get(seed) {
        Some(results) => metric.find(results),
        None => Ok(None),
    };
    let of_metric = |metric| (0..seeds).map(|seed| of_seed(metric, seed)).collect();
    metrics.iter().map(of_metric).collect()
}

/// The row of what chance gives, where that is known of some metric.
fn chance(
    variants: &[VariantRuns],
    metrics: &[MetricName],
) -> Result<Option<Vec<String>>, EvalError> {
    let Some(results) = variants.first().and_then(|variant| variant.runs.first()) else {
        return Ok(None);
    };
    let found = metrics.iter().map(|metric| metric.chance(results));
    let found: Vec<Option<f64>> = found.collect::<Result<_, _>>()?;
    Ok(found.iter().any(Option::is_some).then(|| {
        let text = |figure: Option<f64>| figure.map_or("-".into(), |figure| format!("{figure:.1}"));
        std::iter::once("chance".to_string()).chain(found.into_iter().map(text)).collect()
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
    fn the_table_compares_with_its_first_row() {
        let variant = |name: &str, values: &[f64]| VariantRuns {
            name: name.into(),
            runs: values.iter().map(|value| run(*value)).collect(),
        };
        let variants =
            [variant("none", &[50.0, 51.0, 52.0]), variant("<gate>", &[60.0, 61.0, 62.1])];
        let metrics = ["vqa/test/accuracy", "vqa/test/missing"]
            .map(|name| MetricName::try_from(name.to_string()).unwrap());
        let table = AblationTable::new(&variants, &metrics).unwrap();
        let markdown = table.markdown();
        assert!(markdown.contains("| none | 51.0 \u{b1} 1.0 | - |"), "{markdown}");
        assert!(
            markdown.contains("| <gate> | 61.0 \u{b1} 1.1 (+10.0 \u{b1} 0.1*) | - |"),
            "{markdown}"
        );
        let one = [variant("none", &[50.0]), variant("gate", &[60.0])];
        let one = AblationTable::new(&one, &metrics[..1]).unwrap().markdown();
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
        let markdown = AblationTable::new(&variants, &metrics).unwrap().markdown();
        assert!(
            markdown.contains("| a | 20.0 | 1.0 | - |\n| chance | 16.7 | 16.7 | - |"),
            "{markdown}"
        );
        let markdown = AblationTable::new(&variants, &metrics[2..]).unwrap().markdown();
        assert!(!markdown.contains("chance"), "{markdown}");
    }
}
