//! One optimiser step.

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};
use rand::Rng;
use weft_data::batch::Batch;
use weft_data::codebook::Codebook;
use weft_data::random::addressed;
use weft_model::Model;
use weft_objectives::{CodeLookup, Objective, PairBatch, Views};

use crate::device_batch::to_device;
use crate::gradients::{NamedGradients, clip_factor};
use crate::metrics_log::Line;
use crate::optimizer::{Rate, Twin};
use crate::parameters::Parameters;
use crate::recipe::Recipe;
use crate::schedule::{learning_rate, momentum};
use crate::stage::Stage;
use crate::state::TrainState;

/// What does not change from step to step.
pub struct Stepper {
    recipe: Recipe,
    stages: Vec<(Stage, Vec<Box<dyn Objective + Send + Sync>>)>,
    codebook: Option<CodeLookup>,
    device: Device,
}

/// A figure, with the name it has in the log.
type Figure = (&'static str, f64);

impl Stepper {
    /// # Errors
    ///
    /// Where the recipe's stages do not fit together.
    pub fn new(recipe: &Recipe, device: &Device) -> Result<Self> {
        recipe.choose_kernels();
        let stages = recipe.stages()?.into_iter().map(|stage| {
            let objectives = stage.objectives.build();
            (stage, objectives)
        });
        Ok(Self {
            recipe: recipe.clone(),
            stages: stages.collect(),
            codebook: None,
            device: device.clone().autodiff(),
        })
    }

    /// The same with the codes of patches that the recipe's MIM predicts.
    pub fn with_codebook(mut self, codebook: Option<&Codebook>) -> Self {
        self.codebook = codebook
            .map(|codebook| CodeLookup::new(codebook.centres(), codebook.width(), &self.device));
        self
    }

    /// Names of the objectives of all stages.
    pub fn names(&self) -> Vec<&'static str> {
        self.recipe.objectives.build().iter().map(|objective| objective.name()).collect()
    }

    /// The stage of a step, with its objectives; later steps are the last one's.
    fn stage(&self, step: u64) -> &(Stage, Vec<Box<dyn Objective + Send + Sync>>) {
        let last = &self.stages[self.stages.len() - 1];
        self.stages.iter().find(|(stage, _)| stage.steps.contains(&step)).unwrap_or(last)
    }

    /// Takes step `step` (counted from 0) with `train.accumulate` batches. The line that comes back
    /// is numbered by the steps done.
    ///
    /// # Errors
    ///
    /// When a loss or a gradient is not finite: names the step and the objective.
    pub fn step(&self, state: &mut TrainState, batches: &[Batch], step: u64) -> Result<Line> {
        let classes = self.recipe.model.task.map_or(0, |task| task.outputs);
        let mut sum: Option<NamedGradients> = None;
        let mut figures = Figures::default();
        for (part, batch) in batches.iter().enumerate() {
            let pairs = to_device(batch, classes, &self.device)?;
            let (gradients, found) =
                self.backward(&state.model, &state.twin, &pairs, step, part as u64)?;
            figures.add(found);
            sum = Some(match sum {
                Some(sum) => sum.plus(gradients),
                None => gradients,
            });
        }
        let Some(mut sum) = sum else { bail!("step {step} has no batch") };
        let (stage, _) = self.stage(step);
        sum.0.retain(|path, _| !stage.freezes(path));
        let share = 1.0 / batches.len() as f64;
        let norm = sum.norm() * share;
        if !norm.is_finite() {
            bail!("step {}: the norm of the gradients is {norm}, with finite losses", step + 1);
        }
        let scale = share * clip_factor(norm, self.recipe.optimizer.clip_norm);
        let lr = learning_rate(&self.recipe.optimizer, step, self.recipe.train.steps);
        self.update(state, sum, Rate { step, lr, scale });

        let mut line = Line::new(step + 1);
        figures.means().for_each(|(name, value)| line.push(name, value));
        line.push("grad_norm", norm);
        line.push("lr", lr);
        if self.recipe.train.momentum_final.is_some() {
            line.push("momentum", momentum(&self.recipe.train, step));
        }
        Ok(line)
    }

    /// Moves model and twin by the gradients.
    fn update(&self, state: &mut TrainState, gradients: NamedGradients, rate: Rate) {
        let mut parameters = Parameters::take(&mut state.model);
        let mut followers = Parameters::take(&mut state.twin);
        let twin = Twin {
            parameters: &mut followers,
            part: "backbone",
            momentum: momentum(&self.recipe.train, rate.step),
        };
        state.optimizer.step(&mut parameters, gradients, rate, Some(twin));
        parameters.put(&mut state.model);
        followers.put(&mut state.twin);
        state.model = state.model.clone().clamp_temperature();
    }

    /// Losses and gradients of one batch.
    fn backward(
        &self,
        model: &Model,
        twin: &weft_model::Backbone,
        pairs: &PairBatch,
        step: u64,
        part: u64,
    ) -> Result<(NamedGradients, Vec<Figure>)> {
        // Dropout draws from the device's generator; seeded here, it does not depend on what ran
        // before, so a resumed run draws the same.
        let place = format!("{part}");
        self.device.seed(addressed(self.recipe.seed, step, &place, "dropout").next_u64());
        let negatives = addressed(self.recipe.seed, step, &place, "negatives").next_u64();
        let (stage, objectives) = self.stage(step);
        if stage.objectives.need_masked_words() && pairs.masked_words.dims()[0] == 0 {
            bail!("step {}: no caption of the batch has a word to mask", step + 1);
        }
        let mut views = Views::new(model, twin, pairs, negatives)
            .for_objectives(&stage.objectives)
            .with_codebook(self.codebook.as_ref());

        let mut total: Option<Tensor<1>> = None;
        let mut names = Vec::new();
        let mut values = Vec::new();
        for objective in objectives {
            let loss = objective.compute(&mut views);
            names.push(loss.name);
            values.push(loss.value.clone().inner());
            let weighted = loss.value * objective.weight();
            total = Some(match total {
                Some(total) => total + weighted,
                None => weighted,
            });
            for (name, value) in loss.figures {
                names.push(name);
                values.push(value.inner());
            }
        }
        let Some(total) = total else { bail!("the recipe has no objective") };
        names.push("loss");
        values.push(total.clone().inner());
        // One readback for everything.
        let values = Tensor::cat(values, 0).into_data();
        let figures: Vec<Figure> =
            names.into_iter().zip(values.iter::<f32>().map(f64::from)).collect();
        if let Some((name, value)) = figures.iter().find(|(_, value)| !value.is_finite()) {
            bail!("step {}: {name} is {value}", step + 1);
        }
        Ok((NamedGradients::take(model, total.backward()), figures))
    }
}

