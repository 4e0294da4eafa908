//! `weft search`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_eval::{Hit, RerankConfig, rerank, search_page, top_k_of_embeddings};
use weft_train::run_dir::{can_write, write_atomically};
use weft_train::trainer::{credits, test_splits};

use super::source::{DataArgs, ModelArgs, at_least_one};

#[derive(clap::Args)]
pub struct Args {
    /// What to look for.
    query: String,
    /// How many pictures to show.
    #[arg(short = 'k', long, default_value_t = 10, value_parser = at_least_one())]
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
    can_write(&args.html)?;
    ensure!(!args.query.trim().is_empty(), "the query is empty");
    let (_, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe)?;
    let records: Vec<Record> = match &args.split {
        Some(name) => dataset.split(name)?.to_vec(),
        None => {
            test_splits(&dataset).into_iter().flat_map(|(_, records)| records.to_vec()).collect()
        }
    };
    ensure!(!records.is_empty(), "no held-out picture to look in\n{}", dataset.summary());

    let mut ledger = Ledger::default();
    let found = model.images(&records, &mut ledger)?;
    ledger.check(model.recipe.data.bad_budget, dataset.total())?;
    let (images, readable) = found.with_context(|| format!("no picture can be read\n{ledger}"))?;
    let texts = model.texts(std::slice::from_ref(&args.query))?;
    let width = model.recipe.model.projection_width;
    let (image_rows, text_rows) = (&images.embeddings, &texts.embeddings);
    let rerank_by = args.rerank.unwrap_or(model.recipe.eval.rerank);
    let best = if rerank_by == 0 || !model.matches_pairs() {
        top_k_of_embeddings(text_rows, image_rows, width, args.top)?.concat()
    } else {
        // What is shown is re-ranked, so that all scores are of one kind.
        let k_t2i = rerank_by.max(args.top);
        let config = RerankConfig { k_i2t: 0, k_t2i, chunk: model.recipe.eval.batch_size };
        let reranked = rerank(image_rows, text_rows, width, config, |pairs| {
            model.pair_scores(&images, &texts, pairs)
        })?;
        reranked.pictures_of(0).to_vec()
    };

    let mut hits = Vec::new();
    println!("rank  score    picture");
    for (rank, found) in best.iter().take(args.top).enumerate() {
        let record = &records[readable[found.index]];
        let caption = record.captions.first().cloned().unwrap_or_default();
        println!("{:>4}  {:>7.3}  {caption}  ({})", rank + 1, found.score, record.key);
        hits.push(Hit {
            picture: record.picture.read().map_err(|bad| anyhow::anyhow!("{bad}"))?,
            caption,
            score: found.score,
            correct: false,
        });
    }
    let page = search_page(&args.query, &hits, &credits(&args.data.evaluated(&model.recipe)?));
    write_atomically(&args.html, page.as_bytes())?;
    println!("page: {}", args.html.display());
    Ok(ExitCode::SUCCESS)
}
