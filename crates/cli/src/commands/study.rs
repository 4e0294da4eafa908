//! `weft study`: a recipe, what is fine-tuned from it, and all tasks, over several seeds.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use weft_eval::{TaskResult, spread_table};
use weft_train::RunDir;
use weft_train::run_dir::write_atomically;

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
    let mut settings: Vec<&str> = vec!["--seed", &seed];
    args.set.iter().for_each(|setting| settings.extend(["--set", setting.as_str()]));
    match &args.from {
        Some(_) if RunDir::open(&run).is_ok() => {}
        Some(from) => _ = RunDir::open(from)?.copy(&run)?,
        None => train(&run, &args.recipe, None, &settings)?,
    }
    for task in &args.tasks {
        fine_tuned(&run, task, &seed)?;
    }
    evaluated(&run, "all")
}

/// The run of the fine-tuning recipe `task` from `run`, or, as in `scenes-entailment@scenes-vqa`, from what
/// another one made of it. Nothing is done where it is finished.
pub(super) fn fine_tuned(run: &Path, task: &str, seed: &str) -> Result<PathBuf> {
    let (recipe, from) = match task.split_once('@') {
        Some((recipe, first)) => (recipe, task_folder(run, first)?),
        None => (task, run.to_path_buf()),
    };
    let folder = task_folder(run, recipe)?;
    train(&folder, recipe, Some(&from), &["--seed", seed])?;
    Ok(folder)
}

/// Where the fine-tuning recipe `recipe`, a name or a file, runs from `run`.
fn task_folder(run: &Path, recipe: &str) -> Result<PathBuf> {
    let name = Path::new(recipe).file_stem().with_context(|| format!("recipe {recipe}"))?;
    Ok(RunDir::open(run)?.tasks().join(name))
}

/// What `weft eval --task` found of a run: as it was kept there, or found now.
pub(super) fn evaluated(run: &Path, task: &str) -> Result<Vec<TaskResult>> {
    let name = if task == "all" { "tasks".to_string() } else { format!("tasks-{task}") };
    let json = run.join(format!("{name}.json"));
    if !is_newer(&json, run)? {
        let mut command = weft("eval")?;
        command.args(["--task", task, "--checkpoint"]).arg(run).arg("--json").arg(&json);
        command.arg("--html").arg(run.join(format!("{name}.html")));
        succeed(command)?;
    }
    let text = std::fs::read_to_string(&json).with_context(|| json.display().to_string())?;
    serde_json::from_str(&text).with_context(|| json.display().to_string())
}

/// Whether `json` is there and no run fine-tuned from `run` has ended since.
fn is_newer(json: &Path, run: &Path) -> Result<bool> {
    let ended = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let Some(written) = ended(json) else { return Ok(false) };
    let tasks = RunDir::open(run)?.tasks();
    if !tasks.exists() {
        return Ok(true);
    }
    for entry in std::fs::read_dir(&tasks).with_context(|| tasks.display().to_string())? {
        if ended(&entry?.path().join("summary.json")).is_some_and(|end| end > written) {
            return Ok(false);
        }
    }
    Ok(true)
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
