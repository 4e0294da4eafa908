//! `weft eval`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use weft_data::dataset::SourceConfig;
use weft_data::error::{DataError, Ledger};
use weft_data::record::Record;
use weft_data::tasks::expressions_of;
use weft_eval::{Example, TaskResult, results_table, tasks_page, vqa_submission};
use weft_train::checkpoint::Checkpoint;
use weft_train::evaluate::{Evaluation, retrieve};
use weft_train::inference::Inference;
use weft_train::run_dir::{can_write, write_atomically};
use weft_train::tasks::{
    self, Examples, FINE_TUNED, TaskEvaluation, best, classification, contrast, evaluate_task,
    has_labels, weak_grounding,
};
use weft_train::trainer::credits;
use weft_train::{Recipe, RunDir};

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// What the model is asked; by default the task that it is fine-tuned for, or else retrieval.
    #[arg(long, value_enum)]
    task: Option<Task>,
    #[command(flatten)]
    data: DataArgs,
    /// The splits, with commas between them; by default every test split.
    #[arg(long, value_delimiter = ',')]
    split: Vec<String>,
    /// Candidates that the matching head re-ranks per query; 0 for none; by default the recipe's.
    #[arg(long)]
    rerank: Option<usize>,
    /// Layer of the fusion encoder, from 0, whose attention grounds phrases without training; by
    /// default the middle one.
    #[arg(long)]
    layer: Option<usize>,
    /// Write the results to this file, as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the answers of a model fine-tuned for VQAv2 to this file, as its evaluation server takes
    /// them; wants --split.
    #[arg(long, value_name = "FILE", requires = "split")]
    submission: Option<PathBuf>,
    /// Write the results with examples to this file, as a page, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Task {
    Retrieval,
    /// Minimal pairs of captions.
    Contrast,
    /// Zero-shot classification and a linear probe.
    Classification,
    /// A linear probe of each attribute of a scene's object: colour, shape, size.
    Attributes,
    /// Grounding by Grad-CAM, without having seen a rectangle.
    WeakGrounding,
    /// What the model is fine-tuned for.
    Own,
    /// Retrieval, minimal pairs, classification and weak grounding of a pre-trained model, and what those
    /// that are fine-tuned from it (RUN/tasks) are for.
    All,
}

/// What was found.
#[derive(Default)]
struct Found {
    results: Vec<TaskResult>,
    examples: Vec<Example>,
    credits: Vec<String>,
}

/// Examples of each split on a page.
const SHOWN: usize = 4;

