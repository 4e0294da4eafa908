//! `weft search`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_eval::{Hit, search_page, top_k};
use weft_train::trainer::test_splits;

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    /// What to look for.
    query: String,
    /// How many pictures to show.
    #[arg(short = 'k', long, default_value_t = 10)]
    top: usize,
    /// The split to look in; by default all held-out pictures.
    #[arg(long)]
    split: Option<String>,
    /// Candidates that the matching head re-ranks; 0 for none; by default the recipe's.
    #[arg(long)]
    rerank: Option<usize>,
    /// Where the page with the pictures goes.
    #[arg(long, default_value = "search.html")]
    html: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
}

pub fn run(args: Args) -> Result<ExitCode> {
    ensure!(!args.query.trim().is_empty(), "the query is empty");
    let (_, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe.data)?;
    let records: Vec<Record> = match &args.split {
        Some(name) => dataset.split(name)?.to_vec(),
        None => {
            test_splits(&dataset).into_iter().flat_map(|(_, records)| records.to_vec()).collect()
        }
    };
    ensure!(!records.is_empty(), "no held-out picture to look in\n{}", dataset.summary());

    let mut ledger = Ledger::default();
    let (images, readable) = model.images(&records, &mut ledger)?;
    ledger.check(model.recipe.data.bad_budget, records.len())?;
    let texts = model.texts(std::slice::from_ref(&args.query))?;
    let similarity = model.similarity(&images, &texts);
    let rerank = args.rerank.unwrap_or(model.recipe.eval.rerank).min(readable.len());
    let mut best = top_k(&similarity, args.top.max(rerank));
    let mut scores: Vec<f32> = best.iter().map(|image| similarity[*image]).collect();
    if rerank > 0 {
        let pairs: Vec<(usize, usize)> = best[..rerank].iter().map(|image| (*image, 0)).collect();
        let matches = model.matches(&images, &texts, &pairs)?;
        let scored = model.pair_scores(&matches, scores[..rerank].iter().copied());
        let mut order: Vec<usize> = (0..rerank).collect();
        order.sort_by(|a, b| scored[*b].total_cmp(&scored[*a]));
        best = order.iter().map(|i| best[*i]).chain(best[rerank..].iter().copied()).collect();
        scores = order.iter().map(|i| scored[*i]).chain(scores[rerank..].iter().copied()).collect();
    }

    let mut hits = Vec::new();
    println!("rank  score    picture");
    for (rank, (image, score)) in best.iter().zip(&scores).take(args.top).enumerate() {
        let record = &records[readable[*image]];
        let caption = record.captions.first().cloned().unwrap_or_default();
        println!("{:>4}  {score:>7.3}  {caption}  ({})", rank + 1, record.key);
        hits.push(Hit {
            picture: record.picture.read().map_err(|bad| anyhow::anyhow!("{bad}"))?,
            caption,
            score: *score,
            correct: false,
        });
    }
    std::fs::write(&args.html, search_page(&args.query, &hits))
        .with_context(|| args.html.display().to_string())?;
    println!("page: {}", args.html.display());
    Ok(ExitCode::SUCCESS)
}
