//! `report.html`: one file that shows what a run learnt, and opens without a network.

mod chart;
mod example;
mod gallery;
mod heatmap;
mod page;
mod picture;
mod table;

pub(crate) use page::escape;

pub use chart::Curve;
pub use example::{Example, Heat, Mark, Shown};
pub use gallery::{Hit, Query};
pub use heatmap::AttentionMap;

use crate::{EvalError, TaskResult};

/// What the report of a run shows. Empty parts leave no trace on the page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Title of the page.
    pub title: String,
    /// Facts about the run, as ("parameters", "12.3 M"), in order.
    pub facts: Vec<(String, String)>,
    /// One chart each: the losses, their total, the learning rate.
    pub curves: Vec<Curve>,
    /// Evaluation results: the retrieval table, other metrics below it.
    pub results: Vec<TaskResult>,
    /// Held-out queries with the pictures the model found.
    pub gallery: Vec<Query>,
    /// What the model makes of examples of a task.
    pub examples: Vec<Example>,
    /// Which patches each word attends to.
    pub attention: Vec<AttentionMap>,
    /// What a reader should know before believing the figures, a paragraph each.
    pub notes: Vec<String>,
    /// Whose pictures and data these are, under which licence, a line each.
    pub credit: Vec<String>,
}

impl Report {
    /// The page. All text is escaped; pictures are embedded as they are, so they should be small:
    /// the page holds a copy of every hit.
    ///
    /// # Errors
    /// A heat map whose weights do not fit its grid, a marked rectangle that is not finite, or a
    /// curve the plotting library cannot draw. A picture of unknown format is no error: the page
    /// says so in its place.
    pub fn html(&self) -> Result<String, EvalError> {
        let mut body = String::new();
        if !self.facts.is_empty() {
            body += &page::section("The run", &table::facts(&self.facts));
        }
        if !self.notes.is_empty() {
            let notes = self.notes.iter().map(|note| format!("<p>{}</p>\n", page::escape(note)));
            body += &page::section("Notes", &notes.collect::<String>());
        }
        if !self.results.is_empty() {
            body += &page::section("Results", &table::results(&self.results));
        }
        if !self.gallery.is_empty() {
            let queries = self.gallery.iter().map(gallery::query);
            let about = "<p class=\"about\">Sentences the model has not seen, and the pictures it \
                         finds for each, best first. Point at a picture for its own caption.</p>\n";
            body +=
                &page::section("What it finds", &(about.to_owned() + &queries.collect::<String>()));
        }
        if !self.examples.is_empty() {
            body += &page::section("Examples", &example::all(&self.examples)?);
        }
        if !self.curves.is_empty() {
            let charts = self.curves.iter().map(chart::figure).collect::<Result<String, _>>()?;
            body +=
                &page::section("Training", &format!("<div class=\"charts\">\n{charts}</div>\n"));
        }
        if !self.attention.is_empty() {
            let maps = self.attention.iter().enumerate();
            let rows =
                maps.map(|(id, map)| heatmap::row(id, map)).collect::<Result<String, _>>()?;
            body += &page::section("Where words look", &(heatmap::ABOUT.to_owned() + &rows));
        }
        if !self.credit.is_empty() {
            body += &footer(&self.credit);
        }
        Ok(page::page(&self.title, &body))
    }
}

/// Whom the pictures of a page are owed to.
fn footer(credit: &[String]) -> String {
    if credit.is_empty() {
        return String::new();
    }
    let lines = credit.iter().map(|line| format!("<p>{}</p>\n", page::escape(line)));
    format!("<footer>\n{}</footer>\n", lines.collect::<String>())
}

/// The page of an evaluation of tasks: the figures, what the model makes of some examples, and whom
/// the pictures are owed to.
///
/// # Errors
/// As [`Report::html`].
pub fn tasks_page(
    title: &str,
    results: &[TaskResult],
    examples: &[Example],
    credit: &[String],
) -> Result<String, EvalError> {
    let (results, examples) = (results.to_vec(), examples.to_vec());
    let title = title.to_owned();
    Report { title, results, examples, credit: credit.to_vec(), ..Default::default() }.html()
}

/// The page of `weft search`: a query, the pictures found for it, best first, and whom they are
/// owed to.
pub fn search_page(query: &str, hits: &[Hit], credit: &[String]) -> String {
    let found = match hits.len() {
        0 => "<p class=\"about\">Nothing found.</p>\n".to_owned(),
        1 => "<p class=\"about\">1 picture.</p>\n".to_owned(),
        n => format!("<p class=\"about\">{n} pictures, best first.</p>\n"),
    };
    page::page(query, &(found + &gallery::hits(hits) + &footer(credit)))
}
