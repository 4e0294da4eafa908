//! A training step of an encoder as large as ViT-S with half its layers.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use weft_kernels::mean;
use weft_nn::init::seeded;
use weft_nn::{NormPosition, TransformerConfig, TransformerStack};
use weft_train::optimizer::AdamW;

use crate::exchange::{Array, random};
use crate::protocol::Check;
use crate::train;
use crate::workload::{Context, Facts, Workload};

const BATCH: usize = 16;
const TOKENS: usize = 197;
const WIDTH: usize = 384;
const DEPTH: usize = 6;
const HEADS: usize = 6;

struct Encoder {
    stack: TransformerStack,
    optimizer: AdamW,
    /// `[batch, tokens, width]`, and so is the target.
    input: Tensor<3>,
    target: Tensor<3>,
    first_loss: Option<f64>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let shape = [BATCH, TOKENS, WIDTH];
    let (input, target) = (random(BATCH * TOKENS * WIDTH, 1), random(BATCH * TOKENS * WIDTH, 2));
    let config = TransformerConfig::new(WIDTH, DEPTH, HEADS, NormPosition::Pre);
    let stack = seeded(config.init(&context.device.clone().autodiff()), 0, 0.02);
    if let Some(exchange) = &context.exchange {
        exchange.weights(&stack)?;
        exchange.inputs(&[
            Array::floats("input", &shape, &input),
            Array::floats("target", &shape, &target),
        ])?;
    }
    let tensor = |values| Tensor::from_data(TensorData::new(values, shape), &context.device);
    Ok(Box::new(Encoder {
        stack,
        optimizer: train::optimizer(),
        input: tensor(input),
        target: tensor(target),
        first_loss: None,
    }))
}

impl Workload for Encoder {
    fn facts(&self) -> Facts {
        Facts {
            unit: "samples",
            parameters: Some(self.stack.num_params()),
            check: Check::from([("loss".into(), self.first_loss.into_iter().collect())]),
            notes: vec![],
        }
    }

    /// `loss = mean((stack(input) - target)^2)`
    fn step(&mut self) -> Result<f64> {
        let output = self.stack.forward(self.input.clone(), None);
        let error = (output - self.target.clone()).reshape([BATCH * TOKENS, WIDTH]);
        let loss = mean(error.square());
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        self.first_loss.get_or_insert(value);
        train::update(&mut self.optimizer, &mut self.stack, loss);
        Ok(BATCH as f64)
    }
}
