//! Accumulated gradients are the mean of their batches' gradients.

mod common;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use weft_data::batch::Batch;
use weft_train::Recipe;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

struct Values(Vec<f32>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().inner().into_data().iter::<f32>());
    }
}

/// All parameters after one step on `batches`.
fn after(recipe: &Recipe, batches: &[Batch]) -> Vec<f32> {
    let device = Device::flex();
    let mut state = TrainState::new(recipe, 200, &device).unwrap();
    Stepper::new(recipe, &device).unwrap().step(&mut state, batches, 0).unwrap();
    let mut values = Values(Vec::new());
    state.model.visit(&mut values);
    values.0
}

#[test]
fn the_same_batch_twice_is_the_batch_once() {
    let mut recipe = common::tiny(&[]);
    // Hard negatives are drawn anew for each part of a step; the other objectives draw nothing.
    recipe.objectives.itm = None;
    let records = common::records(64);
    let tokenizer = common::tokenizer(&recipe, &records);
    let batches: Vec<_> = common::batches(&recipe, &tokenizer, &records).take(2).collect();
    let (one, other) = (&batches[0], &batches[1]);
    let once = after(&recipe, std::slice::from_ref(one));
    let twice = after(&recipe, &[one.clone(), one.clone()]);
    let mixed = after(&recipe, &[one.clone(), other.clone()]);
    let apart =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(apart(&once, &twice) < 1e-6, "{}", apart(&once, &twice));
    assert!(apart(&once, &mixed) > 1e-5);
}
