//! `weft train`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use weft_train::ablation::essence;
use weft_train::checkpoint::Checkpoint;
use weft_train::fine_tune::fine_tune;
use weft_train::interrupt::Interrupt;
use weft_train::plan::{Plan, described};
use weft_train::progress::minutes;
use weft_train::{Outcome, Recipe, Trainer};

use super::source::DataArgs;
use crate::backend::Backend;

#[derive(clap::Args)]
pub struct Args {
    /// The name of a recipe that comes with weft, or a TOML file; with --from a fine-tuning one.
    #[arg(default_value = "quick")]
    recipe: String,
    /// The run directory; by default runs/NAME, and with --from RUN it is RUN/tasks/NAME.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace a run that is there already.
    #[arg(long)]
    overwrite: bool,
    /// Fine-tune the model of this run or checkpoint.
    #[arg(long, value_name = "RUN", requires = "recipe")]
    from: Option<PathBuf>,
    /// Go on with a run, from its latest checkpoint or from the one named. The recipe is the run's.
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "recipe", "from", "out", "overwrite", "steps", "seed", "set", "data", "images",
        "regions", "tags",
    ])]
    resume: Option<PathBuf>,
    /// Number of steps.
    #[arg(long)]
    steps: Option<u64>,
    #[arg(long)]
    seed: Option<u64>,
    /// Override a key of the recipe, as in optimizer.lr=1e-4; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
    /// Say what the recipe would cost, parameters, operations and memory, and train nothing.
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    backend: Backend,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if args.dry_run {
        let recipe = recipe(&args)?;
        let words = recipe.vocab_size().unwrap_or_else(|error| {
            eprintln!("{error:#}: counting as many words as tokenizer.vocab_size says");
            recipe.tokenizer.vocab_size
        });
        let plan = Plan::new(&recipe, words, &args.backend.device()?)?;
        print!("{}", described(&plan, &recipe));
        return Ok(ExitCode::SUCCESS);
    }
    let interrupt = Interrupt::listen()?;
    let trainer = match &args.resume {
        Some(path) => Trainer::resume(path, &args.backend.device()?)?,
        None => begin(&args)?,
    };
    let root = trainer.root().to_path_buf();
    match trainer.of_commit(env!("WEFT_COMMIT")).run(&interrupt)? {
        Outcome::Finished { summary, table } => {
            println!("{table}");
            println!(
                "{} | {:.0} samples/s | peak memory {} MiB",
                minutes(summary.seconds),
                summary.samples_per_second,
                summary.peak_rss_mib
            );
            println!("report: {}", root.join("report.html").display());
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Interrupted { step } => {
            eprintln!(
                "stopped and saved after step {step}; go on with --resume {}",
                root.display()
            );
            // What a shell gives a command that Ctrl-C ended.
            Ok(ExitCode::from(130))
        }
    }
}

/// The recipe with what the arguments say.
fn recipe(args: &Args) -> Result<Recipe> {
    let recipe = match &args.from {
        Some(checkpoint) => fine_tune(&args.recipe, checkpoint)?,
        None => Recipe::open(&args.recipe)?,
    };
    let written = recipe.clone();
    // All at once: a part of them alone, as stages without their steps, need not make a recipe.
    let recipe = Recipe { data: args.data.apply(&recipe.data), ..recipe };
    let mut recipe = recipe.with(&assignments(args))?;
    // Options win over keys.
    recipe.data = args.data.apply(&recipe.data);
    recipe.validate()?;
    ensure!(
        args.data.tags.is_none() || recipe.task().is_none(),
        "--tags: a fine-tuned model is shown none"
    );
    // What a recipe gave is expected of it alone, with whatever seed.
    if essence(Recipe { seed: written.seed, ..recipe.clone() }) != essence(written) {
        recipe.expected = None;
    }
    Ok(recipe)
}

/// The keys that are set, those that have an option of their own behind the others.
fn assignments(args: &Args) -> Vec<String> {
    let steps = args.steps.map(|steps| format!("train.steps={steps}"));
    let seed = args.seed.map(|seed| format!("seed={seed}"));
    args.set.iter().cloned().chain(steps).chain(seed).collect()
}

fn begin(args: &Args) -> Result<Trainer> {
    let recipe = recipe(args)?;
    let out = match (&args.out, &args.from) {
        (Some(out), _) => out.clone(),
        (None, Some(from)) => Checkpoint::locate(from)?.0.tasks().join(&recipe.name),
        (None, None) => Path::new("runs").join(&recipe.name),
    };
    Trainer::begin(recipe, &out, args.overwrite, &args.backend.device()?)
}
