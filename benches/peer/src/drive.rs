//! The driver: both sides in turn, round by round.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::child::Worker;
use crate::protocol::{Ready, Round, compare};
use crate::report::{Outcome, markdown, spread};
use crate::torch::Torch;
use crate::workload::{Entry, select};

/// Rounds of the short run that chooses PyTorch's variant.
const TRIAL: usize = 3;
/// Between two rounds: threads of the side that has finished stop spinning.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub struct Args {
    /// Workloads by letter or name; all without it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds of each side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Threads of each side; by default as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// A Python that has torch.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Run this side alone.
    #[arg(long, value_enum)]
    compare_only: Option<Side>,
    /// Whether weft uses its fused kernels.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    fused: bool,
    /// Folder of JPEG pictures for the data path, as python/pictures.py makes them.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Write all rounds to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Print the table of docs/benchmarks.md at the end.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    Weft,
}

pub fn run(args: &Args) -> Result<()> {
    let entries = select(&args.only)?;
    let torch = match args.compare_only {
        Some(Side::Weft) => None,
        None => match Torch::find(&args.python) {
            Ok(torch) => Some(torch),
            Err(missing) => {
                eprintln!("no PyTorch: {missing}; running weft alone");
                None
            }
        },
    };
    let driver = Driver { args, torch, threads: threads(args)? };
    println!("{}\n", driver.headline());
    let mut outcomes = Vec::new();
    let mut failures = Vec::new();
    for entry in entries {
        match driver.measure(entry) {
            Ok(outcome) => {
                println!("{}", outcome.text());
                outcomes.push(outcome);
            }
            // The others are still worth having; the run as a whole fails at its end.
            Err(error) => {
                eprintln!("{} {}: {error:#}\n", entry.letter, entry.name);
                failures.push(entry.name);
            }
        }
    }
    if args.markdown {
        println!("{}\n\n{}", driver.headline(), markdown(&outcomes));
    }
    if let Some(path) = &args.json {
        driver.write(path, &outcomes)?;
    }
    anyhow::ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    Ok(())
}

fn threads(args: &Args) -> Result<usize> {
    match args.threads {
        Some(count) => Ok(count),
        None => Ok(std::thread::available_parallelism().context("--threads is needed")?.get()),
    }
}

struct Driver<'a> {
    args: &'a Args,
    torch: Option<Torch>,
    threads: usize,
}

impl Driver<'_> {
    fn headline(&self) -> String {
        let torch = match &self.torch {
            Some(torch) => format!("torch {}", torch.version),
            None => "no torch".into(),
        };
        let (threads, rounds) = (self.threads, self.args.rounds);
        format!("{}, {threads} threads, f32, {torch}, {rounds} rounds in turn", processor())
    }

    fn measure(&self, entry: &Entry) -> Result<Outcome> {
        let exchange = tempfile::Builder::new().prefix("weft-peer-").tempdir()?;
        eprintln!("{} {}: setting up", entry.letter, entry.name);
        // Weft first: it writes the weights and inputs that PyTorch's side reads.
        let (mut weft, ready) = Worker::start("weft", self.weft(entry, exchange.path())?)?;
        let mut outcome = Outcome {
            unit: ready.unit.clone(),
            parameters: ready.parameters,
            base_rss_mib: [ready.base_rss_mib, 0.0],
            notes: ready.notes.iter().map(|note| format!("weft: {note}")).collect(),
            ..Outcome::new(entry)
        };
        let mut torch = match &self.torch {
            Some(torch) => {
                Some(self.fastest(torch, entry, exchange.path(), &ready, &mut outcome)?)
            }
            None => None,
        };
        for _ in 0..self.args.rounds {
            outcome.weft.push(round(&mut weft)?);
            if let Some(torch) = &mut torch {
                outcome.torch.push(round(torch)?);
            }
        }
        weft.stop()?;
        torch.map_or(Ok(()), Worker::stop)?;
        Ok(outcome)
    }

    /// PyTorch's worker by the variant that a short run finds the fastest. Only one of them is in
    /// memory at a time.
    fn fastest(
        &self,
        torch: &Torch,
        entry: &Entry,
        exchange: &Path,
        weft: &Ready,
        outcome: &mut Outcome,
    ) -> Result<Worker> {
        let start = |variant: &str| -> Result<(Worker, Ready)> {
            let command = self.torch(torch, entry, variant, exchange);
            let (worker, ready) = Worker::start(&format!("torch ({variant})"), command)?;
            compare(weft, &ready)?;
            Ok((worker, ready))
        };
        let (worker, ready, chosen) = match entry.variants {
            [single] => {
                let (worker, ready) = start(single)?;
                (worker, ready, *single)
            }
            variants => {
                let chosen = trial(variants, &start, &mut outcome.notes)?;
                let (worker, ready) = start(chosen)?;
                (worker, ready, chosen)
            }
        };
        outcome.variant = Some(chosen.to_string());
        outcome.base_rss_mib[1] = ready.base_rss_mib;
        outcome.notes.extend(ready.notes.iter().map(|note| format!("torch: {note}")));
        Ok(worker)
    }

    fn weft(&self, entry: &Entry, exchange: &Path) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", entry.name]);
        command.arg("--fused").arg(self.args.fused.to_string());
        self.common(&mut command, exchange);
        Ok(command)
    }

    fn torch(&self, torch: &Torch, entry: &Entry, variant: &str, exchange: &Path) -> Command {
        let mut command = torch.worker();
        command.args([entry.name, "--variant", variant]);
        self.common(&mut command, exchange);
        command
    }

    fn common(&self, command: &mut Command, exchange: &Path) {
        let threads = self.threads.to_string();
        command.args(["--threads", &threads]).arg("--exchange").arg(exchange);
        if let Some(pictures) = &self.args.pictures {
            command.arg("--pictures").arg(pictures);
        }
        // Before the libraries are loaded, some of which look only then.
        command.env("RAYON_NUM_THREADS", &threads).env("OMP_NUM_THREADS", &threads);
    }

    fn write(&self, path: &Path, outcomes: &[Outcome]) -> Result<()> {
        let all = serde_json::json!({
            "processor": processor(),
            "threads": self.threads,
            "torch": self.torch.as_ref().map(|torch| &torch.version),
            "fused": self.args.fused,
            "workloads": outcomes.iter().map(|outcome| serde_json::json!({
                "rounds": outcome,
                "ratios": outcome.ratios(),
                "ratio": spread(outcome.ratios()),
            })).collect::<Vec<_>>(),
        });
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)
            .with_context(|| path.display().to_string())
    }
}

