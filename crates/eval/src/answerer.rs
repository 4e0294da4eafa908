//! Who answered: the model, or one of the blind baselines beside it.

use std::collections::BTreeMap;

use crate::result::other_metrics;
use crate::{ByKind, TaskResult};

/// Whose figure a metric of a [`TaskResult`] is. Its suffix stands behind the metric's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answerer {
    /// The model that is evaluated: no suffix.
    Model,
    /// The model, given no picture: `_text_only`.
    TextOnly,
    /// The model, given no text: `_picture_only`.
    PictureOnly,
    /// The most frequent answer of the training set: `_majority`.
    Majority,
    /// The training set's most frequent answer to the same words: `_prior`.
    Prior,
    /// Random answers: `_chance`.
    Chance,
}

impl Answerer {
    /// All, in the order of the tables' columns.
    pub const ALL: [Answerer; 6] = [
        Answerer::Model,
        Answerer::TextOnly,
        Answerer::PictureOnly,
        Answerer::Majority,
        Answerer::Prior,
        Answerer::Chance,
    ];

    /// What stands behind the name of a metric.
    pub fn suffix(self) -> &'static str {
        match self {
            Answerer::Model => "",
            Answerer::TextOnly => "_text_only",
            Answerer::PictureOnly => "_picture_only",
            Answerer::Majority => "_majority",
            Answerer::Prior => "_prior",
            Answerer::Chance => "_chance",
        }
    }

    /// The heading of a column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Answerer::Model => "model",
            Answerer::TextOnly => "text only",
            Answerer::PictureOnly => "picture only",
            Answerer::Majority => "majority",
            Answerer::Prior => "prior",
            Answerer::Chance => "chance",
        }
    }

    /// The metric and whose figure it is.
    pub(crate) fn of(name: &str) -> (&str, Answerer) {
        let of = |who: &Answerer| Some((name.strip_suffix(who.suffix())?, *who));
        Self::ALL[1..].iter().find_map(of).unwrap_or((name, Answerer::Model))
    }
}

impl TaskResult {
    /// Adds a figure under the name of its metric and of who reached it.
    pub fn add_figure(&mut self, metric: &str, who: Answerer, value: f64) {
        self.metrics.insert(format!("{metric}{}", who.suffix()), value);
    }

    /// Adds the mean over all examples as `metric`, and those of the kinds as `metric[kind]`,
    /// unless there is only one.
    pub fn add_by_kind(&mut self, metric: &str, who: Answerer, scores: &ByKind) {
        self.add_figure(metric, who, scores.percent());
        if scores.kinds.len() > 1 {
            for (kind, mean) in &scores.kinds {
                self.add_figure(&format!("{metric}[{kind}]"), who, mean.percent());
            }
        }
    }
}

/// The figures of one result that has baselines beside the model's.
pub(crate) struct Compared<'a> {
    pub result: &'a TaskResult,
    /// Who answered, in order.
    pub columns: Vec<Answerer>,
    /// Metrics by name, each with the figures of the columns.
    pub rows: Vec<(&'a str, Vec<Option<f64>>)>,
}

impl<'a> Compared<'a> {
    /// The metrics of a result beside each other; absent where it has none but the model's, or only
    /// those of retrieval, which have a table of their own.
    pub fn of(result: &'a TaskResult) -> Option<Self> {
        let mut by_metric: BTreeMap<&str, BTreeMap<Answerer, f64>> = BTreeMap::new();
        for (_, name, value) in other_metrics(std::slice::from_ref(result)) {
            let (metric, who) = Answerer::of(name);
            by_metric.entry(metric).or_default().insert(who, value);
        }
        let has = |who: &Answerer| by_metric.values().any(|figures| figures.contains_key(who));
        let columns: Vec<Answerer> = Answerer::ALL.into_iter().filter(has).collect();
        if columns.iter().all(|who| *who == Answerer::Model) {
            return None;
        }
        let figures = |figures: &BTreeMap<Answerer, f64>| {
            columns.iter().map(|who| figures.get(who).copied()).collect()
        };
        let rows = by_metric.iter().map(|(metric, of)| (*metric, figures(of))).collect();
        Some(Compared { result, columns, rows })
    }

    /// A plain-text table. Ends with a line feed.
    pub fn text(&self) -> String {
        let TaskResult { task, split, n, .. } = self.result;
        let width = self.rows.iter().map(|(metric, _)| metric.chars().count()).fold(6, usize::max);
        let mut table = format!("{task}, {split}, n = {n}\n  {:width$}", "metric");
        let headings = self.columns.iter().map(|who| format!("  {:>12}", who.heading()));
        table.extend(headings);
        table.push('\n');
        for (metric, figures) in &self.rows {
            table += &format!("  {metric:width$}");
            for figure in figures {
                table += &format!("  {:>12}", figure_text(*figure));
            }
            table.push('\n');
        }
        table
    }
}

/// A figure as both tables show it.
pub(crate) fn figure_text(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"))
}
