//! A whole training step of the recipe `quick`: five objectives, momentum twin, clipping, AdamW. Its
//! batches are real ones, made beforehand.

use anyhow::{Context as _, Result};
use burn::module::Module;
use rand::Rng;
use weft_data::batch::Batch;
use weft_data::random::addressed;
use weft_objectives::Views;
use weft_objectives::negatives::{Hardness, Negatives};
use weft_train::device_batch::to_device;
use weft_train::metrics_log::Line;
use weft_train::schedule::learning_rate;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

use super::quick::Quick;
use crate::exchange::Array;
use crate::protocol::Check;
use crate::workload::{Context, Facts, Workload};

/// Batches that are taken in turn; each has another number of masked words.
const BATCHES: usize = 4;

/// Figures of the first step that both sides compare. The last one tells the backward pass apart.
const COMPARED: [&str; 7] = ["itc", "itm", "mlm", "mrm", "mim", "loss", "grad_norm"];

struct Mamo {
    stepper: Stepper,
    state: TrainState,
    batches: Vec<Batch>,
    next_step: u64,
    first: Option<Line>,
}

pub fn setup(context: &Context) -> Result<Box<dyn Workload>> {
    let quick = Quick::open(context)?;
    let stepper = Stepper::new(&quick.recipe, &context.device)?;
    let state = quick.state(context)?;
    let batches = quick.batches(BATCHES)?;
    if let Some(exchange) = &context.exchange {
        exchange.weights(&state.model)?;
        exchange.inputs(&inputs(&quick, &state, &batches, context)?)?;
    }
    Ok(Box::new(Mamo { stepper, state, batches, next_step: 0, first: None }))
}

impl Workload for Mamo {
    fn facts(&self) -> Facts {
        let value = |name: &str| self.first.as_ref().and_then(|line| line.get(name));
        let check = COMPARED.map(|name| (name.to_string(), value(name).into_iter().collect()));
        Facts {
            unit: "pairs",
            parameters: Some(self.state.model.num_params()),
            check: Check::from(check),
            notes: vec![],
        }
    }

    fn step(&mut self) -> Result<f64> {
        let batch = &self.batches[self.next_step as usize % BATCHES];
        let batches = std::slice::from_ref(batch);
        let line = self.stepper.step(&mut self.state, batches, self.next_step)?;
        self.first.get_or_insert(line);
        self.next_step += 1;
        Ok(batch.len() as f64)
    }
}

/// Batches, the hard negatives of the first step, and the learning rates.
fn inputs(
    quick: &Quick,
    state: &TrainState,
    batches: &[Batch],
    context: &Context,
) -> Result<Vec<Array>> {
    let (recipe, mut arrays) = (&quick.recipe, vec![]);
    for (index, batch) in batches.iter().enumerate() {
        arrays.extend(batch_arrays(batch, index, context)?);
    }
    let first = batches.first().context("no batch")?;
    let drawn = first_negatives(quick, state, first, context)?;
    for (name, rows) in
        [("image_of_text", &drawn.image_of_text), ("text_of_image", &drawn.text_of_image)]
    {
        arrays.push(Array::ints(name, &[rows.len()], rows.iter().map(|row| *row as i64)));
    }
    let rate = |step| learning_rate(&recipe.optimizer, step, recipe.train.steps) as f32;
    let rates: Vec<f32> = (0..recipe.train.steps).map(rate).collect();
    arrays.push(Array::floats("lr", &[rates.len()], &rates));
    Ok(arrays)
}

/// A batch as PyTorch's side reads it, numbered.
fn batch_arrays(batch: &Batch, index: usize, context: &Context) -> Result<Vec<Array>> {
    let (rows, [channels, height, width]) = (batch.len(), batch.picture_shape);
    let name = |what: &str| format!("{index}.{what}");
    let text = [rows, batch.tokens];
    let ids =
        |what, ids: &[i32]| Array::ints(&name(what), &text, ids.iter().map(|id| (*id).into()));
    let captions = to_device(batch, 0, &context.device)?.caption_of;
    Ok(vec![
        Array::floats(&name("images"), &[rows, channels, height, width], &batch.images),
        Array::bools(&name("image_mask"), &[rows, batch.patches], &batch.image_mask),
        ids("ids", &batch.ids),
        ids("masked_ids", &batch.masked_ids),
        Array::bools(&name("padding"), &text, &batch.padding),
        Array::bools(&name("text_mask"), &text, &batch.text_mask),
        Array::ints(&name("caption_of"), &[rows], captions.iter().map(|row| *row as i64)),
    ])
}

/// What the first step will draw: both sides must match the same wrong pairs to be comparable.
fn first_negatives(
    quick: &Quick,
    state: &TrainState,
    batch: &Batch,
    context: &Context,
) -> Result<Negatives> {
    let pairs = to_device(batch, 0, &context.device)?;
    // The address at which `Stepper` draws them.
    let seed = addressed(quick.recipe.seed, 0, "0", "negatives").next_u64();
    let model = state.model.valid();
    let similarity = Views::new(&model, &state.twin, &pairs, seed).similarity();
    let logits: Vec<f32> = similarity.into_data().iter::<f32>().collect();
    Ok(Negatives::draw(Hardness::Sampled, &logits, &pairs.caption_of, seed))
}
