//! A contrastive training step at base size: ViT-B/16 and BERT-base.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use weft_nn::AttentionMask;
use weft_objectives::itc::itc_loss;
use weft_train::optimizer::AdamW;

use super::dual::{Captions, ImageTower, Pixels, TextTower};
use crate::protocol::Check;
use crate::train;
use crate::workload::{Context, Facts, Workload};

const BATCH: usize = 4;
const TEMPERATURE: f64 = 0.07;

#[derive(Module, Debug)]
struct Dual {
    image: ImageTower,
    text: TextTower,
}

struct Base {
    model: Dual,
    optimizer: AdamW,
    pixels: Tensor<4>,
    ids: Tensor<2, Int>,
    padding: AttentionMask,
    first_loss: Option<f64>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let device = context.device.clone().autodiff();
    let model = Dual { image: ImageTower::new(&device), text: TextTower::new(&device) };
    let (pixels, captions) = (Pixels::new(BATCH), Captions::new(BATCH));
    if let Some(exchange) = &context.exchange {
        exchange.weights(&model)?;
        let [ids, padding] = captions.arrays();
        exchange.inputs(&[pixels.array(), ids, padding])?;
    }
    let (ids, padding) = captions.on(&context.device);
    Ok(Box::new(Base {
        model,
        optimizer: train::optimizer(),
        pixels: pixels.on(&context.device),
        ids,
        padding,
        first_loss: None,
    }))
}

impl Workload for Base {
    fn facts(&self) -> Facts {
        Facts {
            unit: "pairs",
            parameters: Some(self.model.num_params()),
            check: Check::from([("loss".into(), self.first_loss.into_iter().collect())]),
            notes: vec![],
        }
    }

    fn step(&mut self) -> Result<f64> {
        let image = self.model.image.forward(self.pixels.clone());
        let text = self.model.text.forward(self.ids.clone(), &self.padding);
        let loss = itc_loss(image.matmul(text.transpose()) / TEMPERATURE);
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        self.first_loss.get_or_insert(value);
        train::update(&mut self.optimizer, &mut self.model, loss);
        Ok(BATCH as f64)
    }
}
