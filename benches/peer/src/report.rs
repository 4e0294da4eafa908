//! From rounds to ratios, and from those to a table.

use std::fmt::Write;

use serde::Serialize;

use crate::protocol::Round;
use crate::workload::Entry;

/// Both sides of a workload.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub workload: &'static str,
    pub letter: char,
    pub summary: &'static str,
    pub unit: String,
    pub goal: f64,
    pub parameters: Option<usize>,
    pub weft: Vec<Round>,
    /// Empty where PyTorch was missing.
    pub torch: Vec<Round>,
    /// Memory of weft's and PyTorch's worker before the workload was set up, in MiB.
    pub base_rss_mib: [f64; 2],
    /// The way of PyTorch's side that was the fastest.
    pub variant: Option<String>,
    pub notes: Vec<String>,
}

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// `None` for no figures.
pub fn spread(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    };
    Some(Spread { median, least, most })
}

impl Outcome {
    /// Nothing measured yet.
    pub fn new(entry: &Entry) -> Self {
        Self {
            workload: entry.name,
            letter: entry.letter,
            summary: entry.summary,
            unit: String::new(),
            goal: entry.goal,
            parameters: None,
            weft: vec![],
            torch: vec![],
            base_rss_mib: [0.0; 2],
            variant: None,
            notes: vec![],
        }
    }

    /// Throughput of weft over that of PyTorch, pair by pair of rounds that followed one another.
    pub fn ratios(&self) -> Vec<f64> {
        let pairs = self.weft.iter().zip(&self.torch);
        pairs.map(|(weft, torch)| weft.throughput() / torch.throughput()).collect()
    }

    /// What a reader at a terminal wants.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}: {}\n", self.letter, self.workload, self.summary);
        let mut line = |label: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<12}{value}");
        };
        for (label, rounds) in [("weft", &self.weft), ("torch", &self.torch)] {
            if let Some(speed) = spread(rounds.iter().map(Round::throughput)) {
                let (unit, peak) = (&self.unit, peak(rounds));
                let values = format!("{} {unit}/s, peak {peak:.0} MiB", figure(speed.median));
                line(label, values);
            }
        }
        if let Some(ratio) = spread(self.ratios()) {
            let all: Vec<String> = self.ratios().iter().map(|r| format!("{r:.2}")).collect();
            line("pairs", all.join(" "));
            let Spread { median, least, most } = ratio;
            let goal = self.goal;
            line("ratio", format!("{median:.2} ({least:.2} to {most:.2}), goal {goal:.2}"));
            let memory = peak(&self.weft) / peak(&self.torch);
            let [ours, theirs] = self.base_rss_mib;
            line(
                "memory",
                format!("{memory:.2} of torch's; libraries {ours:.0} and {theirs:.0} MiB"),
            );
        }
        if let Some(variant) = &self.variant {
            line("torch by", variant.clone());
        }
        for note in &self.notes {
            line("note", note.clone());
        }
        text
    }
}

/// Work per second with three significant digits.
fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn peak(rounds: &[Round]) -> f64 {
    rounds.iter().map(|round| round.peak_rss_mib).fold(0.0, f64::max)
}

/// The table of `docs/benchmarks.md`.
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| | workload | weft | PyTorch | weft / PyTorch, median (range) | goal | peak MiB, weft / PyTorch (libraries) |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for outcome in outcomes {
        let speed = |rounds: &[Round]| match spread(rounds.iter().map(Round::throughput)) {
            Some(speed) => format!("{} {}/s", figure(speed.median), outcome.unit),
            None => "not run".into(),
        };
        let variant = outcome.variant.as_ref().map_or(String::new(), |v| format!(" ({v})"));
        let ratio = spread(outcome.ratios())
            .map_or(String::new(), |r| format!("{:.2} ({:.2}-{:.2})", r.median, r.least, r.most));
        let (ours, theirs) = (peak(&outcome.weft), peak(&outcome.torch));
        let memory = match theirs > 0.0 {
            true => {
                let [base, other] = outcome.base_rss_mib;
                format!("{ours:.0} / {theirs:.0} = {:.2} ({base:.0} / {other:.0})", ours / theirs)
            }
            false => format!("{ours:.0}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {}: {} | {} | {}{variant} | {ratio} | {:.2} | {memory} |",
            outcome.letter,
            outcome.workload,
            outcome.summary,
            speed(&outcome.weft),
            speed(&outcome.torch),
            outcome.goal,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WORKLOADS;

    fn round(seconds: f64, peak_rss_mib: f64) -> Round {
        Round { seconds, work: 12.0, peak_rss_mib }
    }

    fn outcome() -> Outcome {
        Outcome {
            unit: "samples".into(),
            weft: vec![round(2.0, 100.0), round(3.0, 150.0), round(2.0, 120.0)],
            torch: vec![round(4.0, 200.0), round(3.0, 100.0), round(3.0, 300.0)],
            base_rss_mib: [5.0, 90.0],
            variant: Some("compile".into()),
            ..Outcome::new(&WORKLOADS[0])
        }
    }

    #[test]
    fn the_middle_of_odd_and_even_counts() {
        assert_eq!(spread([]), None);
        assert_eq!(spread([3.0]), Some(Spread { median: 3.0, least: 3.0, most: 3.0 }));
        assert_eq!(spread([3.0, 1.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(spread([9.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 9.0 }));
    }

    #[test]
    fn a_ratio_above_one_says_that_weft_is_faster() {
        assert_eq!(outcome().ratios(), [2.0, 1.0, 1.5]);
        let text = outcome().text();
        assert!(text.contains("1.50 (1.00 to 2.00), goal 1.00"), "{text}");
        assert!(text.contains("0.50 of torch's; libraries 5 and 90 MiB"), "{text}");
    }

    #[test]
    fn the_table_has_a_row_for_each_workload() {
        let table = markdown(&[outcome(), Outcome { torch: vec![], variant: None, ..outcome() }]);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 4, "{table}");
        assert!(
            rows[2].contains("| 1.50 (1.00-2.00) | 1.00 | 150 / 300 = 0.50 (5 / 90) |"),
            "{table}"
        );
        assert!(rows[3].contains("| not run |") && rows[3].ends_with("| 150 |"), "{table}");
        let columns = |row: &str| row.matches('|').count();
        assert!(rows.iter().all(|row| columns(row) == columns(rows[0])), "{table}");
    }
}
