//! Embedding pictures by ViT-B/16 and captions by BERT-base.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Tensor;

use super::dual::{Captions, ImageTower, Pixels, TextTower};
use crate::protocol::Check;
use crate::workload::{Context, Facts, Workload};

/// Numbers of the first embedding that both sides compare.
const COMPARED: usize = 16;

struct Embed<F: FnMut() -> Tensor<2>> {
    unit: &'static str,
    batch: usize,
    parameters: usize,
    forward: F,
    first: Vec<f64>,
}

pub fn image(context: &Context, batch: usize) -> Result<Box<dyn Workload>> {
    let tower = ImageTower::new(&context.device);
    let pixels = Pixels::new(batch);
    if let Some(exchange) = &context.exchange {
        exchange.weights(&tower)?;
        exchange.inputs(&[pixels.array()])?;
    }
    let pixels = pixels.on(&context.device);
    let parameters = tower.num_params();
    let forward = move || tower.forward(pixels.clone());
    Ok(Box::new(Embed { unit: "pictures", batch, parameters, forward, first: vec![] }))
}

pub fn text(context: &Context, batch: usize) -> Result<Box<dyn Workload>> {
    let tower = TextTower::new(&context.device);
    let captions = Captions::new(batch);
    if let Some(exchange) = &context.exchange {
        exchange.weights(&tower)?;
        exchange.inputs(&captions.arrays())?;
    }
    let (ids, padding) = captions.on(&context.device);
    let parameters = tower.num_params();
    let forward = move || tower.forward(ids.clone(), &padding);
    Ok(Box::new(Embed { unit: "captions", batch, parameters, forward, first: vec![] }))
}

impl<F: FnMut() -> Tensor<2>> Workload for Embed<F> {
    fn facts(&self) -> Facts {
        Facts {
            unit: self.unit,
            parameters: Some(self.parameters),
            check: Check::from([("embedding".into(), self.first.clone())]),
            notes: vec![],
        }
    }

    fn step(&mut self) -> Result<f64> {
        // In host memory, as whoever asks for embeddings wants them.
        let embeddings = (self.forward)().into_data();
        if self.first.is_empty() {
            self.first = embeddings.iter::<f32>().take(COMPARED).map(f64::from).collect();
        }
        Ok(self.batch as f64)
    }
}
