//! `cargo xtask bench growth`: how time and memory of weft's encoder step grow.

use std::process::Command;

use anyhow::{Context, Result};

use crate::child::Worker;

#[derive(clap::Args)]
pub struct Args {
    /// Rounds of each size.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
}

/// Batch, tokens, width and threads of one line.
type Size = [usize; 4];

/// What the other sizes differ from, in one number each.
const BASE: Size = [16, 197, 384, 2];
const SIZES: [Size; 11] = [
    BASE,
    [1, 197, 384, 2],
    [4, 197, 384, 2],
    [32, 197, 384, 2],
    [16, 50, 384, 2],
    [16, 577, 384, 2],
    [16, 197, 192, 2],
    [16, 197, 768, 2],
    [16, 197, 384, 1],
    [16, 197, 384, 3],
    [16, 197, 384, 4],
];

pub fn run(args: &Args) -> Result<()> {
    println!("| batch | tokens | width | threads | ms / step | to the first | peak MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut first = None;
    for size in SIZES {
        let (seconds, peak) = measure(size, args.rounds)?;
        let ratio = seconds / *first.get_or_insert(seconds);
        let [batch, tokens, width, threads] = size;
        let milliseconds = seconds * 1e3;
        println!(
            "| {batch} | {tokens} | {width} | {threads} | {milliseconds:.0} | {ratio:.2} | {peak:.0} |"
        );
    }
    Ok(())
}

/// The seconds of a step in the best round, and the peak of memory in MiB. Each size has a process
/// of its own, so that none inherits another's memory.
fn measure([batch, tokens, width, threads]: Size, rounds: u64) -> Result<(f64, f64)> {
    let mut command = Command::new(std::env::current_exe().context("where this program lies")?);
    command.args(["worker", "encoder", "--threads", &threads.to_string()]);
    for (option, value) in [("--batch", batch), ("--tokens", tokens), ("--width", width)] {
        command.args([option, &value.to_string()]);
    }
    let (mut worker, _) = Worker::start("weft", command)?;
    let (mut seconds, mut peak) = (f64::INFINITY, 0.0f64);
    for _ in 0..rounds {
        let round = worker.round()?;
        seconds = seconds.min(round.seconds * batch as f64 / round.work);
        peak = peak.max(round.peak_rss_mib);
    }
    worker.stop()?;
    Ok((seconds, peak))
}
