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

const DEPTH: usize = 6;
/// Width of a head, as in every ViT.
const HEAD_WIDTH: usize = 64;

/// How large the step is. PyTorch's side has the defaults.
#[derive(clap::Args, Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    #[arg(long, default_value_t = 197)]
    pub tokens: usize,
    /// A multiple of 64.
    #[arg(long, default_value_t = 384)]
    pub width: usize,
}

struct Encoder {
    sizes: Sizes,
    stack: TransformerStack,
    optimizer: AdamW,
    /// `[batch, tokens, width]`, and so is the target.
    input: Tensor<3>,
    target: Tensor<3>,
    first_loss: Option<f64>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let Sizes { batch, tokens, width } = context.encoder;
    let shape = [batch, tokens, width];
    let (input, target) = (random(batch * tokens * width, 1), random(batch * tokens * width, 2));
    let config = TransformerConfig::new(width, DEPTH, width / HEAD_WIDTH, NormPosition::Pre);
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
        sizes: context.encoder,
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
        let Sizes { batch, tokens, width } = self.sizes;
        let output = self.stack.forward(self.input.clone(), None);
        let error = (output - self.target.clone()).reshape([batch * tokens, width]);
        let loss = mean(error.square());
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        self.first_loss.get_or_insert(value);
        train::update(&mut self.optimizer, &mut self.stack, loss);
        Ok(batch as f64)
    }
}
