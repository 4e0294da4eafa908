//! `weft data`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use weft_data::check::check_pictures;
use weft_data::dataset::{self, SourceConfig};
use weft_data::error::Ledger;
use weft_data::export::export;
use weft_data::packages::{self, NAMES, Options, State};

use super::source::DataArgs;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    describe: Describe,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Fetch published weights or a data set with the client of their registry, into a cache.
    Get(Get),
    /// Write a data set as tar shards that other programs read, too.
    Export(Export),
}

#[derive(clap::Args)]
struct Get {
    /// What to fetch.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    name: String,
    /// The package's file, brought by hand: nothing is fetched.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Compare the checksums of what is there already, not only the sizes.
    #[arg(long)]
    verify: bool,
}

#[derive(clap::Args)]
struct Export {
    #[command(flatten)]
    data: DataArgs,
    /// A split to write; may be given several times. All of them by default.
    #[arg(long)]
    split: Vec<String>,
    /// The folder for the shards.
    #[arg(long)]
    out: PathBuf,
    /// Records in a shard.
    #[arg(long, default_value_t = 1000)]
    per_shard: usize,
}

#[derive(clap::Args)]
struct Describe {
    #[command(flatten)]
    data: DataArgs,
    /// Share of records that may be unusable.
    #[arg(long)]
    bad_budget: Option<f64>,
    /// Decode every picture, and name those that cannot be used.
    #[arg(long)]
    decode: bool,
    /// Records of each split that are shown.
    #[arg(long, default_value_t = 3)]
    show: usize,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.action {
        Some(Action::Get(get)) => fetch(get),
        Some(Action::Export(args)) => write_shards(args),
        None => describe(args.describe),
    }
}

fn fetch(args: Get) -> Result<ExitCode> {
    let options = Options { file: args.file, verify: args.verify, ..Options::from_env()? };
    let manifest = packages::manifest(&args.name)?;
    let package = manifest.get(&options)?;
    match package.state {
        State::AlreadyThere => println!("{}: already there", args.name),
        State::Got => println!("{}: {}", args.name, manifest.description),
        State::Replaced(damage) => println!("{}: fetched again ({damage})", args.name),
    }
    println!("{}\n{}", manifest.source.attribution, manifest.source.licence);
    println!("{}", package.folder.display());
    Ok(ExitCode::SUCCESS)
}

fn write_shards(args: Export) -> Result<ExitCode> {
    let config = args.data.apply(&SourceConfig::default());
    let dataset = dataset::open(&config)?;
    let splits = match args.split.is_empty() {
        true => dataset.splits.keys().cloned().collect(),
        false => args.split,
    };
    splits.iter().try_for_each(|split| dataset.split(split).map(|_| ()))?;
    for split in splits {
        let exported = export(&dataset, &split, &args.out, args.per_shard, config.bad_budget)?;
        println!("{split}: {} records in {} shards", exported.records, exported.shards.len());
        if exported.ledger.total() > 0 {
            println!("left out {}:\n{}", exported.ledger.total(), exported.ledger);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(args: Describe) -> Result<ExitCode> {
    let mut config = SourceConfig::default();
    if let Some(budget) = args.bad_budget {
        config.bad_budget = budget;
    }
    let config = args.data.apply(&config);
    let dataset = dataset::open(&config)?;
    println!("{}", dataset.summary());
    if args.decode {
        let (broken, total) = (check_pictures(&dataset), dataset.total());
        println!("pictures of {} of {total} records can be used", total - broken.len());
        let mut ledger = Ledger::default();
        for bad in broken {
            println!("    {}: {}: {}", bad.cause, bad.origin, bad.detail);
            ledger.record(bad);
        }
        ledger.check(config.bad_budget, total)?;
    }
    for (split, records) in &dataset.splits {
        for record in records.iter().take(args.show) {
            println!("{split}: {}", record.key);
            for caption in &record.captions {
                println!("    {caption}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
