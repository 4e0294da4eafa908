//! Runs and evaluations that a command starts, each in a process of its own, and does not start again where
//! they are finished.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use weft_eval::TaskResult;
use weft_train::ablation::essence;
use weft_train::fine_tune::fine_tune_of;
use weft_train::run_dir::with_ending;
use weft_train::run_lock::RunLock;
use weft_train::{Recipe, RunDir};

/// How runs are started. By default they say on the terminal what they do, and use the whole machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Runs {
    /// Threads of each, where several run at once; what they say then goes to a file beside the run.
    pub threads: Option<usize>,
}

/// A run to be trained: what `weft train` is told, and what must come of it.
pub struct Training<'a> {
    pub recipe: &'a str,
    /// The run or the checkpoint that it fine-tunes.
    pub from: Option<PathBuf>,
    pub seed: u64,
    pub set: Vec<String>,
    /// Its whole recipe.
    pub wanted: Recipe,
    /// That of the run that it starts from, where this matters.
    pub start: Option<Recipe>,
}

impl Training<'_> {
    /// `weft train` for the run in `folder`: all of it, or the rest of one that was interrupted.
    fn command(&self, folder: &Path) -> Result<Command> {
        let mut command = weft("train")?;
        if RunDir::open(folder).is_ok() {
            command.arg("--resume").arg(folder);
            return Ok(command);
        }
        command.arg(self.recipe).arg("--out").arg(folder);
        command.args(["--seed", &self.seed.to_string()]);
        command.args(self.set.iter().flat_map(|key| ["--set", key]));
        if let Some(from) = &self.from {
            command.arg("--from").arg(from);
        }
        Ok(command)
    }

    /// Fails where the run in `folder` is another one than this.
    fn check(&self, folder: &Path) -> Result<()> {
        check(folder, &self.wanted)?;
        self.start.as_ref().map_or(Ok(()), |start| check_start(folder, start))
    }

    /// The same as far as a run that has begun says what it is: its recipe comes first.
    fn check_begun(&self, folder: &Path) -> Result<()> {
        let Ok(run) = RunDir::open(folder) else { return Ok(()) };
        if run.start().exists() { self.check(folder) } else { check(folder, &self.wanted) }
    }
}

impl Runs {
    /// A run in `folder`: nothing where it is finished, the rest of one that was interrupted, or all. Where another
    /// process trains it, what that leaves is waited for. This holds nothing meanwhile that others could wait for.
    ///
    /// # Errors
    ///
    /// When the run that is there is another one, or it fails.
    pub fn train(self, folder: &Path, training: &Training) -> Result<()> {
        let is_finished = || folder.join("summary.json").exists();
        loop {
            // Before the rest of another one is trained, or waited for.
            training.check_begun(folder)?;
            if is_finished() {
                return training.check(folder);
            }
            if RunLock::is_taken(folder)? {
                eprintln!("{}: waiting for another process, which trains it", folder.display());
                RunLock::wait(folder)?;
                continue;
            }
            if is_finished() {
                // It ended between the two looks.
                continue;
            }
            eprintln!("{}", folder.display());
            let ended = self.succeed(training.command(folder)?, folder);
            // Another process may have begun the same run at the same moment, and been faster.
            if ended.is_err() && (is_finished() || RunLock::is_taken(folder)?) {
                continue;
            }
            ended?;
            return training.check(folder);
        }
    }

    /// The run of the fine-tuning recipe `task` from `run`, or, as in `scenes-entailment@scenes-vqa`, from
    /// what another one made of it, with `set` in place of its keys. Nothing is done where it is finished.
    ///
    /// # Errors
    ///
    /// As [`Runs::train`].
    pub fn fine_tuned(self, run: &Path, task: &str, seed: u64, set: &[String]) -> Result<PathBuf> {
        let (recipe, from) = start(run, task)?;
        let folder = task_folder(run, recipe)?;
        let base = Recipe::read(&RunDir::open(&from)?.recipe())?;
        // Where it starts from changes nothing in what it is.
        let wanted = fine_tune_of(recipe, &base, Path::new(""))?.with(set)?;
        let training = Training {
            recipe,
            from: Some(from),
            seed,
            set: set.to_vec(),
            wanted: Recipe { seed, ..wanted },
            start: None,
        };
        self.train(&folder, &training)?;
        Ok(folder)
    }

