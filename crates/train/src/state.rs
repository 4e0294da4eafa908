//! What training changes.

use anyhow::Result;
use burn::tensor::Device;
use weft_model::{Backbone, Model, momentum};

use crate::optimizer::AdamW;
use crate::recipe::Recipe;
use crate::start;

/// Model, momentum twin and optimiser.
pub struct TrainState {
    /// On the autodiff device.
    pub model: Model,
    /// Off the tape.
    pub twin: Backbone,
    pub optimizer: AdamW,
}

impl TrainState {
    /// The state before the first step, with what the recipe starts from, and what was taken from
    /// there.
    ///
    /// # Errors
    ///
    /// Where a checkpoint or a published encoder cannot be read or does not fit the recipe.
    pub fn begin(
        recipe: &Recipe,
        vocab_size: usize,
        device: &Device,
    ) -> Result<(Self, Vec<String>)> {
        let mut state = Self::new(recipe, vocab_size, device)?;
        let (model, lines) = start::start(recipe, state.model, vocab_size)?;
        state.twin = momentum::twin(&model.backbone);
        state.model = model;
        Ok((state, lines))
    }

    /// Initial weights; they depend on the recipe and the vocabulary alone.
    pub fn new(recipe: &Recipe, vocab_size: usize, device: &Device) -> Result<Self> {
        let device = device.clone().autodiff();
        let model = recipe.model.init(vocab_size, recipe.seed, &device)?;
        let twin = momentum::twin(&model.backbone);
        Ok(Self { model, twin, optimizer: AdamW::new(recipe.optimizer.clone()) })
    }
}
