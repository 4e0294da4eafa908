//! Retrieval on a split: the dual encoder's ranking, then the matching head's.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_eval::{
    RerankConfig, Retrieval, TaskResult, Truth, chance, rerank, retrieval_of_embeddings,
    top_k_of_embeddings,
};

use crate::inference::{Inference, PicturesInTurn};
use crate::tasks::result;

/// What to evaluate, and what to call it in the result.
pub struct Evaluation<'a> {
    pub split: &'a str,
    pub records: &'a [Record],
    /// Path of the checkpoint, for the result.
    pub checkpoint: &'a str,
    /// Candidates to re-rank per query; 0 for none.
    pub rerank: usize,
    /// Fraction of the data set's records that may be unusable, and how many it has.
    pub bad_budget: f64,
    pub data_set: usize,
}

/// A result with the pictures found for each caption.
pub struct Retrieved {
    pub result: TaskResult,
    /// Before re-ranking.
    pub dual: Retrieval,
    /// Pictures that could not be read and were left out.
    pub ledger: Ledger,
    /// For each caption its text, the record it belongs to, and the best records with their scores.
    pub queries: Vec<FoundFor>,
}

/// The best pictures for one caption.
pub struct FoundFor {
    pub text: String,
    pub record: usize,
    /// Record and score, the best first.
    pub hits: Vec<(usize, f32)>,
}

/// How many pictures per caption are kept for a gallery.
const SHOWN: usize = 5;

/// Evaluates retrieval in both directions. A recipe without ITM has no head to re-rank by.
///
/// On the device are the pictures of a batch or two at a time and, where there is re-ranking, all captions.
///
/// # Errors
///
/// When more pictures than the budget allows cannot be read.
pub fn retrieve(model: &Inference, evaluation: &Evaluation) -> Result<Retrieved> {
    let begun = Instant::now();
    let records = evaluation.records;
    let mut ledger = Ledger::default();
    let (image_rows, readable) = model.image_embeddings(records, &mut ledger)?;
    ledger.check(evaluation.bad_budget, evaluation.data_set)?;
    ensure!(!readable.is_empty(), "none of {} pictures can be read\n{ledger}", records.len());

    let Captions { texts: captions, owner, counts } =
        Captions::of(records, &readable, model.recipe.eval.captions);
    let truth = Truth::from_counts(&counts)?;
    let rerank_by = if model.matches_pairs() { evaluation.rerank } else { 0 };
    let texts = (rerank_by > 0).then(|| model.texts(&captions)).transpose()?;
    let text_rows = match &texts {
        Some(texts) => texts.embeddings.clone(),
        None => model.text_embeddings(&captions)?,
    };
    let width = model.recipe.model.projection_width;

    let mut result =
        result(model, "retrieval", evaluation.split, evaluation.checkpoint, readable.len());
    result.add_chance(&chance(&truth));
    let dual = retrieval_of_embeddings(&image_rows, &text_rows, width, &truth)?;
    result.add_retrieval(&dual);

    let config =
        RerankConfig { k_i2t: rerank_by, k_t2i: rerank_by, chunk: model.recipe.eval.batch_size };
    let mut pictures = PicturesInTurn::new(model, records, &readable, &image_rows);
    let reranked = rerank(&image_rows, &text_rows, width, config, |pairs| {
        let texts = texts.as_ref().context("without re-ranking no pair is scored")?;
        pictures.pair_scores(texts, pairs)
    })?;
    if rerank_by > 0 {
        result.add_reranked(&reranked.retrieval(&truth)?);
    }

    // Without re-ranking the gallery shows what the dual encoder found.
    let shown = if rerank_by == 0 { SHOWN } else { 0 };
    let by_dual = top_k_of_embeddings(&text_rows, &image_rows, width, shown)?;
    let queries = captions.into_iter().zip(owner).enumerate().map(|(number, (text, record))| {
        let hits = by_dual[number].iter().chain(reranked.pictures_of(number)).take(SHOWN);
        let hits = hits.map(|hit| (readable[hit.index], hit.score)).collect();
        FoundFor { text, record, hits }
    });
    let queries = queries.collect();
    result.seconds = begun.elapsed().as_secs_f64();
    Ok(Retrieved { result, dual, ledger, queries })
}

/// The captions that are queries and candidates.
struct Captions {
    texts: Vec<String>,
    /// Of each the record that it belongs to.
    owner: Vec<usize>,
    /// Of each readable picture how many there are.
    counts: Vec<usize>,
}

impl Captions {
    /// The first `most` of each of the `readable` records; 0 for all.
    fn of(records: &[Record], readable: &[usize], most: usize) -> Self {
        let (mut texts, mut owner) = (Vec::new(), Vec::new());
        let mut counts = Vec::with_capacity(readable.len());
        for row in readable {
            let all = &records[*row].captions;
            let used = if most == 0 { all.len() } else { most.min(all.len()) };
            texts.extend(all[..used].iter().cloned());
            owner.extend(std::iter::repeat_n(*row, used));
            counts.push(used);
        }
        Self { texts, owner, counts }
    }
}
