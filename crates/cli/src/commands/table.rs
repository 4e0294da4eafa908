//! `weft table`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use weft_eval::{TaskResult, spread_table};
use weft_train::run_dir::write_atomically;

#[derive(clap::Args)]
pub struct Args {
    /// What `weft eval --json` wrote, a file for each seed.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Write the tables to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut runs = Vec::with_capacity(args.results.len());
    for path in &args.results {
        let named = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(named)?;
        let results: Vec<TaskResult> = serde_json::from_str(&text)
            .with_context(|| format!("{}: expected the results of weft eval", path.display()))?;
        let of = |results: &[TaskResult]| results.first().map(|r| (r.seed, r.checkpoint.clone()));
        ensure!(
            of(&results).is_none()
                || runs.iter().all(|other: &Vec<TaskResult>| of(other) != of(&results)),
            "{}: the results of the same model are there already",
            path.display()
        );
        runs.push(results);
    }
    let table = spread_table(&runs);
    match &args.out {
        Some(path) => write_atomically(path, table.as_bytes())?,
        None => print!("{table}"),
    }
    Ok(ExitCode::SUCCESS)
}
