//! The gradient of each objective against finite differences, parameter by parameter.

mod common;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use weft_fusion::{ConnectionConfig, ConnectionKind, Sources};
use weft_model::{Backbone, Model};
use weft_objectives::{Objective, Objectives, PairBatch, Views};
use weft_vision::MaskMode;

const SEED: u64 = 3;

const PRE_TRAINING: &str = "[itc]\n[filip]\n[itm]\n[mlm]\n[mrm]\n[mim]\n";
const TASKS: &str = "[vqa]\n[nlvr2]\n[entailment]\n";

/// How far differences may be from a gradient of nothing.
const TOLERANCE: f64 = 4e-4;

/// A gradient of this length stands out of the tolerance: missing, or half as long, it would fail.
const CLEAR: f64 = 5.0 * TOLERANCE;

/// What every objective trains, whatever it reads of the encoders.
const ENCODERS: [&str; 5] = [
    "backbone.vision.patch_embedding",
    "backbone.vision.position_embedding",
    "backbone.vision.stack",
    "backbone.text.embeddings",
    "backbone.text.stack",
];

/// Of either fusion encoder, what every part of its output comes from.
const JOINT: [&str; 3] = [
    "backbone.fusion.image_projection",
    "backbone.fusion.text_projection",
    "backbone.fusion.stack",
];
const CO_ATTENTION: [&str; 5] = [
    "backbone.co_attention.image_projection",
    "backbone.co_attention.text_projection",
    "backbone.co_attention.modality",
    "backbone.co_attention.image_blocks",
    "backbone.co_attention.text_blocks",
];

/// Of a co-attention encoder whose layers read more than the one before.
const LINKS: [&str; 2] = ["backbone.co_attention.image_links", "backbone.co_attention.text_links"];

fn objectives(toml: &str) -> Vec<Box<dyn Objective + Send + Sync>> {
    let all: Objectives = toml::from_str(toml).unwrap();
    all.build()
}

fn loss(objective: &dyn Objective, model: &Model, twin: &Backbone, batch: &PairBatch) -> Tensor<1> {
    let codebook = common::codebook(&batch.images.device());
    let mut views = Views::new(model, twin, batch, SEED).with_codebook(Some(&codebook));
    objective.compute(&mut views).value
}

fn value(objective: &dyn Objective, model: &Model, twin: &Backbone, batch: &PairBatch) -> f64 {
    f64::from(loss(objective, model, twin, batch).inner().into_scalar::<f32>())
}

/// Path and gradient of each parameter; no gradient counts as zero.
struct Collect<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let gradient = match tensor.grad(self.gradients) {
            Some(gradient) => gradient.into_data().iter::<f32>().collect(),
            None => vec![0.0; tensor.shape().num_elements()],
        };
        self.found.push((self.path.join("."), gradient));
    }
}

fn gradients(
    objective: &dyn Objective,
    model: &Model,
    twin: &Backbone,
    batch: &PairBatch,
) -> Vec<(String, Vec<f32>)> {
    let gradients = loss(objective, model, twin, batch).backward();
    let mut collect = Collect { gradients: &gradients, path: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    collect.found
}

/// Moves one parameter along a direction.
struct Nudge<'a> {
    index: usize,
    at: usize,
    direction: &'a [f32],
    distance: f64,
}

impl ModuleMapper for Nudge<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let at = self.at;
        self.at += 1;
        if at != self.index {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let direction = TensorData::new(self.direction.to_vec(), tensor.shape());
        let direction = Tensor::<D>::from_data(direction, &tensor.device());
        Param::from_mapped_value(id, tensor + direction * self.distance, mapper)
    }
}

/// The parts of a model, by the beginnings of their parameters' paths, that an objective must move.
fn reached(objective: &str, model: &Model) -> Vec<&'static str> {
    let joint = model.backbone.fusion.is_some();
    let mim = if model.heads.mim.is_some() { "heads.mim" } else { "heads.mim_blocks" };
    let mut parts = match objective {
        "itc" | "filip" => {
            vec!["backbone.image_projection", "backbone.text_projection", "temperature"]
        }
        "itm" => vec!["heads.itm"],
        "mlm" => vec!["heads.mlm"],
        "mrm" => vec!["heads.mrm", "backbone.vision.mask_token"],
        "mim" => vec![mim, "backbone.vision.mask_token"],
        "mcr" => vec!["heads.phrases", "heads.tags", "backbone.tags"],
        // It has no head: cosines are of what the fusion encoder gives.
        "wpg" => vec![],
        "vqa" | "nlvr2" | "entailment" => vec!["heads.task"],
        "grounding" => vec!["heads.region"],
        other => panic!("what {other} reaches has to be said"),
    };
    parts.extend(ENCODERS);
    match objective {
        // Before any fusion.
        "itc" | "filip" | "mcr" => {}
        _ if joint => parts.extend(JOINT),
        _ => parts.extend(CO_ATTENTION),
    }
    match objective {
        "itm" | "vqa" | "nlvr2" | "entailment" if joint => {
            let own =
                model.backbone.fusion.as_ref().is_some_and(|joint| joint.class_token.is_some());
            parts.push(if own { "backbone.fusion.class_token" } else { "backbone.fusion.pooler" });
        }
        "itm" | "vqa" | "nlvr2" | "entailment" => {
            parts.extend([
                "backbone.co_attention.image_pooler",
                "backbone.co_attention.text_pooler",
            ]);
        }
        _ => {}
    }
    parts
}

