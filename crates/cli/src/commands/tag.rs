//! `weft tag`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weft_data::error::Ledger;
use weft_data::tags;
use weft_train::atomic::Aside;
use weft_train::prompts::templates;
use weft_train::tagging::Tagger;

use super::source::{DataArgs, ModelArgs, at_least_one};

/// Pictures whose embeddings are in memory at a time.
const CHUNK: usize = 1024;

#[derive(clap::Args)]
pub struct Args {
    /// A file with the names of what may be in a picture, one on each line.
    #[arg(long)]
    names: PathBuf,
    /// Most names of a picture.
    #[arg(long, default_value_t = 6, value_parser = at_least_one())]
    most: usize,
    /// Least cosine of a name to its picture, from -1 to 1.
    #[arg(long, default_value_t = -1.0, allow_hyphen_values = true)]
    least: f32,
    /// Where the tags go: for each picture a line with its key, a tab and a JSON list of names, as
    /// `data.tags` of a recipe takes them.
    #[arg(long, default_value = "tags.tsv")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
}

/// How many of the names that were given are among the data's own, of how many.
#[derive(Default)]
struct Agreement {
    given: usize,
    own: usize,
    both: usize,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (_, model) = args.model.load()?;
    ensure!(
        model.recipe.tags_at_test().is_none(),
        "the model is shown tags (concepts.tags.at_test), and would say what it was told"
    );
    let templates = templates(&args.data.evaluated(&model.recipe)?);
    let dataset = args.data.open(&model.recipe)?;
    let names = std::fs::read_to_string(&args.names);
    let names = names.with_context(|| args.names.display().to_string())?;
    let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(str::to_string).collect();
    let tagger = Tagger::new(&model, names, templates, args.most, args.least)?;

    // A file is whole or not there.
    let mut out = Aside::create(&args.out)?;
    let (mut ledger, mut agreement, mut pictures) = (Ledger::default(), Agreement::default(), 0);
    for records in dataset.splits.values().flat_map(|records| records.chunks(CHUNK)) {
        for (row, found) in tagger.tags(records, &mut ledger)? {
            writeln!(out, "{}\t{}", records[row].key, json!(found))?;
            agreement.add(&found, tags::of(&records[row]));
            pictures += 1;
        }
    }
    ledger.check(model.recipe.data.bad_budget, dataset.total())?;
    out.place()?;
    if ledger.total() > 0 {
        eprintln!("pictures that could not be tagged:\n{ledger}");
    }
    println!("{pictures} pictures in {}", args.out.display());
    agreement.print();
    Ok(ExitCode::SUCCESS)
}

impl Agreement {
    /// Of a picture without names of its own nothing is said.
    fn add<'a>(&mut self, given: &[&str], own: impl Iterator<Item = &'a str>) {
        let mut own: Vec<&str> = own.collect();
        own.sort_unstable();
        own.dedup();
        if !own.is_empty() {
            self.given += given.len();
            self.own += own.len();
            self.both += given.iter().filter(|name| own.contains(name)).count();
        }
    }

    fn print(&self) {
        if self.own > 0 {
            let percent = |of: usize| 100.0 * self.both as f64 / of.max(1) as f64;
            println!(
                "of the data's own tags {:.1} % are among them, of them {:.1} % among the data's own",
                percent(self.own),
                percent(self.given)
            );
        }
    }
}
