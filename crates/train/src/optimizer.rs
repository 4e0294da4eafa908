//! AdamW with state that is named by parameter path, so that it survives a restart.
//!
//! Burn's optimiser keys its state by identities that change when weights are loaded from
//! safetensors, and clips each tensor by its own norm; both would break a resumed run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use weft_kernels::{AdamWUpdate, Follower, Moments, adamw, follow};
use weft_model::weights;

use crate::gradients::NamedGradients;
use crate::parameters::{Parameter, Parameters};
use crate::recipe::OptimizerConfig;
use crate::schedule::own_warm_up;

/// Paths of the heads of tasks.
const TASK_HEADS: [&str; 2] = ["heads.task.", "heads.region."];

/// Paths of what METER calls cross-modal: the fusion encoder, and the heads that are none of a task.
const FUSION: [&str; 3] = ["backbone.fusion.", "backbone.co_attention.", "heads."];

/// AdamW (Loshchilov and Hutter 2019, algorithm 2).
pub struct AdamW {
    config: OptimizerConfig,
    memory: BTreeMap<String, Memory>,
}

/// What is known of one parameter's gradients.
struct Memory {
    moments: Moments,
    /// Updates so far, for the correction of the bias towards zero.
    updates: u64,
}

/// How far a step goes.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Counted from 0.
    pub step: u64,
    pub lr: f64,
    /// What gradients are multiplied by first.
    pub scale: f64,
}

/// The twin that follows a part of the module.
pub struct Twin<'a> {
    pub parameters: &'a mut Parameters,
    /// Path of the part.
    pub part: &'static str,
    /// What the twin keeps of itself at each update.
    pub momentum: f64,
}

impl Twin<'_> {
    /// The twin's own of a parameter of the module, moved out.
    fn take(&mut self, path: &str) -> Option<Follower> {
        let momentum = self.momentum;
        self.get(path).map(|own| Follower { twin: take(&mut own.values), momentum })
    }

    fn put(&mut self, path: &str, twin: Tensor<1>) {
        if let Some(own) = self.get(path) {
            own.values = twin;
        }
    }

    fn get(&mut self, path: &str) -> Option<&mut Parameter> {
        let path = path.strip_prefix(self.part)?.strip_prefix('.')?;
        self.parameters.get_mut(path)
    }
}

impl AdamW {
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, memory: BTreeMap::new() }
    }

    /// Updates every parameter that has a gradient, which is multiplied by the rate's `scale` first; then the
    /// twin follows all of its part.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        mut gradients: NamedGradients,
        rate: Rate,
        mut twin: Option<Twin>,
    ) {
        for (path, parameter) in parameters.iter_mut() {
            let follower = twin.as_mut().and_then(|twin| twin.take(path));
            let followed = match gradients.0.remove(path) {
                Some(gradient) => self.update(path, parameter, gradient, follower, rate),
                None => {
                    follower.map(|own| follow(own.twin, parameter.values.clone(), own.momentum))
                }
            };
            if let (Some(twin), Some(followed)) = (&mut twin, followed) {
                twin.put(path, followed);
            }
        }
    }

    /// Updates one parameter; what comes back is its twin.
    fn update(
        &mut self,
        path: &str,
        parameter: &mut Parameter,
        gradient: Tensor<1>,
        follower: Option<Follower>,
        rate: Rate,
    ) -> Option<Tensor<1>> {
        let Memory { moments, updates } = self.memory.remove(path).unwrap_or_else(|| Memory {
            moments: Moments { first: gradient.zeros_like(), second: gradient.zeros_like() },
            updates: 0,
        });
        let update = AdamWUpdate {
            gradient_scale: rate.scale,
            lr: rate.lr * self.times(path) * own_warm_up(&self.config, rate.step, updates),
            betas: self.config.betas,
            epsilon: self.config.epsilon,
            weight_decay: if parameter.is_matrix() { self.config.weight_decay } else { 0.0 },
            updates: updates + 1,
        };
        let updated = adamw(take(&mut parameter.values), gradient, moments, follower, update);
        parameter.values = updated.parameter;
        let memory = Memory { moments: updated.moments, updates: update.updates };
        self.memory.insert(path.to_string(), memory);
        updated.twin
    }

    /// How many times as fast as the encoders the parameter at `path` learns.
    fn times(&self, path: &str) -> f64 {
        let is_of = |parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
        if is_of(&TASK_HEADS) {
            self.config.task_head_lr
        } else if is_of(&FUSION) {
            self.config.fusion_lr
        } else {
            1.0
        }
    }

    /// Writes the state as safetensors: `first.<path>`, `second.<path>`, `updates.<path>`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = Vec::new();
        for (name, Memory { moments, updates }) in &self.memory {
            for (kind, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let values: Vec<u8> =
                    tensor.to_data().iter::<f32>().flat_map(f32::to_le_bytes).collect();
                tensors.push((
                    format!("{kind}.{name}"),
                    vec![values.len() / 4],
                    Dtype::F32,
                    values,
                ));
            }
            let updates = updates.to_le_bytes().to_vec();
            tensors.push((format!("updates.{name}"), vec![1], Dtype::U64, updates));
        }
        let mut views = Vec::with_capacity(tensors.len());
        for (name, shape, dtype, bytes) in &tensors {
            views.push((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        weights::readable(path, || safetensors::serialize_to_file(views, None, path))
            .with_context(|| path.display().to_string())
    }

    /// Reads the state that [`save`](Self::save) wrote; it is moved to each parameter's device.
    pub fn load<M: Module>(&mut self, module: &M, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = SafeTensors::deserialize(&bytes)
            .with_context(|| format!("{}: not safetensors", path.display()))?;
        let device = module.devices().into_iter().next().context("a model without parameters")?;
        let device = device.without_autodiff();
        let floats = |name: &str| -> Result<Tensor<1>> {
            let view = file.tensor(name).with_context(|| format!("{}: {name}", path.display()))?;
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            let count = values.len();
            Ok(Tensor::from_data(TensorData::new(values, [count]), &device))
        };
        self.memory.clear();
        for (name, view) in file.tensors() {
            let Some(parameter) = name.strip_prefix("updates.") else { continue };
            let updates: [u8; 8] = view
                .data()
                .try_into()
                .with_context(|| format!("{}: {name}: expected one number", path.display()))?;
            let moments = Moments {
                first: floats(&format!("first.{parameter}"))?,
                second: floats(&format!("second.{parameter}"))?,
            };
            let memory = Memory { moments, updates: u64::from_le_bytes(updates) };
            self.memory.insert(parameter.to_string(), memory);
        }
        ensure!(!self.memory.is_empty(), "{}: holds no optimiser state", path.display());
        Ok(())
    }
}

/// Moves a tensor out, and leaves one of no size.
fn take(values: &mut Tensor<1>) -> Tensor<1> {
    let empty = Tensor::empty([0], &values.device());
    std::mem::replace(values, empty)
}
