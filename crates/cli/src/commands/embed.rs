//! `weft embed`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weft_data::error::Ledger;
use weft_data::packages;
use weft_train::atomic::{Aside, write_atomically};
use weft_train::sentence::SentenceEncoder;

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    /// Embed the lines of this file (- for standard input) instead of a data set.
    #[arg(long)]
    text: Option<PathBuf>,
    /// With --text: a published text encoder, as a Hugging Face folder or the name of a package that
    /// `weft data get` has fetched, instead of a trained model.
    #[arg(long, requires = "text")]
    published: Option<PathBuf>,
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
    match &args.text {
        Some(path) => lines(path, &args),
        None => data_set(args),
    }
}

/// Embeds the lines of a file, an empty one too, in their order.
fn lines(path: &Path, args: &Args) -> Result<ExitCode> {
    let text = match path.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).context("standard input")?,
        _ => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
    };
    let texts: Vec<String> = text.lines().map(str::to_string).collect();
    ensure!(!texts.is_empty(), "{}: no line", path.display());
    let embeddings = match &args.published {
        Some(published) => {
            let device = args.model.backend.device()?;
            SentenceEncoder::open(&packages::resolve(published)?, &device)?.embed(&texts)?
        }
        None => {
            let (_, model) = args.model.load()?;
            let width = model.recipe.model.projection_width;
            let embedded = model.texts(&texts)?.embeddings;
            embedded.chunks(width).map(<[f32]>::to_vec).collect()
        }
    };
    let lines = texts.iter().zip(embeddings);
    let lines = lines.map(|(text, embedding)| json!({"text": text, "embedding": embedding}));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    write_atomically(&args.out, lines.as_bytes())?;
    println!("{} texts in {}", texts.len(), args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn data_set(args: Args) -> Result<ExitCode> {
    let (_, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe)?;
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
    let mut out = Aside::create(&args.out)?;
    let mut ledger = Ledger::default();
    let (mut pictures, mut captions) = (0, 0);
    for (split, records) in splits {
        // A part at a time: the features of all pictures of a large set do not fit into memory.
        for records in records.chunks(model.recipe.eval.batch_size.max(256)) {
            let (embeddings, readable) = model.image_embeddings(records, &mut ledger)?;
            for (row, embedding) in readable.iter().zip(embeddings.chunks(width)) {
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
    ledger.check(model.recipe.data.bad_budget, dataset.total())?;
    out.place()?;
    if ledger.total() > 0 {
        eprintln!("pictures that could not be embedded:\n{ledger}");
    }
    println!("{pictures} pictures and {captions} captions in {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