/// Figures of the batches of a step. Not every batch has all of them: one without a hidden tag says nothing of tags.
#[derive(Default)]
struct Figures(Vec<(&'static str, f64, usize)>);

impl Figures {
    fn add(&mut self, found: Vec<Figure>) {
        for (name, value) in found {
            match self.0.iter_mut().find(|(other, ..)| *other == name) {
                Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1),
                None => self.0.push((name, value, 1)),
            }
        }
    }

    /// The mean of each over the batches that have it.
    fn means(self) -> impl Iterator<Item = Figure> {
        self.0.into_iter().map(|(name, sum, count)| (name, sum / count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_mean_of_the_batches_that_have_it() {
        let mut figures = Figures::default();
        figures.add(vec![("mcr", 2.0), ("mcr_tag_accuracy", 0.5), ("loss", 2.0)]);
        figures.add(vec![("mcr", 4.0), ("mcr_phrase_accuracy", 1.0), ("loss", 6.0)]);
        let mut means: Vec<Figure> = figures.means().collect();
        means.sort_by_key(|(name, _)| *name);
        let expected =
            [("loss", 4.0), ("mcr", 3.0), ("mcr_phrase_accuracy", 1.0), ("mcr_tag_accuracy", 0.5)];
        assert_eq!(means, expected);
    }
}