/// The fastest of `variants` in a few rounds; what they gave, and which failed, goes into `notes`.
fn trial<'v>(
    variants: &[&'v str],
    start: &impl Fn(&str) -> Result<(Worker, Ready)>,
    notes: &mut Vec<String>,
) -> Result<&'v str> {
    let mut best: Option<(&str, f64)> = None;
    let mut errors = Vec::new();
    for &variant in variants {
        let speed = start(variant).and_then(|(mut worker, _)| {
            let rounds = (0..TRIAL).map(|_| round(&mut worker)).collect::<Result<Vec<_>>>()?;
            worker.stop()?;
            spread(rounds.iter().map(Round::throughput)).context("no round")
        });
        match speed {
            Ok(speed) => {
                notes.push(format!("torch {variant} gave {:.3} in a short run", speed.median));
                if best.is_none_or(|(_, fastest)| speed.median > fastest) {
                    best = Some((variant, speed.median));
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                let last = error.lines().last().unwrap_or_default().trim();
                notes.push(format!("torch {variant} failed: {last}"));
                errors.push(error);
            }
        }
    }
    match best {
        Some((variant, _)) => Ok(variant),
        None => Err(anyhow::anyhow!("no way of PyTorch's side runs\n{}", errors.join("\n"))),
    }
}

fn round(worker: &mut Worker) -> Result<Round> {
    std::thread::sleep(PAUSE);
    worker.round()
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor".into(), |(_, name)| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn arguments_have_defaults_and_are_checked() {
        let args = parsed("peer").unwrap();
        assert_eq!((args.rounds, args.fused, args.compare_only), (7, true, None));
        let args = parsed("peer --only a,d --rounds 9 --compare-only weft --fused false").unwrap();
        assert_eq!(args.only, ["a", "d"]);
        assert_eq!((args.rounds, args.fused, args.compare_only), (9, false, Some(Side::Weft)));
        for line in ["peer --rounds 0", "peer --compare-only jax", "peer --fused"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_fastest_variant_is_chosen_and_failures_are_noted() {
        let start = |variant: &str| {
            let ready = r#"{"ready":"x","unit":"u","base_rss_mib":1,"check":{},"notes":[]}"#;
            let round = |seconds| format!(r#"{{"seconds":{seconds},"work":1,"peak_rss_mib":1}}"#);
            let serve = |round| format!("echo '{ready}'; while read line; do echo '{round}'; done");
            let mut command = Command::new("sh");
            command.arg("-c").arg(match variant {
                "slow" => serve(round(4)),
                "fast" => serve(round(2)),
                _ => "echo no compiler >&2; exit 1".to_string(),
            });
            Worker::start(variant, command)
        };
        let mut notes = vec![];
        assert_eq!(trial(&["slow", "broken", "fast"], &start, &mut notes).unwrap(), "fast");
        assert!(notes[1].contains("broken failed: no compiler"), "{notes:?}");
        let error = format!("{:#}", trial(&["broken"], &start, &mut notes).unwrap_err());
        assert!(error.contains("no compiler"), "{error}");
    }
}