    /// What `weft eval --task` found of a run's `splits`, or of every test split where there are none given:
    /// as it was kept there, or found now.
    pub fn evaluated(self, run: &Path, task: &str, splits: &[String]) -> Result<Vec<TaskResult>> {
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
        self.succeed(command, run)?;
        read_results(&json)
    }

    /// Runs `command`, which is about the run in `folder`.
    fn succeed(self, mut command: Command, folder: &Path) -> Result<()> {
        let Some(threads) = self.threads else {
            let status = command.status().with_context(|| format!("starting {command:?}"))?;
            ensure!(status.success(), "{command:?} ended with {status}");
            return Ok(());
        };
        let log = with_ending(folder, "log");
        let file = created(&log)?;
        command.env("RAYON_NUM_THREADS", threads.to_string());
        let status = command.stdout(file.try_clone()?).stderr(file).status();
        let status = status.with_context(|| format!("starting {command:?}"))?;
        ensure!(
            status.success(),
            "{command:?} ended with {status}: {} ends in\n{}",
            log.display(),
            last_lines(&log, 5)
        );
        Ok(())
    }
}

/// What was said last in the file `log`.
fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The file `path` to append to, with the folders above it.
fn created(path: &Path) -> Result<File> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| path.display().to_string())
}

/// Fails where the run in `folder` is not that of the recipe `wanted`: a grid, a recipe or what it was begun
/// with has changed since.
pub fn check(folder: &Path, wanted: &Recipe) -> Result<()> {
    same(folder, &RunDir::open(folder)?.recipe(), wanted)
}

/// Fails where the run in `folder` did not start from one of the recipe `wanted`.
fn check_start(folder: &Path, wanted: &Recipe) -> Result<()> {
    same(folder, &RunDir::open(folder)?.start(), wanted)
}

/// Fails where `recipe`, a file of the run in `folder`, is another one than `wanted`.
fn same(folder: &Path, recipe: &Path, wanted: &Recipe) -> Result<()> {
    let found = essence(Recipe::read(recipe)?);
    let mut wanted = essence(wanted.clone());
    // What follows from the data stands in the run's own recipe alone.
    wanted.model.concepts.clone_from(&found.model.concepts);
    wanted.model.task.clone_from(&found.model.task);
    // What a start is says its recipe; where it lies changes nothing.
    wanted.start.checkpoint.clone_from(&found.start.checkpoint);
    let differences = found.differences(&wanted)?;
    let name = recipe.file_name().unwrap_or_default().display();
    ensure!(
        differences.is_empty(),
        "{} holds a run of other settings ({name}): remove it, or name another --out\n{}",
        folder.display(),
        differences.join("\n")
    );
    Ok(())
}

/// `seeds`, none of them twice: what is counted twice would make figures look surer than they are.
pub fn distinct(seeds: &[u64]) -> Result<Vec<u64>> {
    for (at, seed) in seeds.iter().enumerate() {
        ensure!(!seeds[..at].contains(seed), "seed {seed} is there twice");
    }
    Ok(seeds.to_vec())
}

/// The name of a fine-tuning recipe, and the run that it starts from.
fn start<'a>(run: &Path, task: &'a str) -> Result<(&'a str, PathBuf)> {
    Ok(match task.split_once('@') {
        Some((recipe, first)) => (recipe, task_folder(run, first)?),
        None => (task, run.to_path_buf()),
    })
}

/// Where the fine-tuning recipe `recipe`, a name or a file, runs from `run`.
fn task_folder(run: &Path, recipe: &str) -> Result<PathBuf> {
    let name = Path::new(recipe).file_stem().with_context(|| format!("recipe {recipe}"))?;
    Ok(RunDir::open(run)?.tasks().join(name))
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

/// This program, in a process of its own: a run must not inherit another's memory.
fn weft(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(this_program()?);
    // What the process is called, and calls itself in its messages, whatever it was found by.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "weft");
    command.arg(subcommand);
    Ok(command)
}

/// What this process runs, even after another build has taken its place: a grid ends with the program, and at the
/// commit, that it began with.
#[cfg(target_os = "linux")]
fn this_program() -> Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

#[cfg(not(target_os = "linux"))]
fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("where this program lies")
}
