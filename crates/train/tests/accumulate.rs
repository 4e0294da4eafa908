//! A step of several batches is one of the mean of their gradients, and says so.

mod common;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use weft_data::batch::Batch;
use weft_train::Recipe;
use weft_train::metrics_log::Line;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

struct Values(Vec<f32>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().inner().into_data().iter::<f32>());
    }
}

/// Three batches, and a recipe whose steps depend on nothing but its batches.
fn setup() -> (Recipe, Vec<Batch>) {
    // Clipped gradients would all be as long as one another, sums and means.
    let mut recipe = common::tiny(&["optimizer.clip_norm=1e6"]);
    // Hard negatives are drawn anew for each part of a step; the other objectives draw nothing.
    recipe.objectives.itm = None;
    let records = common::records(64);
    let tokenizer = common::tokenizer(&recipe, &records);
    let batches = common::batches(&recipe, &tokenizer, &records).take(3).collect();
    (recipe, batches)
}

/// The state behind steps of these batches, and what was logged of each.
fn after(recipe: &Recipe, steps: &[&[Batch]]) -> (TrainState, Vec<Line>) {
    let device = Device::flex();
    let mut state = TrainState::new(recipe, 200, &device).unwrap();
    let stepper = Stepper::new(recipe, &device).unwrap();
    let step = |(step, batches): (u64, &&[Batch])| stepper.step(&mut state, batches, step).unwrap();
    let lines = (0..).zip(steps).map(step).collect();
    (state, lines)
}

fn parameters(state: &TrainState) -> Vec<f32> {
    let mut values = Values(Vec::new());
    state.model.visit(&mut values);
    values.0
}

/// The gradient of a first step, as the optimiser remembers it in its running mean.
fn gradient(recipe: &Recipe, state: &TrainState) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    state.optimizer.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    tensors.retain(|(name, _)| name.starts_with("first."));
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let bytes: Vec<u8> = tensors.iter().flat_map(|(_, view)| view.data().to_vec()).collect();
    let [beta, _] = recipe.optimizer.betas;
    let number = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    bytes.chunks_exact(4).map(|b| number(b) / (1.0 - beta)).collect()
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    length(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// Adam's first step is as long as the rate whatever the gradient is; where batches come twice in some
/// steps alone, the later ones tell a sum from a mean.
#[test]
fn the_same_batch_twice_is_the_batch_once() {
    let (recipe, batches) = setup();
    let [first, second, third] = [0, 1, 2].map(|at| std::slice::from_ref(&batches[at]));
    let (once, lines) = after(&recipe, &[first, second, third]);
    let twice = |batch: &[Batch]| [batch, batch].concat();
    let (first, third) = (twice(first), twice(third));
    let (repeated, repeated_lines) = after(&recipe, &[&first[..], second, &third[..]]);
    // Half of a number and half of it again is that number, to the bit.
    assert_eq!(lines, repeated_lines);
    let (once, repeated) = (parameters(&once), parameters(&repeated));
    let apart = once.iter().zip(&repeated).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(apart < 1e-6, "{apart}");
}

/// Neither the sum of both, nor the first alone, nor the last.
#[test]
fn a_step_is_of_the_mean_of_its_batches() {
    let (recipe, batches) = setup();
    let (first, second) = batches[..2].split_at(1);
    let step = |batches: &[Batch]| {
        let (state, mut lines) = after(&recipe, &[batches]);
        (gradient(&recipe, &state), lines.remove(0))
    };
    let (first, of_first) = step(first);
    let (second, of_second) = step(second);
    let (both, line) = step(&batches[..2]);

    let mean: Vec<f64> = first.iter().zip(&second).map(|(a, b)| 0.5 * (a + b)).collect();
    // f32 in different orders.
    assert!(apart(&both, &mean) < 1e-5 * length(&mean), "{}", apart(&both, &mean));
    assert!(apart(&first, &second) > 0.1 * length(&mean), "the batches are too much alike");
    let norm = line.get("grad_norm").unwrap();
    assert!((norm / length(&mean) - 1.0).abs() < 1e-4, "{norm}, expected {}", length(&mean));

    let losses: Vec<&String> =
        line.figures.keys().filter(|name| *name != "grad_norm" && *name != "lr").collect();
    assert!(losses.len() > 4, "{losses:?}");
    for name in losses {
        let of = |line: &Line| line.get(name).unwrap();
        let mean = 0.5 * (of(&of_first) + of(&of_second));
        assert!((of(&line) - mean).abs() < 1e-9, "{name}: {}, expected {mean}", of(&line));
    }
    let apart = of_first.get("loss").unwrap() - of_second.get("loss").unwrap();
    assert!(apart.abs() > 1e-3, "the batches are too much alike");
}
