//! metrics.jsonl and the event file: one line of figures per logged step.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::atomic::Aside;
use crate::event_file::EventFile;

/// The figures of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub step: u64,
    #[serde(flatten)]
    pub figures: serde_json::Map<String, serde_json::Value>,
}

impl Line {
    pub fn new(step: u64) -> Self {
        Self { step, figures: serde_json::Map::new() }
    }

    pub fn push(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_string(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.figures.get(name).and_then(serde_json::Value::as_f64)
    }
}

/// Appends lines to a run's logs.
pub struct MetricsLog {
    lines: File,
    events: EventFile,
}

impl MetricsLog {
    /// Continues the logs of a run behind `step`: lines of later steps, which a killed run left
    /// behind its last checkpoint, are taken out, for those steps are run again.
    pub fn open(path: &Path, events: &Path, step: u64) -> Result<Self> {
        std::fs::create_dir_all(events).with_context(|| events.display().to_string())?;
        let kept = if path.exists() { read(path)? } else { Vec::new() };
        let mut aside = Aside::create(path)?;
        for line in kept.iter().filter(|line| line.step <= step) {
            writeln!(aside, "{}", serde_json::to_string(line)?)
                .with_context(|| path.display().to_string())?;
        }
        aside.place()?;
        let lines = OpenOptions::new().append(true).open(path)?;
        Ok(Self { lines, events: EventFile::create(events, step)? })
    }

    /// Puts everything appended so far on disk.
    pub fn sync(&self) -> Result<()> {
        self.lines.sync_data().context("metrics.jsonl")
    }

    /// Appends one line.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        writeln!(self.lines, "{}", serde_json::to_string(line)?).context("metrics.jsonl")?;
        let scalars =
            line.figures.iter().filter_map(|(name, v)| v.as_f64().map(|v| (name.as_str(), v)));
        self.events.scalars(line.step, scalars).context("event file")
    }
}

/// Reads metrics.jsonl. A last line that was cut off by a kill is left out; any other bad line is an
/// error that names it.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let lines: Vec<String> = BufReader::new(file).lines().collect::<std::io::Result<_>>()?;
    let mut parsed = Vec::with_capacity(lines.len());
    for (index, text) in lines.iter().enumerate() {
        match serde_json::from_str(text) {
            Ok(line) => parsed.push(line),
            Err(_) if index + 1 == lines.len() => break,
            Err(error) => {
                anyhow::bail!("{}: line {}: {error}", path.display(), index + 1)
            }
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> Line {
        let mut line = Line::new(step);
        line.push("loss", step as f64 / 3.0);
        line
    }

    #[test]
    fn continues_behind_a_step_and_drops_what_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, folder.path(), 0).unwrap();
        for step in 1..=5 {
            log.append(&line(step)).unwrap();
        }
        drop(log);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "{{\"step\": 6, \"lo").unwrap();
        let mut log = MetricsLog::open(&path, folder.path(), 3).unwrap();
        log.append(&line(4)).unwrap();
        assert_eq!(read(&path).unwrap(), (1..=4).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"step\": 1}\nnonsense\n{\"step\": 3}\n").unwrap();
        let message = format!("{:#}", read(&path).unwrap_err());
        assert!(message.contains("metrics.jsonl: line 2"), "{message}");
    }
}
