//! Variants of a recipe over the same seeds, and whether they differ.

mod cell;
mod difference;
mod metric;

pub use difference::{Moments, PairedDifference};
pub use metric::MetricName;

use crate::report::escape;
use crate::{EvalError, TaskResult};
use cell::{cell, difference};

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
    /// The row that differences in brackets are from; nothing of the first one.
    reference: Option<String>,
    blocks: Vec<Block>,
    seeds: usize,
}

/// The differences of all other variants from one.
struct Block {
    reference: String,
    rows: Vec<Vec<String>>,
}

impl AblationTable {
    /// Mean and standard deviation of each metric, and the paired difference from the first of the variants `against`,
    /// by default the first of all; what chance gives below. Of each further one in `against` a block of differences.
    ///
    /// # Errors
    ///
    /// When two results of a run answer to one metric, or `against` names no variant.
    pub fn new(
        variants: &[VariantRuns],
        metrics: &[MetricName],
        against: &[String],
    ) -> Result<Self, EvalError> {
        let seeds = variants.iter().map(|variant| variant.runs.len()).max().unwrap_or(0);
        let figures = variants.iter().map(|variant| figures(variant, metrics, seeds));
        let figures: Vec<Vec<Figures>> = figures.collect::<Result<_, _>>()?;
        let references = references(variants, against)?;
        let first = references.first().copied().unwrap_or(0);
        let mut header = vec!["variant".to_string()];
        header.extend(metrics.iter().cloned().map(String::from));
        let mut rows = Vec::with_capacity(variants.len() + 1);
        for (at, variant) in variants.iter().enumerate() {
            let other = |metric: usize| (at != first).then_some(&figures[first][metric][..]);
            let own = figures[at].iter().enumerate();
            rows.push(row(variant, own.map(|(metric, own)| cell(own, other(metric)))));
        }
        rows.extend(chance(variants, metrics)?);
        let blocks = references.iter().skip(1);
        let blocks = blocks.map(|reference| block(variants, &figures, *reference)).collect();
        let reference = (first > 0).then(|| variants[first].name.clone());
        Ok(Self { header, rows, reference, blocks, seeds })
    }

