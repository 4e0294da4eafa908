//! `weft eval`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use weft_eval::results_table;
use weft_train::evaluate::{Evaluation, retrieve};
use weft_train::run_dir::write_atomically;
use weft_train::trainer::test_splits;

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// The split; by default every test split.
    #[arg(long)]
    split: Option<String>,
    /// Candidates that the matching head re-ranks per query; 0 for none; by default the recipe's.
    #[arg(long)]
    rerank: Option<usize>,
    /// Write the results to this file, as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (checkpoint, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe.data)?;
    let splits = match &args.split {
        Some(name) => vec![(name.as_str(), dataset.split(name)?)],
        None => test_splits(&dataset),
    };
    ensure!(!splits.is_empty(), "no test split; name one with --split\n{}", dataset.summary());
    let path = checkpoint.path().display().to_string();
    let mut results = Vec::new();
    for (split, records) in splits {
        let evaluation = Evaluation {
            split,
            records,
            checkpoint: &path,
            rerank: args.rerank.unwrap_or(model.recipe.eval.rerank),
            bad_budget: model.recipe.data.bad_budget,
            data_set: dataset.total(),
        };
        let retrieved = retrieve(&model, &evaluation)?;
        if retrieved.ledger.total() > 0 {
            eprintln!("left out of {split}:\n{}", retrieved.ledger);
        }
        results.push(retrieved.result);
    }
    println!("{}", results_table(&results));
    if let Some(path) = &args.json {
        write_atomically(path, &serde_json::to_vec_pretty(&results)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
