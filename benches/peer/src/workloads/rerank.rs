//! Re-ranking by the fusion encoder and the matching head of the recipe `quick`: 1,000 queries with
//! 64 candidates each. A step scores one chunk of these pairs.

use anyhow::{Context as _, Result};
use burn::module::Module;
use weft_data::error::Ledger;
use weft_train::inference::{Images, Inference, Texts};

use super::quick::Quick;
use crate::exchange::{Array, Exchange};
use crate::protocol::Check;
use crate::workload::{Context, Facts, Workload};

const QUERIES: usize = 1_000;
const CANDIDATES: usize = 64;
/// Odds of the first chunk that both sides compare.
const COMPARED: usize = 16;

struct Rerank {
    inference: Inference,
    images: Images,
    texts: Texts,
    pairs: Vec<(usize, usize)>,
    parameters: usize,
    chunk: usize,
    taken: usize,
    first: Vec<f64>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let quick = Quick::open(context)?;
    let model = quick.state(context)?.model;
    let recipe = &quick.recipe;
    let inference = Inference::new(recipe, quick.tokenizer.clone(), &model, &context.device);
    let records = &quick.records[..QUERIES];
    let captions: Vec<String> = records.iter().map(|record| record.captions[0].clone()).collect();
    let images = inference.images(records, &mut Ledger::default())?;
    let (images, _) = images.context("a picture that can be read")?;
    let texts = inference.texts(&captions)?;
    let chunk = recipe.eval.batch_size;
    if let Some(exchange) = &context.exchange {
        exchange.weights(&model)?;
        write_inputs(exchange, &inference, &quick, &captions)?;
    }
    Ok(Box::new(Rerank {
        inference,
        images,
        texts,
        pairs: pairs(),
        parameters: model.num_params(),
        chunk,
        taken: 0,
        first: vec![],
    }))
}

/// Each caption with 64 pictures, among them its own.
fn pairs() -> Vec<(usize, usize)> {
    let candidates = |text| (0..CANDIDATES).map(move |at| ((text + 7 * at) % QUERIES, text));
    (0..QUERIES).flat_map(candidates).collect()
}

fn write_inputs(
    exchange: &Exchange,
    inference: &Inference,
    quick: &Quick,
    captions: &[String],
) -> Result<()> {
    let mut pixels = vec![];
    for record in &quick.records {
        pixels
            .extend(inference.pipeline.picture(record).map_err(|bad| anyhow::anyhow!("{bad:?}"))?);
    }
    let (ids, padding, tokens) = inference.pipeline.texts(captions)?;
    let size = inference.pipeline.preprocess.size;
    let text = [QUERIES, tokens];
    let (images, texts): (Vec<_>, Vec<_>) = pairs().into_iter().unzip();
    let index = |name, rows: Vec<usize>| {
        Array::ints(name, &[rows.len()], rows.into_iter().map(|row| row as i64))
    };
    exchange.inputs(&[
        Array::floats("images", &[QUERIES, 3, size, size], &pixels),
        Array::ints("ids", &text, ids.into_iter().map(i64::from)),
        Array::bools("padding", &text, &padding),
        index("image_of_pair", images),
        index("text_of_pair", texts),
        Array::ints("chunk", &[1], [quick.recipe.eval.batch_size as i64]),
    ])
}

impl Workload for Rerank {
    fn facts(&self) -> Facts {
        Facts {
            unit: "pairs",
            parameters: Some(self.parameters),
            check: Check::from([("odds".into(), self.first.clone())]),
            notes: vec![],
        }
    }

    fn step(&mut self) -> Result<f64> {
        let chunks = self.pairs.len() / self.chunk;
        let begin = self.taken % chunks * self.chunk;
        let pairs = &self.pairs[begin..begin + self.chunk];
        let odds = self.inference.matches(&self.images, &self.texts, pairs)?;
        if self.first.is_empty() {
            self.first = odds.into_iter().take(COMPARED).map(f64::from).collect();
        }
        self.taken += 1;
        Ok(self.chunk as f64)
    }
}
