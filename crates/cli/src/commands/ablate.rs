//! `weft ablate`: variants of a recipe over the same seeds, as one table.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, ensure};
use weft_eval::{AblationTable, TaskResult, VariantRuns};
use weft_train::ablation::{Ablation, Variant};
use weft_train::run_dir::write_atomically;
use weft_train::{Recipe, RunDir};

use super::study::{evaluated, fine_tuned, train};

#[derive(clap::Args)]
pub struct Args {
    /// A grid that comes with weft, or a TOML file.
    name: String,
    /// Seeds instead of the grid's.
    #[arg(long, value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Steps of pre-training instead of the recipe's.
    #[arg(long)]
    steps: Option<u64>,
    /// Where the runs are: OUT/VARIANT/seed-0 and so on; by default runs/ablations/NAME. What is finished
    /// there is not done again, and what was interrupted goes on.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write the table to FILE.md and FILE.html, too.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let grid = Ablation::open(&args.name)?;
    let seeds = args.seeds.clone().unwrap_or_else(|| grid.seeds.clone());
    let default = || Path::new("runs").join("ablations").join(&grid.name);
    let out = args.out.clone().unwrap_or_else(default);
    let began = Instant::now();
    let mut variants = Vec::with_capacity(grid.variants.len());
    // Seed by seed, so that what there is after an interruption compares all variants.
    for seed in &seeds {
        for (at, variant) in grid.variants.iter().enumerate() {
            let folder = out.join(variant.folder()).join(format!("seed-{seed}"));
            let found = cell(&grid, variant, *seed, &args, &folder)?;
            if variants.len() <= at {
                variants.push(VariantRuns { name: variant.name.clone(), runs: Vec::new() });
            }
            variants[at].runs.push(found);
        }
    }
    let table = AblationTable::new(&variants, &grid.metrics);
    println!("{}", table.markdown());
    if let Some(path) = &args.table {
        let facts = facts(&args, &seeds, began);
        let page = format!("# {}\n\n{facts}\n\n{}", grid.name, table.markdown());
        write_atomically(&path.with_extension("md"), page.as_bytes())?;
        let html = table.html(&grid.name, &facts);
        write_atomically(&path.with_extension("html"), html.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One variant with one seed: trained, fine-tuned, evaluated.
fn cell(
    grid: &Ablation,
    variant: &Variant,
    seed: u64,
    args: &Args,
    folder: &Path,
) -> Result<Vec<TaskResult>> {
    let (seed, steps) = (seed.to_string(), args.steps.map(|steps| steps.to_string()));
    let mut settings: Vec<&str> = vec!["--seed", &seed];
    variant.set.iter().for_each(|setting| settings.extend(["--set", setting.as_str()]));
    if let Some(steps) = &steps {
        settings.extend(["--steps", steps.as_str()]);
    }
    train(folder, &grid.recipe, None, &settings)?;
    check(grid, variant, args.steps, folder)?;
    let mut results = Vec::new();
    for task in &grid.evaluate {
        results.extend(evaluated(folder, task)?);
    }
    for task in &grid.tasks {
        let folder = fine_tuned(folder, task, &seed)?;
        results.extend(evaluated(&folder, "own")?);
    }
    Ok(results)
}

/// Fails where the run in `folder` is of other settings than the grid's: it was begun with other steps,
/// or the grid has changed since.
fn check(grid: &Ablation, variant: &Variant, steps: Option<u64>, folder: &Path) -> Result<()> {
    let mut wanted = grid.recipe_of(variant)?;
    wanted.train.steps = steps.unwrap_or(wanted.train.steps);
    let found = Recipe::read(&RunDir::open(folder)?.recipe())?;
    let same = found.train == wanted.train
        && found.optimizer == wanted.optimizer
        && found.model == wanted.model
        && found.objectives == wanted.objectives;
    ensure!(
        same,
        "{} holds a run of other settings ({} steps, expected {}): remove it, or name another --out",
        folder.display(),
        found.train.steps,
        wanted.train.steps
    );
    Ok(())
}

/// How the table came about.
fn facts(args: &Args, seeds: &[u64], began: Instant) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let steps = args.steps.map(|steps| format!(" --steps {steps}")).unwrap_or_default();
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok();
    let commit = commit.filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    format!(
        "`weft ablate {}{steps} --seeds {}`, at commit {}; {:.0} minutes for what was not there already.",
        args.name,
        seeds.join(","),
        commit.unwrap_or_else(|| "unknown".into()),
        began.elapsed().as_secs_f64() / 60.0
    )
}
