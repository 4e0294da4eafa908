//! Exact nearest neighbours by cosine: the ten best of all candidates for each query.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use weft_eval::top_k;

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
    device: Device,
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
    let device = context.device.clone();
    Ok(Box::new(TopK { queries, candidates, device, found: vec![] }))
}

fn unit_rows(count: usize, seed: u64) -> Vec<f32> {
    let mut values = random(count * WIDTH, seed);
    for row in values.chunks_mut(WIDTH) {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length);
    }
    values
}

/// The best candidates of each query, the best first.
fn best(queries: &[f32], candidates: &[f32], device: &Device) -> Vec<Vec<usize>> {
    let matrix = |values: &[f32]| {
        let shape = [values.len() / WIDTH, WIDTH];
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let scores = matrix(queries).matmul(matrix(candidates).transpose()).into_data();
    let scores: Vec<f32> = scores.iter::<f32>().collect();
    scores.chunks(candidates.len() / WIDTH).map(|row| top_k(row, FOUND)).collect()
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
        self.found = best(&self.queries, &self.candidates, &self.device);
        Ok(QUERIES as f64)
    }
}
