//! `weft ablate`: variants of a recipe over the same seeds, as one table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use weft_eval::{AblationTable, TaskResult, VariantRuns};
use weft_train::ablation::{Ablation, START_SEED, Variant, essence};
use weft_train::report::Summary;
use weft_train::run_dir::{can_write, with_ending, write_atomically};
use weft_train::tasks::own_splits;
use weft_train::{Recipe, RunDir};

use super::eval;
use super::kept_cells::{Cell, KeptCells, commits};
use super::queue::{at_once, threads_of_a_job};
use super::runs::{Runs, Training, distinct};

#[derive(clap::Args)]
pub struct Args {
    /// A grid that comes with weft, or a TOML file.
    name: String,
    /// Seeds instead of the grid's.
    #[arg(long, value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Another recipe to vary, without what makes the grid small: its sizes, its data and its steps. What the
    /// variants start from is trained by it, too.
    #[arg(long)]
    recipe: Option<String>,
    /// Steps of pre-training instead of the grid's; stages and the warm-up keep their shares.
    #[arg(long)]
    steps: Option<u64>,
    /// Runs at a time, each with its share of the processor's threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Where the runs are: OUT/VARIANT/seed-0 and so on; by default runs/ablations/NAME. What is finished
    /// there is not done again, and what was interrupted goes on. What grids share lies beside OUT.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write the table to FILE.md and FILE.html, and what it is made of to FILE.json, cell by cell. Cells that
    /// are there are not run again, on whatever machine they were made.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let grid = Ablation::open(&args.name)?.at(args.recipe.as_deref(), args.steps)?;
    let seeds = distinct(args.seeds.as_ref().unwrap_or(&grid.seeds))?;
    for task in &grid.evaluate {
        ensure!(
            eval::is_task(task),
            "evaluate: weft eval knows no task {task:?} of pre-trained models"
        );
    }
    if let Some(table) = &args.table {
        ["md", "html", "json"]
            .iter()
            .try_for_each(|ending| can_write(&with_ending(table, ending)))?;
    }
    let default = || Path::new("runs").join("ablations").join(&grid.name);
    let runs = Runs { threads: (args.jobs > 1).then(|| threads_of_a_job(args.jobs)) };
    let mut maker = Maker {
        grid: &grid,
        out: args.out.clone().unwrap_or_else(default),
        runs,
        start_runs: runs,
        kept: Mutex::new(KeptCells::open(
            args.table.as_ref().map(|table| with_ending(table, "json")),
        )?),
        started: seeds.iter().map(|seed| (*seed, Mutex::default())).collect(),
    };
    let missing = maker.missing_cells(&seeds)?;
    if !missing.is_empty() {
        check_splits(&grid)?;
    }
    if missing.len() == 1 {
        // Nothing runs beside what the only seed starts from.
        maker.start_runs = Runs::default();
    }
    // One job makes what its next cell starts from when it comes to it.
    let ahead = grid.start.is_some() && args.jobs > 1;
    at_once(args.jobs, in_order(ahead, &missing), |work| maker.make(work))?;

    let mut variants = Vec::with_capacity(grid.variants.len());
    let (mut seconds, mut commits) = (0.0, BTreeSet::new());
    for variant in &grid.variants {
        let mut results = Vec::with_capacity(seeds.len());
        for seed in &seeds {
            let cell = maker.kept(variant, *seed)?.context("a cell was made and is not there")?;
            seconds += cell.seconds;
            commits.insert(cell.commit);
            results.push(cell.results);
        }
        variants.push(VariantRuns { name: variant.name.clone(), runs: results });
    }
    let table = AblationTable::new(&variants, &grid.metrics, &grid.against)?;
    println!("{}", table.markdown());
    if let Some(path) = &args.table {
        let commits: Vec<String> = commits.into_iter().collect();
        let facts = facts(&args, &seeds, seconds, &commits);
        let page = format!("# {}\n\n{facts}\n\n{}", grid.name, table.markdown());
        write_atomically(&with_ending(path, "md"), page.as_bytes())?;
        let html = table.html(&grid.name, &facts);
        write_atomically(&with_ending(path, "html"), html.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails where a metric asks a fine-tuned model for a split that its data have not, before hours are spent.
fn check_splits(grid: &Ablation) -> Result<()> {
    let base = grid.recipe_of(&grid.variants[0])?;
    for task in &grid.tasks {
        let recipe = grid.fine_tuning(task, &base)?;
        let wanted = grid.tuned_splits(&recipe);
        if wanted.is_empty() {
            continue;
        }
        let known = own_splits(&recipe).with_context(|| format!("task {task}"))?;
        for split in wanted {
            ensure!(
                known.contains(&split),
                "metrics: {task} has no split {split:?}; expected one of {}",
                known.join(", ")
            );
        }
    }
    Ok(())
}

/// What there is to do for a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Work<'a> {
    /// What its variants start from.
    Start(u64),
    Cell(&'a Variant, u64),
}

/// All work in its order: seed by seed, so that what there is after an interruption compares all variants; but what a
/// seed starts from comes, with `starts`, before the cells of the seed before it, so that none has to wait for it.
fn in_order<'a>(starts: bool, missing: &[(u64, Vec<&'a Variant>)]) -> Vec<Work<'a>> {
    let start = |at: usize| missing.get(at).filter(|_| starts).map(|(seed, _)| Work::Start(*seed));
    let mut order = Vec::from_iter(start(0));
    for (at, (seed, variants)) in missing.iter().enumerate() {
        order.extend(start(at + 1));
        order.extend(variants.iter().map(|variant| Work::Cell(variant, *seed)));
    }
    order
}

