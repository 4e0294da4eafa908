//! `weft verify`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use weft_train::report::Summary;
use weft_train::verify::verify;
use weft_train::{Recipe, RunDir};

#[derive(clap::Args)]
pub struct Args {
    /// The run directory.
    #[arg(default_value = "runs/quick")]
    run: PathBuf,
    /// The recipe whose table `expected` counts; by default the run's own.
    #[arg(long)]
    recipe: Option<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let run = RunDir::open(&args.run)?;
    let recipe = match &args.recipe {
        Some(name) => Recipe::open(name)?,
        None => Recipe::read(&run.recipe())?,
    };
    let path = run.summary();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: the run has not finished", path.display()))?;
    let summary: Summary =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let verdicts = verify(&recipe, &summary)?;
    println!("metric                                    found    mean     min     max  tolerance");
    for verdict in &verdicts {
        let expected = &verdict.expected;
        println!(
            "{:<38} {:>8.2}{:>8.2}{:>8.2}{:>8.2}{:>11.2}  {}",
            verdict.name,
            verdict.found,
            expected.mean,
            expected.min,
            expected.max,
            expected.tolerance,
            if verdict.holds() { "as expected" } else { "BELOW" },
        );
    }
    let all = verdicts.iter().all(|verdict| verdict.holds());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