    /// How to read the table.
    pub fn note(&self) -> String {
        let row = match &self.reference {
            Some(name) => format!("the row {name:?}"),
            None => "the first row".into(),
        };
        if self.seeds == 1 {
            return format!(
                "One seed, which says nothing of how far apart two would be; in brackets the \
                 difference from {row}."
            );
        }
        format!(
            "Mean and standard deviation over {} seeds; in brackets the difference from {row}, \
             seed by seed, with its 95 % interval (Student's t), and * where that leaves zero out. \
             Intervals are not corrected for the number of comparisons.",
            self.seeds
        )
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_string(); self.header.len()];
        let table = |rows: &[Vec<String>]| -> String {
            let rows: String = rows.iter().map(|row| line(row)).collect();
            format!("{}{}{rows}", line(&self.header), line(&rule))
        };
        let block = |block: &Block| format!("\n{}\n\n{}", block.title(), table(&block.rows));
        let blocks: String = self.blocks.iter().map(block).collect();
        format!("{}\n{}\n{blocks}", table(&self.rows), self.note())
    }

    /// A page that opens without a network.
    pub fn html(&self, title: &str, facts: &str) -> String {
        let row = |cells: &[String], tag: &str| -> String {
            let cells: String =
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let table = |rows: &[Vec<String>]| -> String {
            let rows: String = rows.iter().map(|cells| row(cells, "td")).collect();
            format!("<table>\n{}{rows}</table>\n", row(&self.header, "th"))
        };
        let block =
            |block: &Block| format!("<p>{}</p>\n{}", escape(&block.title()), table(&block.rows));
        let blocks: String = self.blocks.iter().map(block).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{0}</title>\n\
             <style>body{{font:15px/1.5 sans-serif;margin:2em;max-width:80em}}table{{border-collapse:\
             collapse}}td,th{{border:1px solid #bbb;padding:.3em .6em;text-align:left}}</style>\n\
             <h1>{0}</h1>\n<p>{1}</p>\n{2}<p>{3}</p>\n{blocks}</html>\n",
            escape(title),
            escape(facts),
            table(&self.rows),
            escape(&self.note()),
        )
    }
}

impl Block {
    fn title(&self) -> String {
        format!("Differences from the row {:?}, in the same way:", self.reference)
    }
}

/// The places of the variants that `against` names; without any that of the first.
fn references(variants: &[VariantRuns], against: &[String]) -> Result<Vec<usize>, EvalError> {
    if against.is_empty() {
        return Ok(vec![0]);
    }
    let place = |name: &String| {
        let found = variants.iter().position(|variant| variant.name == *name);
        found.ok_or_else(|| EvalError::UnknownVariant {
            name: name.clone(),
            known: variants
                .iter()
                .map(|variant| variant.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
    };
    against.iter().map(place).collect()
}

/// The differences of all variants but the one at `reference` from that one.
fn block(variants: &[VariantRuns], figures: &[Vec<Figures>], reference: usize) -> Block {
    let others = variants.iter().zip(figures).enumerate().filter(|(at, _)| *at != reference);
    let rows = others.map(|(_, (variant, own))| {
        let pairs = own.iter().zip(&figures[reference]);
        row(variant, pairs.map(|(own, other)| difference(own, other).unwrap_or("-".into())))
    });
    Block { reference: variants[reference].name.clone(), rows: rows.collect() }
}

fn row(variant: &VariantRuns, cells: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(variant.name.clone()).chain(cells).collect()
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
        let table = AblationTable::new(&variants, &metrics, &[]).unwrap();
        let markdown = table.markdown();
        assert!(markdown.contains("| none | 51.0 \u{b1} 1.0 | - |"), "{markdown}");
        assert!(
            markdown.contains("| <gate> | 61.0 \u{b1} 1.1 (+10.0 \u{b1} 0.1*) | - |"),
            "{markdown}"
        );
        let one = [variant("none", &[50.0]), variant("gate", &[60.0])];
        let one = AblationTable::new(&one, &metrics[..1], &[]).unwrap().markdown();
        assert!(
            one.contains("| none | 50.0 |") && one.contains("| gate | 60.0 (+10.0) |"),
            "{one}"
        );
        assert!(one.contains("One seed"), "{one}");
        let html = table.html("grid", "3 seeds");
        assert!(html.contains("&lt;gate&gt;") && !html.contains("<gate>"));
        assert!(MetricName::try_from("vqa/test".to_string()).is_err());
    }

    /// Rows that others than the first are compared with, beside it and in its place.
    #[test]
    fn differences_are_from_the_rows_that_are_named() {
        let variant = |name: &str, values: [f64; 3]| VariantRuns {
            name: name.into(),
            runs: values.map(run).into(),
        };
        let variants = [
            variant("plain", [50.0, 51.0, 52.0]),
            variant("+ MLM", [60.0, 61.0, 62.0]),
            variant("all", [63.0, 65.0, 67.0]),
        ];
        let metrics = [MetricName::try_from("vqa/test/accuracy".to_string()).unwrap()];
        let of = |against: &[&str]| {
            let against: Vec<String> = against.iter().map(|name| name.to_string()).collect();
            AblationTable::new(&variants, &metrics, &against)
        };
        // Differences 3, 4, 5: mean 4, deviation 1, interval 4.303 / sqrt(3).
        let all = "(+4.0 \u{b1} 2.5*)";
        let (both, first) = (of(&["plain", "+ MLM"]).unwrap(), of(&[]).unwrap());
        let markdown = both.markdown();
        assert!(markdown.starts_with(&first.markdown()), "{markdown}");
        let block = "Differences from the row \"+ MLM\", in the same way:\n\n\
                     | variant | vqa/test/accuracy |\n| --- | --- |\n\
                     | plain | -10.0 \u{b1} 0.0* |\n| all | +4.0 \u{b1} 2.5* |\n";
        assert!(markdown.ends_with(block) && !markdown.contains(all), "{markdown}");
        let html = both.html("grid", "3 seeds");
        assert!(html.contains("<td>all</td><td>+4.0 \u{b1} 2.5*</td>"), "{html}");
        let markdown = of(&["+ MLM"]).unwrap().markdown();
        assert!(markdown.contains(all) && markdown.contains("the row \"+ MLM\""), "{markdown}");
        let error = of(&["+ MIM"]).err().unwrap().to_string();
        assert!(error.contains("+ MIM") && error.contains("plain, + MLM, all"), "{error}");
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
        let markdown = AblationTable::new(&variants, &metrics, &[]).unwrap().markdown();
        assert!(
            markdown.contains("| a | 20.0 | 1.0 | - |\n| chance | 16.7 | 16.7 | - |"),
            "{markdown}"
        );
        let markdown = AblationTable::new(&variants, &metrics[2..], &[]).unwrap().markdown();
        assert!(!markdown.contains("chance"), "{markdown}");
    }
}
