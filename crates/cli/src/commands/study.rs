//! `weft study`: a recipe, what is fine-tuned from it, and all tasks, over several seeds.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use weft_eval::{TaskResult, spread_table};
use weft_train::fine_tune::fine_tune_of;
use weft_train::run_dir::write_atomically;
use weft_train::{Recipe, RunDir};

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
    let mut seeds = Vec::with_capacity(args.seeds.len());
    for seed in &args.seeds {
        seeds.push(one_seed(&args, *seed)?);
    }
    let table = spread_table(&seeds);
    println!("{table}");
    if let Some(path) = &args.table {
        write_atomically(path, table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All runs and results of one seed.
fn one_seed(args: &Args, seed: u64) -> Result<Vec<TaskResult>> {
    let run = args.out.join(format!("seed-{seed}"));
    let seed = seed.to_string();
    match &args.from {
        Some(_) if RunDir::open(&run).is_ok() => {}
        Some(from) => _ = RunDir::open(from)?.copy(&run)?,
        None => train(&run, &args.recipe, None, &settings(&seed, &args.set))?,
    }
    for task in &args.tasks {
        fine_tuned(&run, task, &seed, &[])?;
    }
    evaluated(&run, "all", &[])
}

/// The run of the fine-tuning recipe `task` from `run`, or, as in `scenes-entailment@scenes-vqa`, from what
/// another one made of it, with `set` in place of its keys. Nothing is done where it is finished.
pub(super) fn fine_tuned(run: &Path, task: &str, seed: &str, set: &[String]) -> Result<PathBuf> {
    let (recipe, from) = start(run, task)?;
    let folder = task_folder(run, recipe)?;
    train(&folder, recipe, Some(&from), &settings(seed, set))?;
    Ok(folder)
}

/// The whole recipe that the run should have which `fine_tuned` put into `folder`.
pub(super) fn fine_tuning(run: &Path, task: &str, folder: &Path) -> Result<Recipe> {
    let (recipe, from) = start(run, task)?;
    let base = Recipe::read(&RunDir::open(&from)?.recipe())?;
    let began = Recipe::read(&RunDir::open(folder)?.recipe())?.start.checkpoint;
    fine_tune_of(recipe, &base, &began.unwrap_or_default())
}

/// The name of a fine-tuning recipe, and the run that it starts from.
fn start<'a>(run: &Path, task: &'a str) -> Result<(&'a str, PathBuf)> {
    Ok(match task.split_once('@') {
        Some((recipe, first)) => (recipe, task_folder(run, first)?),
        None => (task, run.to_path_buf()),
    })
}

/// A run's seed and keys, as arguments of `weft train`.
pub(super) fn settings<'a>(seed: &'a str, set: &'a [String]) -> Vec<&'a str> {
    let keys = set.iter().flat_map(|key| ["--set", key.as_str()]);
    ["--seed", seed].into_iter().chain(keys).collect()
}

/// Where the fine-tuning recipe `recipe`, a name or a file, runs from `run`.
fn task_folder(run: &Path, recipe: &str) -> Result<PathBuf> {
    let name = Path::new(recipe).file_stem().with_context(|| format!("recipe {recipe}"))?;
    Ok(RunDir::open(run)?.tasks().join(name))
}

/// What `weft eval --task` found of a run's `splits`, or of every test split where there are none given: as it
/// was kept there, or found now.
pub(super) fn evaluated(run: &Path, task: &str, splits: &[String]) -> Result<Vec<TaskResult>> {
    let name = if task == "all" { "tasks".to_string() } else { format!("tasks-{task}") };
    let json = run.join(format!("{name}.json"));
    if let Some(kept) = kept(&json, run, task, splits)? {
        return Ok(kept);
    }
    let mut command = weft("eval")?;
    command.args(["--task", task, "--checkpoint"]).arg(run).arg("--json").arg(&json);
    command.arg("--html").arg(run.join(format!("{name}.html")));
    if !splits.is_empty() {
        command.arg("--split").arg(splits.join(","));
    }
    succeed(command)?;
    read_results(&json)
}

fn read_results(json: &Path) -> Result<Vec<TaskResult>> {
    let text = std::fs::read_to_string(json).with_context(|| json.display().to_string())?;
    serde_json::from_str(&text).with_context(|| json.display().to_string())
}

/// The results of `task` in `json`, if it is there, has all of `splits`, and no run that it is about has ended
/// since.
fn kept(json: &Path, run: &Path, task: &str, splits: &[String]) -> Result<Option<Vec<TaskResult>>> {
    let mut runs = vec![run.to_path_buf()];
    if task == "all" {
        runs.extend(folders(&RunDir::open(run)?.tasks())?);
    }
    let written = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let Some(found) = written(json) else { return Ok(None) };
    if runs.iter().filter_map(|run| written(&run.join("summary.json"))).any(|end| end > found) {
        return Ok(None);
    }
    let results = read_results(json)?;
    let has = |split: &String| results.iter().any(|result| result.split == *split);
    Ok(splits.iter().all(has).then_some(results))
}

/// What lies in `folder`; nothing where it does not exist.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// A run in `folder`: nothing where it is finished, the rest of one that was interrupted, or all.
pub(super) fn train(
    folder: &Path,
    recipe: &str,
    from: Option<&Path>,
    settings: &[&str],
) -> Result<()> {
    if folder.join("summary.json").exists() {
        return Ok(());
    }
    let mut command = weft("train")?;
    if RunDir::open(folder).is_ok() {
        command.arg("--resume").arg(folder);
    } else {
        command.arg(recipe).arg("--out").arg(folder).args(settings);
        if let Some(from) = from {
            command.arg("--from").arg(from);
        }
    }
    eprintln!("{}", folder.display());
    succeed(command)
}

/// This program, in a process of its own: a run must not inherit another's memory.
fn weft(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where this program lies")?);
    command.arg(subcommand);
    Ok(command)
}

fn succeed(mut command: Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