pub fn run(args: Args) -> Result<ExitCode> {
    args.json
        .iter()
        .chain(&args.html)
        .chain(&args.submission)
        .try_for_each(|path| can_write(path))?;
    let (checkpoint, model) = args.model.load()?;
    ensure!(
        args.data.tags.is_none() || model.recipe.task().is_none(),
        "--tags: a fine-tuned model is shown none"
    );
    ensure!(
        args.submission.is_none() || model.recipe.task().is_some(),
        "--submission: of a model that is fine-tuned for questions"
    );
    let own = own(&model.recipe).unwrap_or(Task::Retrieval);
    let mut found = Found::default();
    match args.task.unwrap_or(own) {
        Task::All => all(&args, &checkpoint, &model, &mut found)?,
        task => one(task, &args, &checkpoint, &model, &mut found)?,
    }
    println!("{}", results_table(&found.results));
    if let Some(path) = &args.json {
        write_atomically(path, &serde_json::to_vec_pretty(&found.results)?)?;
    }
    if let Some(path) = &args.html {
        found.credits.sort();
        found.credits.dedup();
        let title = format!("weft: {}", model.recipe.name);
        let page = tasks_page(&title, &found.results, &found.examples, &found.credits)?;
        write_atomically(path, page.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn one(
    task: Task,
    args: &Args,
    checkpoint: &Checkpoint,
    model: &Inference,
    found: &mut Found,
) -> Result<()> {
    let path = checkpoint.path().display().to_string();
    let config = args.data.evaluated(&model.recipe)?;
    if let Some(reason) = left_out(task, &model.recipe) {
        bail!("{} {reason}", name(task));
    }
    match task {
        Task::Retrieval => retrieval(args, &config, &path, model, found),
        Task::Own => match own(&model.recipe).context("the model is not fine-tuned for a task")? {
            Task::Own => fine_tuned(args, checkpoint, model, found),
            task => {
                let before = found.results.len();
                one(task, args, checkpoint, model, found)?;
                // Not to be taken for the figures of the model that it started from.
                let results = &mut found.results[before..];
                results.iter_mut().for_each(|result| result.task += FINE_TUNED);
                Ok(())
            }
        },
        Task::Contrast => {
            let data = contrast::open(&config)?;
            for split in splits(args, &data.splits) {
                found.results.push(contrast::evaluate(model, &data, &split, &path)?);
            }
            Ok(())
        }
        Task::Classification => {
            found.results.extend(classification::evaluate(model, &config, &args.split, &path)?);
            Ok(())
        }
        Task::Attributes => {
            found.results.extend(classification::attributes(model, &config, &args.split, &path)?);
            Ok(())
        }
        Task::WeakGrounding => {
            let data = expressions_of(&config)?;
            let layer = args.layer.unwrap_or((model.fusion_depth() - 1) / 2);
            if !model.has_heat_maps(layer) {
                eprintln!(
                    "note: in the last layer of a joint fusion encoder the match depends on the class token's \
                     attention alone, and heat maps of words are empty; name another with --layer"
                );
            }
            for split in splits(args, &data.splits) {
                found.results.push(weak_grounding::evaluate(model, &data, &split, layer, &path)?);
            }
            Ok(())
        }
        Task::All => bail!("all is not one task"),
    }
}

fn all(args: &Args, checkpoint: &Checkpoint, model: &Inference, found: &mut Found) -> Result<()> {
    ensure!(
        model.recipe.task().is_none(),
        "--task all wants a pre-trained model; {} is fine-tuned",
        checkpoint.path().display()
    );
    for task in [Task::Retrieval, Task::Contrast, Task::Classification, Task::WeakGrounding] {
        if let Some(reason) = left_out(task, &model.recipe) {
            eprintln!("left out: {} {reason}", name(task));
            continue;
        }
        match one(task, args, checkpoint, model, found) {
            // Pairs alone have no classes, rectangles or minimal pairs.
            Err(error) if task != Task::Retrieval && is_not_found(&error) => {
                eprintln!("left out: {}: {error:#}", name(task));
            }
            done => done?,
        }
    }
    let (run, _) = Checkpoint::locate(&args.model.checkpoint)?;
    let runs = fine_tuned_runs(&run)?;
    if runs.is_empty() {
        eprintln!(
            "no finished fine-tuned model in {}; weft train scenes-vqa --from {} makes one",
            run.tasks().display(),
            run.root().display()
        );
    }
    let device = args.model.backend.device()?;
    for run in runs {
        let (_, checkpoint) = Checkpoint::locate(&run)?;
        let model = Inference::load(&checkpoint, &device)?;
        one(Task::Own, args, &checkpoint, &model, found)
            .with_context(|| run.display().to_string())?;
    }
    Ok(())
}

/// What a model of `recipe` was fine-tuned for: by its head; by phrases, of which heat maps are asked; or, where it
/// started from another one, retrieval.
fn own(recipe: &Recipe) -> Option<Task> {
    if recipe.task().is_some() {
        Some(Task::Own)
    } else if recipe.data.expressions {
        Some(Task::WeakGrounding)
    } else {
        recipe.start.checkpoint.as_ref().map(|_| Task::Retrieval)
    }
}

/// Why a model of `recipe` cannot be asked `task`.
fn left_out(task: Task, recipe: &Recipe) -> Option<&'static str> {
    let of_pairs = matches!(task, Task::Retrieval | Task::Own | Task::All);
    if !of_pairs && recipe.tags_at_test().is_some() {
        return Some("has pictures without tags, and the model is shown tags");
    }
    if task == Task::WeakGrounding && recipe.objectives.itm.is_none() {
        return Some("asks the matching head, which was not trained");
    }
    let heat_map = task == Task::WeakGrounding && recipe.patch_grid().is_none();
    heat_map.then_some("draws heat maps over patches, and the model sees regions")
}

fn is_not_found(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DataError::NotFound { .. }))
}

/// Whether `name` is what `--task` calls a question to pre-trained models.
pub(super) fn is_task(name: &str) -> bool {
    let known = <Task as clap::ValueEnum>::from_str(name, false);
    known.is_ok_and(|task| !matches!(task, Task::Own | Task::All))
}

fn name(task: Task) -> String {
    task.to_possible_value().map_or(String::new(), |value| value.get_name().to_string())
}

