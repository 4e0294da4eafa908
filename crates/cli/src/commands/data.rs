//! `weft data`

use std::process::ExitCode;

use anyhow::Result;
use weft_data::dataset::SourceConfig;

use super::source::DataArgs;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Share of records that may be unusable.
    #[arg(long)]
    bad_budget: Option<f64>,
    /// Records of each split that are shown.
    #[arg(long, default_value_t = 3)]
    show: usize,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut config = SourceConfig::default();
    if let Some(budget) = args.bad_budget {
        config.bad_budget = budget;
    }
    let dataset = args.data.open(&config)?;
    println!("{}", dataset.summary());
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
