//! A training step of the workloads that have no recipe.

use burn::module::Module;
use burn::tensor::Tensor;
use weft_train::gradients::NamedGradients;
use weft_train::optimizer::{AdamW, Rate};
use weft_train::parameters::Parameters;
use weft_train::recipe::OptimizerConfig;
use weft_train::schedule::Decay;

const LEARNING_RATE: f64 = 1e-4;

/// AdamW with decay 0.02 of matrices and a constant rate; gradients are not clipped.
pub fn optimizer() -> AdamW {
    AdamW::new(OptimizerConfig {
        lr: LEARNING_RATE,
        task_head_lr: 1.0,
        fusion_lr: 1.0,
        warmup_lr: LEARNING_RATE,
        final_lr: LEARNING_RATE,
        warmup_steps: 0,
        decay: Decay::default(),
        weight_decay: 0.02,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        clip_norm: f64::MAX,
    })
}

/// Backward pass and update.
pub fn update<M: Module>(optimizer: &mut AdamW, module: &mut M, loss: Tensor<1>) {
    let gradients = NamedGradients::take(module, loss.backward());
    let mut parameters = Parameters::take(module);
    optimizer.step(
        &mut parameters,
        gradients,
        Rate { step: 0, lr: LEARNING_RATE, scale: 1.0 },
        None,
    );
    parameters.put(module);
}
