//! Weft's side of one workload: a process that runs a round whenever it is told to.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;

use crate::exchange::Exchange;
use crate::memory::{peak_rss_mib, reset_peak, rss_mib};
use crate::protocol::{GO, Ready, Round};
use crate::workload::{Context, Workload, find};
use crate::workloads::encoder;

/// A round lasts about this long, in seconds: long against the clock and the scheduler.
const ROUND: f64 = 2.0;
/// Before the first round there are at least this many steps and this many seconds.
const WARM_UP: (u32, f64) = (3, 0.5);

#[derive(clap::Args)]
pub struct Args {
    /// Name of the workload.
    name: String,
    #[arg(long)]
    threads: usize,
    /// Where weights and inputs are left for the other side.
    #[arg(long)]
    exchange: Option<PathBuf>,
    /// Folder of JPEG pictures, for the data path.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Whether the fused kernels are used.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    fused: bool,
    #[command(flatten)]
    encoder: encoder::Sizes,
}

pub fn run(args: &Args) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    // On a thread of the pool itself, as `weft` computes.
    rayon::scope(|_| {
        let entry = find(&args.name)?;
        weft_kernels::set_fused(args.fused);
        let context = Context {
            device: Device::flex(),
            threads: args.threads,
            exchange: args.exchange.clone().map(Exchange::new),
            pictures: args.pictures.clone(),
            fused: args.fused,
            encoder: args.encoder,
        };
        let base = rss_mib();
        let workload = (entry.setup)(&context).context(entry.name)?;
        serve(entry.name, workload, base)
    })
}

fn serve(name: &str, mut workload: Box<dyn Workload>, base_rss_mib: f64) -> Result<()> {
    let steps = (ROUND / warm_up(workload.as_mut())?).ceil().max(1.0) as u64;
    let facts = workload.facts();
    reset_peak();
    answer(&Ready {
        ready: name.to_string(),
        unit: facts.unit.to_string(),
        parameters: facts.parameters,
        base_rss_mib,
        check: facts.check,
        notes: facts.notes,
    })?;
    for line in stdin().lock().lines() {
        match line?.trim() {
            GO => answer(&round(workload.as_mut(), steps)?)?,
            other => bail!("expected {GO:?}, read {other:?}"),
        }
    }
    Ok(())
}

/// Takes the first steps and returns the seconds of the last.
fn warm_up(workload: &mut dyn Workload) -> Result<f64> {
    let (steps, seconds) = WARM_UP;
    let begun = Instant::now();
    let mut taken = 0;
    workload.prepare()?;
    loop {
        let step = Instant::now();
        workload.step()?;
        taken += 1;
        if taken >= steps && begun.elapsed().as_secs_f64() >= seconds {
            let last = step.elapsed().as_secs_f64();
            workload.settle();
            return Ok(last);
        }
    }
}

fn round(workload: &mut dyn Workload, steps: u64) -> Result<Round> {
    workload.prepare()?;
    let begun = Instant::now();
    let mut work = 0.0;
    for _ in 0..steps {
        work += workload.step()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    workload.settle();
    Ok(Round { seconds, work, peak_rss_mib: peak_rss_mib() })
}

fn answer(line: &impl serde::Serialize) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    Ok(out.flush()?)
}
