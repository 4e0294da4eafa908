//! `weft ablate`: variants of a recipe over the same seeds, as one table.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use weft_eval::{AblationTable, TaskResult, VariantRuns};
use weft_train::ablation::{Ablation, START};
use weft_train::report::Summary;
use weft_train::run_dir::write_atomically;
use weft_train::{Recipe, RunDir};

use super::study::{evaluated, fine_tuned, fine_tuning, settings, train};

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
    let mut seconds = 0.0;
    let mut variants = Vec::with_capacity(grid.variants.len());
    // Seed by seed, so that what there is after an interruption compares all variants.
    for seed in &seeds {
        let (start, took) = started(&grid, *seed, &out)?;
        seconds += took;
        for (at, variant) in grid.variants.iter().enumerate() {
            let folder = out.join(variant.folder()).join(format!("seed-{seed}"));
            let mut set = grid.settings(variant);
            set.extend(start.clone());
            set.extend(args.steps.map(|steps| format!("train.steps={steps}")));
            let found = cell(&grid, &set, *seed, &folder)?;
            if variants.len() <= at {
                variants.push(VariantRuns { name: variant.name.clone(), runs: Vec::new() });
            }
            variants[at].runs.push(found.results);
            seconds += found.seconds;
        }
    }
    let table = AblationTable::new(&variants, &grid.metrics);
    println!("{}", table.markdown());
    if let Some(path) = &args.table {
        let facts = facts(&args, &seeds, seconds);
        let page = format!("# {}\n\n{facts}\n\n{}", grid.name, table.markdown());
        write_atomically(&path.with_extension("md"), page.as_bytes())?;
        let html = table.html(&grid.name, &facts);
        write_atomically(&path.with_extension("html"), html.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What one variant gave with one seed.
struct Cell {
    results: Vec<TaskResult>,
    /// What its runs took, whenever that was.
    seconds: f64,
}

/// The keys by which the variants of `seed` start where the grid says, from a run that is made where it is not
/// there, and what that took.
fn started(grid: &Ablation, seed: u64, out: &Path) -> Result<(Vec<String>, f64)> {
    let Some(start) = &grid.start else { return Ok((Vec::new(), 0.0)) };
    let folder = out.join(START).join(format!("seed-{seed}"));
    train(&folder, &start.recipe, None, &settings(&seed.to_string(), &start.set))?;
    check(&folder, Recipe { seed, ..Recipe::open(&start.recipe)?.with(&start.set)? })?;
    let keys = vec![
        format!("start.checkpoint={:?}", folder.display().to_string()),
        format!("start.parts={:?}", start.parts),
    ];
    Ok((keys, seconds(&folder)?))
}

/// One variant, which sets `set`, with one seed: trained, fine-tuned, evaluated.
fn cell(grid: &Ablation, set: &[String], seed: u64, folder: &Path) -> Result<Cell> {
    let name = seed.to_string();
    train(folder, &grid.recipe, None, &settings(&name, set))?;
    check(folder, Recipe { seed, ..Recipe::open(&grid.recipe)?.with(set)? })?;
    let mut cell = Cell { results: Vec::new(), seconds: seconds(folder)? };
    for task in &grid.evaluate {
        cell.results.extend(evaluated(folder, task, &grid.splits(Some(task)))?);
    }
    for task in &grid.tasks {
        let tuned = fine_tuned(folder, task, &name, &grid.task_set)?;
        let recipe = fine_tuning(folder, task, &tuned)?.with(&grid.task_set)?;
        check(&tuned, Recipe { seed, ..recipe })?;
        cell.results.extend(evaluated(&tuned, "own", &grid.splits(None))?);
        cell.seconds += seconds(&tuned)?;
    }
    for metric in &grid.metrics {
        let found = metric.find(&cell.results).is_some();
        ensure!(found, "{}: no {}", folder.display(), String::from(metric.clone()));
    }
    Ok(cell)
}

/// Fails where the run in `folder` is not that of the recipe `wanted`: the grid, a recipe or what it was begun
/// with has changed since.
fn check(folder: &Path, mut wanted: Recipe) -> Result<()> {
    let mut found = Recipe::read(&RunDir::open(folder)?.recipe())?;
    // What a run gives is no part of it, and what follows from the data stands in its own recipe alone.
    (wanted.expected, found.expected) = (None, None);
    wanted.model.concepts.clone_from(&found.model.concepts);
    wanted.model.task.clone_from(&found.model.task);
    let differences = found.differences(&wanted)?;
    ensure!(
        differences.is_empty(),
        "{} holds a run of other settings: remove it, or name another --out\n{}",
        folder.display(),
        differences.join("\n")
    );
    Ok(())
}

/// What the run in `folder` took.
fn seconds(folder: &Path) -> Result<f64> {
    let path = RunDir::open(folder)?.summary();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let summary: Summary =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(summary.seconds)
}

/// How the table came about.
fn facts(args: &Args, seeds: &[u64], seconds: f64) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let steps = args.steps.map(|steps| format!(" --steps {steps}")).unwrap_or_default();
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok();
    let commit = commit.filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    format!(
        "`weft ablate {}{steps} --seeds {}`, at commit {}; its runs took {:.0} minutes together, without the evaluations.",
        args.name,
        seeds.join(","),
        commit.unwrap_or_else(|| "unknown".into()),
        seconds / 60.0
    )
}