/// Makes the cells of a grid.
struct Maker<'a> {
    grid: &'a Ablation,
    out: PathBuf,
    runs: Runs,
    kept: Mutex<KeptCells>,
    /// Of what seeds start from.
    start_runs: Runs,
    /// Whether what a seed starts from could be made, where that was tried. Who needs it first makes it, and others
    /// wait.
    started: BTreeMap<u64, Mutex<Option<bool>>>,
}

impl<'a> Maker<'a> {
    /// What is not kept yet.
    fn missing_cells(&self, seeds: &[u64]) -> Result<Vec<(u64, Vec<&'a Variant>)>> {
        let mut missing = Vec::new();
        for seed in seeds {
            let mut variants = Vec::new();
            for variant in &self.grid.variants {
                if self.kept(variant, *seed)?.is_none() {
                    variants.push(variant);
                }
            }
            if !variants.is_empty() {
                missing.push((*seed, variants));
            }
        }
        Ok(missing)
    }

    fn make(&self, work: Work) -> Result<()> {
        match work {
            Work::Start(seed) => self.start(seed),
            Work::Cell(variant, seed) => self.cell(variant, seed),
        }
    }

    /// Trains what the variants of `seed` start from, where the grid has such a thing and it is not there.
    fn start(&self, seed: u64) -> Result<()> {
        let (Some(start), Some(folder)) = (&self.grid.start, self.start_folder(seed)) else {
            return Ok(());
        };
        let mut started = self.started[&seed].lock().expect("no thread panicked");
        ensure!(*started != Some(false), "{}: could not be made", folder.display());
        if started.is_none() {
            *started = Some(false);
            let training = Training {
                recipe: &start.recipe,
                from: None,
                seed: START_SEED + seed,
                set: start.settings(),
                wanted: start.recipe_of(seed)?,
                start: None,
            };
            self.start_runs.train(&folder, &training)?;
            *started = Some(true);
        }
        Ok(())
    }

    /// Trains, fine-tunes and evaluates one variant with one seed.
    fn cell(&self, variant: &Variant, seed: u64) -> Result<()> {
        if self.kept(variant, seed)?.is_some() {
            // Another process was faster.
            return Ok(());
        }
        self.start(seed)?;
        let grid = self.grid;
        let folder = grid.folder(variant, &self.out).join(format!("seed-{seed}"));
        let training = Training {
            recipe: &grid.recipe,
            from: None,
            seed,
            set: self.settings(variant, seed),
            wanted: self.recipe(variant, seed)?,
            start: grid.start.as_ref().map(|start| start.recipe_of(seed)).transpose()?,
        };
        self.runs.train(&folder, &training)?;
        let mut runs = vec![summary(&folder)?];
        let mut results = Vec::new();
        for task in &grid.evaluate {
            let splits = grid.splits(task);
            results.extend(self.runs.evaluated(&folder, task, &splits)?);
        }
        for task in &grid.tasks {
            let tuned = self.runs.fine_tuned(&folder, task, seed, &grid.task_settings())?;
            let recipe = grid.fine_tuning(task, &training.wanted)?;
            let splits = grid.tuned_splits(&recipe);
            // Without a split it would be asked for all; what others start from may have no metric.
            if !splits.is_empty() {
                results.extend(self.runs.evaluated(&tuned, "own", &splits)?);
            }
            runs.push(summary(&tuned)?);
        }
        if let Some(missing) = self.missing(&results)? {
            bail!("{}: no {missing}", folder.display());
        }
        let seconds = runs.iter().map(|run| run.seconds).sum();
        runs.extend(self.start_folder(seed).map(|start| summary(&start)).transpose()?);
        let cell = Cell {
            variant: variant.name.clone(),
            seed,
            recipes: self.fingerprint(variant, seed)?,
            commit: commits(&runs, env!("WEFT_COMMIT")),
            seconds,
            results,
        };
        self.kept.lock().expect("no thread panicked").add(cell)
    }

