//! The tables of the report: facts and results.

use super::page::escape;
use crate::answerer::{Compared, figure_text};
use crate::result::{cell, other_metrics, retrieval_rows};
use crate::{Answerer, TaskResult};

/// Keys and values, a row each.
pub fn facts(facts: &[(String, String)]) -> String {
    let row = |(key, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(key), escape(value))
    };
    let rows: String = facts.iter().map(row).collect();
    format!("<table class=\"facts\">\n<tbody>\n{rows}</tbody>\n</table>\n")
}

/// Recall before and after re-ranking beside chance; then the metrics of other tasks.
pub fn results(results: &[TaskResult]) -> String {
    retrieval(results) + &others(results)
}

fn retrieval(results: &[TaskResult]) -> String {
    let mut body = String::new();
    for row in retrieval_rows(results) {
        let class = if row.first { " class=\"first\"" } else { "" };
        let (split, n) =
            if row.first { (escape(row.split), row.n.to_string()) } else { Default::default() };
        body += &format!("<tr{class}><td>{split}</td><td class=\"number\">{n}</td>");
        body += &format!("<th scope=\"row\">{}</th>", row.ranking);
        for value in row.values {
            body += &format!("<td class=\"number\">{}</td>", cell(value));
        }
        body += "</tr>\n";
    }
    if body.is_empty() {
        return body;
    }
    let recalls: String =
        [1, 5, 10].map(|k| format!("<th scope=\"col\" class=\"number\">R@{k}</th>")).concat();
    format!(
        "<p class=\"about\">Recall in percent: the share of queries with a right answer among the \
         first 1, 5 and 10. n counts pictures. Equal scores count against the model.</p>\n\
         <div class=\"wide\"><table class=\"results\">\n<thead>\n\
         <tr><td colspan=\"3\"></td><th colspan=\"3\" scope=\"colgroup\">picture to caption</th>\
         <th colspan=\"3\" scope=\"colgroup\">caption to picture</th></tr>\n\
         <tr><th scope=\"col\">split</th><th scope=\"col\" class=\"number\">n</th>\
         <th scope=\"col\">ranking</th>{recalls}{recalls}</tr>\n\
         </thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

/// One table for each result with baselines, one for what is left.
fn others(results: &[TaskResult]) -> String {
    let tables: String = results.iter().filter_map(Compared::of).map(|of| compared(&of)).collect();
    let plain = results.iter().filter(|result| Compared::of(result).is_none());
    tables + &plain_metrics(&plain.cloned().collect::<Vec<_>>())
}

/// The model beside what needs no model, or only half the input.
fn compared(compared: &Compared) -> String {
    let TaskResult { task, split, n, .. } = compared.result;
    let heading =
        |who: &Answerer| format!("<th scope=\"col\" class=\"number\">{}</th>", who.heading());
    let headings: String = compared.columns.iter().map(heading).collect();
    let cell = |figure: &Option<f64>| format!("<td class=\"number\">{}</td>", figure_text(*figure));
    let row = |(metric, figures): &(&str, Vec<Option<f64>>)| {
        let cells: String = figures.iter().map(cell).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(metric))
    };
    let rows: String = compared.rows.iter().map(row).collect();
    format!(
        "<h3>{}, {}, n = {n}</h3>\n<div class=\"wide\"><table class=\"results\">\n<thead>\n<tr>\
         <th scope=\"col\">metric</th>{headings}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(task),
        escape(split)
    )
}

fn plain_metrics(results: &[TaskResult]) -> String {
    let row = |(result, name, value): (&TaskResult, &str, f64)| {
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><th scope=\"row\">{}</th>\
             <td class=\"number\">{value:.4}</td></tr>\n",
            escape(&result.task),
            escape(&result.split),
            result.n,
            escape(name)
        )
    };
    let rows: String = other_metrics(results).into_iter().map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<div class=\"wide\"><table class=\"results\">\n<thead>\n<tr><th scope=\"col\">task</th>\
         <th scope=\"col\">split</th><th scope=\"col\" class=\"number\">n</th>\
         <th scope=\"col\">metric</th><th scope=\"col\" class=\"number\">value</th></tr>\n\
         </thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}
