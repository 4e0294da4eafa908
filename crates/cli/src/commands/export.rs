//! `weft export`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use weft_train::checkpoint::Checkpoint;
use weft_train::export::export;

use crate::backend::Backend;

#[derive(clap::Args)]
pub struct Args {
    /// A run directory (its latest checkpoint is used) or a checkpoint.
    #[arg(long, default_value = "runs/quick")]
    checkpoint: PathBuf,
    /// The folder to write: `vision` and `text` for the reference library, `model` for weft.
    #[arg(long)]
    out: PathBuf,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (_, checkpoint) = Checkpoint::locate(&args.checkpoint)
        .context("train a model first, or name another with --checkpoint")?;
    let exported = export(&checkpoint, &args.out, &Backend::Cpu.device()?)?;
    for folder in &exported.folders {
        println!("{}", args.out.join(folder).display());
    }
    for reason in &exported.left_out {
        println!("left out: {reason}");
    }
    Ok(ExitCode::SUCCESS)
}