    /// The cell of a variant, where it is kept.
    fn kept(&self, variant: &Variant, seed: u64) -> Result<Option<Cell>> {
        let recipes = self.fingerprint(variant, seed)?;
        let kept = self.kept.lock().expect("no thread panicked");
        let Some(cell) = kept.find(&variant.name, seed, &recipes)? else { return Ok(None) };
        // A metric that the grid has gained since is looked for in the runs.
        Ok(self.missing(&cell.results)?.is_none().then(|| cell.clone()))
    }

    /// The first metric that is not among `results`.
    fn missing(&self, results: &[TaskResult]) -> Result<Option<String>> {
        for metric in &self.grid.metrics {
            if metric.find(results)?.is_none() {
                return Ok(Some(metric.clone().into()));
            }
        }
        Ok(None)
    }

    fn start_folder(&self, seed: u64) -> Option<PathBuf> {
        Some(self.grid.start_folder(&self.out)?.join(format!("seed-{}", START_SEED + seed)))
    }

    /// All keys that a variant sets, those of its start and of the command line included.
    fn settings(&self, variant: &Variant, seed: u64) -> Vec<String> {
        let mut set = self.grid.settings(variant);
        if let (Some(start), Some(folder)) = (&self.grid.start, self.start_folder(seed)) {
            set.push(format!("start.checkpoint={:?}", folder.display().to_string()));
            set.push(format!("start.parts={:?}", start.parts));
        }
        set
    }

    fn recipe(&self, variant: &Variant, seed: u64) -> Result<Recipe> {
        let recipe = Recipe::open(&self.grid.recipe)?.with(&self.settings(variant, seed))?;
        Ok(Recipe { seed, ..recipe })
    }

    /// SHA-256 of the recipes behind a cell: of the start, of the variant, of what is fine-tuned from it. Where the
    /// start lies is no part of it.
    fn fingerprint(&self, variant: &Variant, seed: u64) -> Result<String> {
        let mut hash = Sha256::new();
        if let Some(start) = &self.grid.start {
            hash.update(essence(start.recipe_of(seed)?).to_toml()?);
        }
        let mut add = |recipe: Recipe| -> Result<()> {
            hash.update(essence(Recipe { seed, ..recipe }).to_toml()?);
            Ok(())
        };
        let mut recipe = self.recipe(variant, seed)?;
        if self.grid.start.is_some() {
            recipe.start.checkpoint = Some(PathBuf::new());
        }
        for task in &self.grid.tasks {
            add(self.grid.fine_tuning(task, &recipe)?)?;
        }
        add(recipe)?;
        hash.update(self.grid.tasks.join(","));
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What the finished run in `folder` says of itself.
fn summary(folder: &Path) -> Result<Summary> {
    let path = RunDir::open(folder)?.summary();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// How the table came about.
fn facts(args: &Args, seeds: &[u64], seconds: f64, commits: &[String]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let recipe = args.recipe.as_ref().map(|name| format!(" --recipe {name}")).unwrap_or_default();
    let steps = args.steps.map(|steps| format!(" --steps {steps}")).unwrap_or_default();
    let jobs = if args.jobs > 1 { format!(" --jobs {}", args.jobs) } else { String::new() };
    format!(
        "`weft ablate {}{recipe}{steps}{jobs} --seeds {}`, at commit {}; the runs of its cells took {:.0} minutes together, \
         without what they start from and the evaluations.",
        args.name,
        seeds.join(","),
        commits.join(", "),
        seconds / 60.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str) -> Variant {
        Variant { name: name.into(), run: None, set: Vec::new() }
    }

    #[test]
    fn what_a_seed_starts_from_is_begun_before_the_cells_of_the_seed_before_it() {
        let (a, b) = (variant("a"), variant("b"));
        let missing = [(7, vec![&a, &b]), (8, vec![&b]), (9, vec![&a])];
        let start = Work::Start;
        let cells = [(&a, 7), (&b, 7), (&b, 8), (&a, 9)].map(|(of, seed)| Work::Cell(of, seed));
        assert_eq!(in_order(false, &missing), cells);
        let [first, second, third, fourth] = cells;
        let order = [start(7), start(8), first, second, start(9), third, fourth];
        assert_eq!(in_order(true, &missing), order);
        assert_eq!(in_order(true, &[]), []);
    }
}
