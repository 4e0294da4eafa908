//! Watching that the targets of MRM and MIM do not become all alike.

use std::collections::BTreeMap;

use crate::metrics_log::Line;

/// Logged steps in a row that a figure must stay below the limit: one batch of pictures that look alike
/// is no collapse.
const PATIENCE: u32 = 100;

/// How the names of the figures end that tell how far targets are apart.
const SPREAD: &str = "_spread";

/// Holds the figures of logged steps against a limit, and speaks once of each that stays below it.
///
/// A network that learns from its own moving average can make its task easy by giving all patches and
/// words one representation: the loss falls, and nothing is learned (MAMO, section 3.2, which puts the
/// explicit targets beside the implicit one for that reason).
pub struct CollapseMonitor {
    below: Option<f64>,
    /// Logged steps in a row below the limit, by figure.
    steps: BTreeMap<String, u32>,
}

impl CollapseMonitor {
    /// Without a limit nothing is watched.
    pub fn new(below: Option<f64>) -> Self {
        Self { below, steps: BTreeMap::new() }
    }

    /// What there is to say when `line` has been logged, for each figure at most once.
    pub fn look(&mut self, line: &Line) -> Vec<String> {
        let Some(below) = self.below else { return Vec::new() };
        let mut said = Vec::new();
        for name in line.figures.keys().filter(|name| name.ends_with(SPREAD)) {
            let Some(value) = line.get(name) else { continue };
            let steps = self.steps.entry(name.clone()).or_default();
            // Whoever was spoken of stays so.
            if *steps >= PATIENCE {
                continue;
            }
            *steps = if value < below { *steps + 1 } else { 0 };
            if *steps == PATIENCE {
                said.push(warning(line.step, name, value, below));
            }
        }
        said
    }
}

/// What a monitor would have said of these lines.
pub fn collapses(below: Option<f64>, lines: &[Line]) -> Vec<String> {
    let mut monitor = CollapseMonitor::new(below);
    lines.iter().flat_map(|line| monitor.look(line)).collect()
}

fn warning(step: u64, figure: &str, value: f64, below: f64) -> String {
    format!(
        "step {step}: {figure} is {value:.4} and has been below {below} (train.collapse_below) for \
         {PATIENCE} logged steps: the targets are nearly all alike, so that their loss is small \
         although nothing is learned of them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, figures: &[(&str, f64)]) -> Line {
        let mut line = Line::new(step);
        figures.iter().for_each(|(name, value)| line.push(name, *value));
        line
    }

    /// The steps at which something was said of lines with this spread of a picture's targets.
    fn said(below: Option<f64>, spread: impl Fn(u64) -> f64) -> Vec<u64> {
        let mut monitor = CollapseMonitor::new(below);
        let speaks = |step: &u64| {
            !monitor
                .look(&line(*step, &[("mrm", 0.0), ("mrm_image_spread", spread(*step))]))
                .is_empty()
        };
        (1..=500).filter(speaks).collect()
    }

    #[test]
    fn a_collapse_is_told_once_after_a_hundred_steps() {
        assert_eq!(said(Some(0.1), |step| if step > 50 { 0.01 } else { 0.9 }), [150]);
        // Coming back and falling again is no news.
        assert_eq!(said(Some(0.1), |step| if step % 200 < 150 { 0.01 } else { 0.9 }), [100]);
    }

    #[test]
    fn what_comes_back_in_time_is_none_and_without_a_limit_nothing_is_watched() {
        assert_eq!(said(Some(0.1), |step| if step % 100 == 0 { 0.9 } else { 0.01 }), [0u64; 0]);
        assert_eq!(said(Some(0.1), |_| 0.1), [0u64; 0]);
        assert_eq!(said(None, |_| 0.0), [0u64; 0]);
    }

    #[test]
    fn each_figure_is_named_with_its_step_and_what_it_means() {
        let lines: Vec<Line> = (1..=300)
            .map(|step| {
                let text = if step > 100 { 0.002 } else { 1.0 };
                line(step, &[("mrm_image_spread", 0.01), ("mrm_text_spread", text), ("mim", 0.0)])
            })
            .collect();
        let found = collapses(Some(0.05), &lines);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("step 100: mrm_image_spread is 0.0100"), "{}", found[0]);
        assert!(found[1].contains("step 200: mrm_text_spread is 0.0020"), "{}", found[1]);
        for text in ["below 0.05", "train.collapse_below", "all alike"] {
            assert!(found[0].contains(text), "{}", found[0]);
        }
        assert!(collapses(None, &lines).is_empty());
    }
}
