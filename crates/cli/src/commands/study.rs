//! `weft study`: a recipe, what is fine-tuned from it, and all tasks, over several seeds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use weft_eval::{TaskResult, spread_table};
use weft_train::fine_tune::fine_tune_of;
use weft_train::run_dir::{can_write, write_atomically};
use weft_train::{Recipe, RunDir};

use super::runs::{Runs, Training, check, distinct};

#[derive(clap::Args)]
pub struct Args {
    /// The recipe that each seed pre-trains.
    #[arg(default_value = "quick-scenes")]
    recipe: String,
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Fine-tuning recipes that start from each pre-trained model; NAME@OTHER starts from what OTHER, which
    /// stands before it, made of that.
    #[arg(long, value_delimiter = ',', default_value = TASKS)]
    tasks: Vec<String>,
    /// A finished run whose model every seed starts from, instead of pre-training one of its own: the
    /// spread is then that of fine-tuning alone.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["recipe", "set"])]
    from: Option<PathBuf>,
    /// Where the runs are: OUT/seed-0 and so on. What is finished there is not done again, and what was
    /// interrupted goes on.
    #[arg(long, default_value = "runs/study")]
    out: PathBuf,
    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Override a key of the pre-training recipe; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

const TASKS: &str =
    "scenes-vqa,scenes-nlvr2,scenes-entailment@scenes-vqa,scenes-grounding,scenes-retrieval";

pub fn run(args: Args) -> Result<ExitCode> {
    // What can be wrong is found before hours are spent.
    args.table.iter().try_for_each(|path| can_write(path))?;
    let base = match &args.from {
        Some(from) => Recipe::read(&RunDir::open(from)?.recipe())?,
        None => Recipe::open(&args.recipe)?.with(&args.set)?,
    };
    for task in &args.tasks {
        let (name, _) = task.split_once('@').unwrap_or((task, ""));
        fine_tune_of(name, &base, Path::new(""))?;
    }
    let seeds = distinct(&args.seeds)?;
    let found = seeds.iter().map(|seed| one_seed(&args, *seed)).collect::<Result<Vec<_>>>()?;
    let table = spread_table(&found);
    println!("{table}");
    if let Some(path) = &args.table {
        write_atomically(path, table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All runs and results of one seed.
fn one_seed(args: &Args, seed: u64) -> Result<Vec<TaskResult>> {
    let runs = Runs::default();
    let run = args.out.join(format!("seed-{seed}"));
    match &args.from {
        Some(from) => {
            let from = RunDir::open(from)?;
            if RunDir::open(&run).is_err() {
                from.copy(&run)?;
            }
            check(&run, &Recipe::read(&from.recipe())?)?;
        }
        None => runs.train(&run, &pre_training(args, seed)?)?,
    }
    for task in &args.tasks {
        runs.fine_tuned(&run, task, seed, &[])?;
    }
    runs.evaluated(&run, "all", &[])
}

/// What is trained where the study starts from nothing.
fn pre_training(args: &Args, seed: u64) -> Result<Training<'_>> {
    let recipe = Recipe::open(&args.recipe)?.with(&args.set)?;
    Ok(Training {
        recipe: &args.recipe,
        from: None,
        seed,
        set: args.set.clone(),
        wanted: Recipe { seed, ..recipe },
        start: None,
    })
}
