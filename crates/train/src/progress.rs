//! What a person sees while a run goes on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::metrics_log::Line;

/// How often a line is printed where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(20);

/// A progress bar on a terminal, a line now and then elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    names: Vec<&'static str>,
    begun: Instant,
    first: u64,
    steps: u64,
    samples_per_step: usize,
    printed: Instant,
}

impl Progress {
    /// `names` are the objectives; steps before `first` were done earlier.
    pub fn new(names: Vec<&'static str>, first: u64, steps: u64, samples_per_step: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
            // The template is a constant; if it were wrong, the default bar would do.
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self { bar, names, begun: now, first, steps, samples_per_step, printed: now }
    }

    /// Shows the step that `line` is of; `waited` is the time spent waiting for data since `new`.
    pub fn show(&mut self, line: &Line, waited: Duration) {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let done = line.step - self.first;
        let rate = done as f64 / elapsed.max(1e-9);
        let left = Duration::from_secs_f64((self.steps - line.step) as f64 / rate.max(1e-9));
        let losses: Vec<String> = std::iter::once("loss")
            .chain(self.names.iter().copied())
            .filter_map(|name| line.get(name).map(|value| format!("{name} {value:.3}")))
            .collect();
        let message = format!(
            "{} | {:.0} samples/s | data wait {:.0}% | {} left",
            losses.join(" "),
            rate * self.samples_per_step as f64,
            100.0 * waited.as_secs_f64() / elapsed.max(1e-9),
            clock(left),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(line.step);
                bar.set_message(message);
            }
            None if done == 1 || self.printed.elapsed() >= LINE_EVERY => {
                self.printed = Instant::now();
                eprintln!("{}/{} {message}", line.step, self.steps);
            }
            None => {}
        }
    }

    /// Leaves the bar as it stands.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Time in a form for people.
pub fn minutes(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock(Duration::from_secs(65)), "1:05");
        assert_eq!(clock(Duration::from_secs(3605)), "1:00:05");
    }
}
