//! `weft embed`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;
use weft_data::error::Ledger;

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    /// The split whose pictures and captions are embedded; by default all.
    #[arg(long)]
    split: Option<String>,
    /// Where the embeddings go: a line of JSON for each picture and each caption.
    #[arg(long, default_value = "embeddings.jsonl")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let (_, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe.data)?;
    let splits: Vec<&str> = match &args.split {
        Some(name) => vec![name],
        None => dataset.splits.keys().map(String::as_str).collect(),
    };
    let width = model.recipe.model.projection_width;
    // All names are checked before a file is touched, and a file is whole or not there.
    let splits = splits
        .into_iter()
        .map(|name| Ok((name, dataset.split(name)?)))
        .collect::<Result<Vec<_>>>()?;
    let aside = args.out.with_extension("tmp");
    let file = File::create(&aside).with_context(|| aside.display().to_string())?;
    let mut out = BufWriter::new(file);
    let mut ledger = Ledger::default();
    let (mut pictures, mut captions) = (0, 0);
    for (split, records) in splits {
        // A part at a time: the features of all pictures of a large set do not fit into memory.
        for records in records.chunks(model.recipe.eval.batch_size.max(256)) {
            let (images, readable) = model.images(records, &mut ledger)?;
            for (row, embedding) in readable.iter().zip(images.embeddings.chunks(width)) {
                let key = &records[*row].key;
                let line =
                    json!({"split": split, "key": key, "kind": "image", "embedding": embedding});
                writeln!(out, "{line}")?;
                pictures += 1;
            }
            let texts: Vec<(&str, &String)> = records
                .iter()
                .flat_map(|record| record.captions.iter().map(|text| (record.key.as_str(), text)))
                .collect();
            let all: Vec<String> = texts.iter().map(|(_, text)| text.to_string()).collect();
            let embedded = model.texts(&all)?;
            for ((key, text), embedding) in texts.iter().zip(embedded.embeddings.chunks(width)) {
                let line = json!({
                    "split": split, "key": key, "kind": "text", "text": text, "embedding": embedding,
                });
                writeln!(out, "{line}")?;
                captions += 1;
            }
        }
    }
    out.flush().with_context(|| aside.display().to_string())?;
    ledger.check(model.recipe.data.bad_budget, dataset.total())?;
    std::fs::rename(&aside, &args.out).with_context(|| args.out.display().to_string())?;
    if ledger.total() > 0 {
        eprintln!("pictures that could not be embedded:\n{ledger}");
    }
    println!("{pictures} pictures and {captions} captions in {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
