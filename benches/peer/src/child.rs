//! A worker as its driver sees it: a child process that answers line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;

use crate::protocol::{GO, Ready, Round, parse};

/// Lines of a failed worker's error output that are shown.
const SHOWN: usize = 20;
/// How long the end of that output is waited for: processes that the worker started may outlive it
/// and keep it open.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running worker.
pub struct Worker {
    /// For messages.
    name: String,
    child: Child,
    /// `None` once it was told that no more comes.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: Errors,
}

/// The error output, read along so that a talkative worker never blocks.
struct Errors {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Errors {
    fn of(mut stderr: ChildStderr) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let written = bytes.clone();
        let reader = spawn(move || {
            let mut chunk = [0; 4096];
            // What was read until an error is all there is to show.
            while let Ok(count @ 1..) = stderr.read(&mut chunk) {
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                written.extend_from_slice(&chunk[..count]);
            }
        });
        Self { bytes, reader }
    }

    /// The last lines, once the worker has ended.
    fn end(&self) -> String {
        let ended = Instant::now();
        while !self.reader.is_finished() && ended.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n    ")
    }
}

impl Worker {
    /// Starts `command` and waits until it has warmed up.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or says something else; with the end of its error output.
    pub fn start(name: &str, mut command: Command) -> Result<(Self, Ready)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("{name}: cannot run {:?}", command.get_program()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no output")?);
        let errors = Errors::of(child.stderr.take().context("no error output")?);
        let output = BufReader::new(output);
        let mut worker = Self { name: name.into(), child, input, output, errors };
        let ready = worker.read()?;
        Ok((worker, ready))
    }

    /// Lets it run one round.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn round(&mut self) -> Result<Round> {
        if let Some(input) = &mut self.input {
            // A worker that has ended is reported by the read below, with its own words.
            let _ = writeln!(input, "{GO}").and_then(|()| input.flush());
        }
        self.read()
    }

    /// Ends its input and waits until it has ended.
    pub fn stop(mut self) -> Result<()> {
        self.input = None;
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(self.failure(anyhow!("ended with {status}"))),
        }
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        let answer = match read {
            Ok(0) => Err(anyhow!("ended without an answer")),
            Ok(_) => parse(&line),
            Err(error) => Err(error.into()),
        };
        answer.map_err(|error| self.failure(error))
    }

    /// `error` with the name of the worker and the end of its error output.
    fn failure(&mut self, error: anyhow::Error) -> anyhow::Error {
        // It may still run, after an answer that was none.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let end = self.errors.end();
        anyhow!("{}: {error:#}\n  its error output ends:\n    {end}", self.name)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Harmless where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const READY: &str =
        r#"{"ready":"x","unit":"samples","parameters":1,"base_rss_mib":1,"check":{},"notes":[]}"#;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn failure(script: &str) -> String {
        let begun = Worker::start("torch", shell(script));
        let error = begun.and_then(|(mut worker, _)| worker.round().map(|_| ())).unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn a_worker_answers_every_go() {
        let script = format!(
            "echo '{READY}'; while read line; do \
             echo \"{{\\\"seconds\\\":2,\\\"work\\\":6,\\\"peak_rss_mib\\\":1}}\"; done"
        );
        let (mut worker, ready) = Worker::start("torch", shell(&script)).unwrap();
        assert_eq!(ready.parameters, Some(1));
        for _ in 0..3 {
            assert_eq!(worker.round().unwrap().throughput(), 3.0);
        }
        worker.stop().unwrap();
    }

    #[test]
    fn a_worker_that_dies_is_reported_with_its_error_output() {
        for script in ["echo out of luck >&2; exit 3".to_string(), {
            format!("echo '{READY}'; read line; echo out of luck >&2; exit 3")
        }] {
            let error = failure(&script);
            assert!(error.contains("torch: ended without an answer"), "{error}");
            assert!(error.contains("out of luck"), "{error}");
        }
    }

    #[test]
    fn garbage_is_reported_with_the_error_output() {
        let error = failure("echo out of luck >&2; echo hello; sleep 60");
        assert!(error.contains("\"hello\\n\"") && error.contains("out of luck"), "{error}");
    }

    #[test]
    fn a_failure_at_the_end_counts() {
        let (worker, _) =
            Worker::start("torch", shell(&format!("echo '{READY}'; read line; exit 4"))).unwrap();
        assert!(worker.stop().unwrap_err().to_string().contains('4'));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Worker::start("torch", Command::new("no-such-program")).err().unwrap();
        assert!(format!("{error:#}").contains("no-such-program"), "{error:#}");
    }
}
