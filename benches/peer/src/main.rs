//! `cargo xtask bench peer`: weft and PyTorch side by side, in turn, on the same machine.
//!
//! `weft-peer drive` starts a worker of each side and lets them run round by round, one at a time.
//! `weft-peer worker NAME` is weft's side of one workload; `python/worker.py NAME` is PyTorch's.

mod child;
mod drive;
mod exchange;
mod growth;
mod memory;
mod protocol;
mod report;
mod torch;
mod train;
mod worker;
mod workload;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Weft and PyTorch side by side.
#[derive(Parser)]
#[command(name = "weft-peer")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run workloads on both sides in turn and report the ratios.
    Drive(drive::Args),
    /// How weft's encoder step grows with batch, tokens, width and threads.
    Growth(growth::Args),
    /// Weft's side of one workload: reads `go` lines, answers with one line of JSON each.
    Worker(worker::Args),
}

fn main() -> ExitCode {
    // As `weft` does: what is measured is what users run.
    weft_train::memory::keep_freed_memory();
    let result = match Cli::parse().command {
        Command::Drive(args) => drive::run(&args),
        Command::Growth(args) => growth::run(&args),
        Command::Worker(args) => worker::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
