//! Exact nearest neighbours by cosine: the ten best of all candidates for each query.

use anyhow::Result;
use weft_eval::{Candidate, top_k_of_embeddings};

use crate::exchange::{Array, random};
use crate::protocol::Check;
use crate::workload::{Context, Facts, Workload};

const QUERIES: usize = 5_000;
const CANDIDATES: usize = 25_000;
const WIDTH: usize = 256;
const FOUND: usize = 10;
/// Queries whose results both sides compare.
const COMPARED: usize = 16;

struct TopK {
    queries: Vec<f32>,
    candidates: Vec<f32>,
    found: Vec<Vec<usize>>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let (queries, candidates) = (unit_rows(QUERIES, 1), unit_rows(CANDIDATES, 2));
    if let Some(exchange) = &context.exchange {
        exchange.inputs(&[
            Array::floats("queries", &[QUERIES, WIDTH], &queries),
            Array::floats("candidates", &[CANDIDATES, WIDTH], &candidates),
        ])?;
    }
    Ok(Box::new(TopK { queries, candidates, found: vec![] }))
}

fn unit_rows(count: usize, seed: u64) -> Vec<f32> {
    let mut values = random(count * WIDTH, seed);
    for row in values.chunks_mut(WIDTH) {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length);
    }
    values
}

impl Workload for TopK {
    fn facts(&self) -> Facts {
        // Candidates whose scores differ by rounding alone may change places, hence sums.
        let sum = |row: &Vec<usize>| row.iter().sum::<usize>() as f64;
        let sums = self.found.iter().take(COMPARED).map(sum).collect();
        Facts {
            unit: "queries",
            parameters: None,
            check: Check::from([("indices".into(), sums)]),
            notes: vec![],
        }
    }

    fn step(&mut self) -> Result<f64> {
        let hits = top_k_of_embeddings(&self.queries, &self.candidates, WIDTH, FOUND)?;
        let indices = |hits: Vec<Candidate>| hits.into_iter().map(|hit| hit.index).collect();
        self.found = hits.into_iter().map(indices).collect();
        Ok(QUERIES as f64)
    }
}