fn lies_in(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn length(gradient: &[f32]) -> f64 {
    gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
}

/// A gradient of nothing agrees with differences of nothing, and a short one with any within the tolerance: each
/// of `parts` must have a parameter whose gradient is neither.
fn assert_reached(objective: &str, parts: &[&str], gradients: &[(String, Vec<f32>)]) {
    for part in parts {
        let of_part = gradients.iter().filter(|(path, _)| lies_in(path, part));
        let longest = of_part.map(|(_, gradient)| length(gradient)).fold(0.0, f64::max);
        assert!(longest > CLEAR, "{objective}: the longest gradient in {part} is {longest}");
    }
}

/// Along its own gradient's direction the loss must grow at the gradient's length; along a fixed
/// other direction at the inner product. A gradient that is too small, too large, missing or of the
/// wrong place fails one of the two.
fn check(toml: &str, models: (Model, Backbone), batch: PairBatch) {
    check_at(2e-3, &[], toml, models, batch);
}

/// As [`check`], with differences over `step`; the objectives must move the parts `also`, too.
fn check_at(
    step: f64,
    also: &[&'static str],
    toml: &str,
    (model, twin): (Model, Backbone),
    batch: PairBatch,
) {
    for objective in objectives(toml) {
        let gradients = gradients(objective.as_ref(), &model, &twin, &batch);
        let mut parts = reached(objective.name(), &model);
        parts.extend(also);
        assert_reached(objective.name(), &parts, &gradients);
        let plain = model.valid();
        let mut moved = 0;
        for (index, (path, gradient)) in gradients.iter().enumerate() {
            let length = length(gradient);
            let along = |distance: f64, direction: &[f32]| {
                let mut nudge = Nudge { index, at: 0, direction, distance };
                value(objective.as_ref(), &plain.clone().map(&mut nudge), &twin, &batch)
            };
            let count = gradient.len() as f64;
            let other: Vec<f32> = (0..gradient.len())
                .map(|i| (if i * 31 % 7 < 3 { 1.0 } else { -1.0 }) / count.sqrt() as f32)
                .collect();
            let mut directions = vec![other];
            if length > 1e-5 {
                moved += 1;
                directions.push(gradient.iter().map(|g| g / length as f32).collect());
            }
            for direction in directions {
                let expected: f64 =
                    gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
                // Central differences: the error is rounding of the loss over the distance
                // (3e-7 / 4e-3) plus the third derivative times the distance squared.
                let (ahead, behind) = (along(step, &direction), along(-step, &direction));
                let found = (ahead - behind) / (2.0 * step);
                let mut tolerance = TOLERANCE + 1e-2 * expected.abs();
                if matches!(objective.name(), "mim" | "filip" | "grounding" | "wpg") {
                    // L1 norms and largest elements have kinks, and one inside the step bends the differences by just
                    // as much as it bends the second difference.
                    let here = value(objective.as_ref(), &plain, &twin, &batch);
                    tolerance += (ahead + behind - 2.0 * here).abs() / (2.0 * step);
                }
                assert!(
                    (found - expected).abs() < tolerance,
                    "{} {path}: gradient {expected}, differences {found}",
                    objective.name()
                );
            }
        }
        assert!(moved > 10, "{}: only {moved} parameters have a gradient", objective.name());
    }
}

#[test]
fn every_objective_with_mask_tokens() {
    let device = Device::flex();
    check(PRE_TRAINING, common::models(MaskMode::Token, &device), common::batch(&device));
}

#[test]
fn every_objective_of_concepts() {
    let device = Device::flex();
    let toml = "[itc]\n[itm]\nnegatives = \"hardest\"\nper_pair = 1\n[mlm]\n[mcr]\n[wpg]\n";
    check(toml, common::concept_models(&device), common::concept_batch(&device));
    let toml = "[itm]\n[wpg]\nwrong = \"paired\"\n";
    check(toml, common::concept_models(&device), common::concept_batch(&device));
}

#[test]
fn a_fused_class_of_the_captions_first_token() {
    let device = Device::flex();
    check("[itm]\n[mlm]\n", common::text_class_models(&device), common::batch(&device));
}

#[test]
fn every_objective_with_dropped_patches() {
    let device = Device::flex();
    check(PRE_TRAINING, common::models(MaskMode::Drop, &device), common::batch(&device));
}

#[test]
fn every_target_and_head_of_mim() {
    let device = Device::flex();
    for mim in [
        "target = \"pixels\"",
        "target = \"pixels\"\nstandardize_target = false",
        "target = \"tokens\"\ncodes = 6",
        "target = \"tokens\"\ncodes = 6\nhead_depth = 1",
        "head_depth = 2",
    ] {
        let models = common::mim_models(mim, MaskMode::Token, &device);
        // Hundreds of pixels have many kinks, which may stand on either side and hide from the second
        // difference: within a shorter step there are fewer.
        check_at(1e-3, &[], &format!("[mim]\n{mim}\n"), models, common::batch(&device));
    }
}

/// Takes links away from where they begin: U1's gates are opened half, for nine tenths are in-layer at first, which leaves the
/// gradients of the mixture too short to be told from nothing; static weights get apart, for a temperature does nothing
/// to equal ones.
struct Learnt {
    path: Vec<String>,
}

impl ModuleMapper for Learnt {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is = |end: &[&str]| self.path.iter().rev().zip(end.iter().rev()).all(|(a, b)| a == b);
        let step = match () {
            () if is(&["gate", "bias"]) => 0.0,
            () if is(&["logits"]) => 0.05,
            () => return param,
        };
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.shape();
        let numbers: Vec<f32> = (0..shape.num_elements()).map(|i| step * i as f32).collect();
        let tensor = Tensor::from_data(TensorData::new(numbers, shape), &tensor.device());
        Param::from_mapped_value(id, tensor.require_grad(), mapper)
    }
}

/// Which field of which link a parameter is of, as in `gates.query`, whatever the stream and the layer.
fn field_of_link(path: &str) -> Option<String> {
    let (_, path) = path.split_once("_links.")?;
    let names: Vec<&str> = path.split('.').filter(|name| name.parse::<usize>().is_err()).collect();
    Some(names[..2].join("."))
}

/// Every field of a link has a gradient that stands out, by one of `objectives`.
fn assert_links_learn(
    objectives: &[Box<dyn Objective + Send + Sync>],
    (model, twin): &(Model, Backbone),
    batch: &PairBatch,
) {
    let mut longest: BTreeMap<String, f64> = BTreeMap::new();
    for objective in objectives {
        for (path, gradient) in gradients(objective.as_ref(), model, twin, batch) {
            let Some(field) = field_of_link(&path) else { continue };
            let found = longest.entry(field).or_default();
            *found = found.max(length(&gradient));
        }
    }
    assert!(!longest.is_empty());
    for (field, length) in &longest {
        assert!(*length > CLEAR, "the longest gradient of {field} is {length}: {longest:?}");
    }
}

#[test]
fn every_connection_of_two_streams() {
    use ConnectionKind as K;
    let device = Device::flex();
    for kind in ConnectionKind::ALL {
        let mut connection = ConnectionConfig::new(kind);
        if matches!(kind, K::Managers | K::Gate | K::Sum | K::Concat) {
            connection.sources = Some(Sources::Both);
        }
        let (model, twin) = common::co_attention_models(connection, &device);
        let models = (model.map(&mut Learnt { path: Vec::new() }), twin);
        let (toml, batch) = ("[itm]\n[mlm]\n", common::batch(&device));
        let links: &[&str] = if kind == K::None { &[] } else { &LINKS };
        if kind != K::None {
            assert_links_learn(&objectives(toml), &models, &batch);
        }
        check_at(2e-3, links, toml, models, batch);
    }
}

#[test]
fn every_task_with_one_picture() {
    let device = Device::flex();
    check(TASKS, common::task_models(1, &device), common::task_batch(1, &device));
}

#[test]
fn every_task_with_two_pictures() {
    let device = Device::flex();
    check(TASKS, common::task_models(2, &device), common::task_batch(2, &device));
}

#[test]
fn a_rectangle() {
    let device = Device::flex();
    check("[grounding]\n", common::region_models(&device), common::task_batch(1, &device));
}