/// The finished runs that were fine-tuned from `run`, by name; it is said which others are left out, whose figures
/// would pass for those of whole runs.
fn fine_tuned_runs(run: &RunDir) -> Result<Vec<PathBuf>> {
    let folder = run.tasks();
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let Ok(tuned) = RunDir::open(&path) else { continue };
        if tuned.summary().exists() {
            runs.push(path);
        } else {
            let name = path.file_name().unwrap_or_default();
            eprintln!("left out: {}: not finished", name.display());
        }
    }
    runs.sort();
    Ok(runs)
}

fn retrieval(
    args: &Args,
    config: &SourceConfig,
    path: &str,
    model: &Inference,
    found: &mut Found,
) -> Result<()> {
    let dataset = weft_data::dataset::open(config)?;
    model.recipe.check_tags(&dataset)?;
    let splits = splits(args, &dataset.splits);
    ensure!(!splits.is_empty(), "no test split; name one with --split\n{}", dataset.summary());
    for split in &splits {
        let records = dataset.split(split)?;
        let evaluation = Evaluation {
            split,
            records,
            checkpoint: path,
            rerank: args.rerank.unwrap_or(model.recipe.eval.rerank),
            bad_budget: model.recipe.data.bad_budget,
            data_set: dataset.total(),
        };
        let retrieved = retrieve(model, &evaluation)?;
        if retrieved.ledger.total() > 0 {
            eprintln!("left out of {split}:\n{}", retrieved.ledger);
        }
        found.results.push(retrieved.result);
    }
    found.credits.extend(credits(config));
    Ok(())
}

fn fine_tuned(
    args: &Args,
    checkpoint: &Checkpoint,
    model: &Inference,
    found: &mut Found,
) -> Result<()> {
    ensure!(
        args.submission.is_none() || args.split.len() == 1,
        "--submission is of one split; --split names {}",
        args.split.len()
    );
    let task = model.recipe.task().context("the model is not fine-tuned for a task")?;
    let mut recipe = model.recipe.clone();
    recipe.data = SourceConfig { tags: None, ..args.data.evaluated(&recipe)? };
    let examples = Examples::open(task, &recipe, Some(checkpoint.classes()?))?;
    let dataset = examples.dataset();
    let path = checkpoint.path().display().to_string();
    for split in splits(args, &dataset.splits) {
        let records = dataset.split(&split)?;
        if let Some(path) = &args.submission {
            let answers = answers(model, &examples, records)?;
            write_atomically(path, answers.as_bytes())?;
        }
        if !has_labels(records) {
            eprintln!("{split}: no labels, so nothing to score");
            continue;
        }
        let evaluation = TaskEvaluation {
            split: &split,
            records,
            checkpoint: &path,
            blind: true,
            bad_budget: recipe.data.bad_budget,
            data_set: dataset.total(),
        };
        let evaluated = evaluate_task(model, &examples, &evaluation)?;
        if evaluated.ledger.total() > 0 {
            eprintln!("left out of {split}:\n{}", evaluated.ledger);
        }
        if args.html.is_some() {
            let shown = tasks::shown::shown(model, &examples, &split, records, &evaluated, SHOWN)?;
            found.examples.extend(shown);
        }
        found.results.push(evaluated.result);
    }
    found.credits.extend(credits(&recipe.data));
    Ok(())
}

/// The submission file of a split.
fn answers(model: &Inference, examples: &Examples, records: &[Record]) -> Result<String> {
    let mut ledger = Ledger::default();
    let outputs = model.task_outputs(records, &mut ledger)?;
    ensure!(
        ledger.total() == 0,
        "a submission needs an answer to every question; of these the pictures cannot be read:\n\
         {ledger}"
    );
    let names = examples.classes();
    ensure!(!names.is_empty(), "--submission is for questions");
    let answers = records.iter().zip(&outputs.rows);
    let answers = answers.map(|(record, row)| (record.key.as_str(), names[best(row)].as_str()));
    Ok(vqa_submission(answers)?)
}

/// The splits that were asked for, or every test split that has something in it.
fn splits<T>(args: &Args, all: &BTreeMap<String, Vec<T>>) -> Vec<String> {
    if !args.split.is_empty() {
        return args.split.clone();
    }
    let tests = all.iter().filter(|(name, _)| !matches!(name.as_str(), "train" | "val"));
    tests.filter(|(_, examples)| !examples.is_empty()).map(|(name, _)| name.clone()).collect()
}
