//! AdamW with state that is named by parameter path, so that it survives a restart.
//!
//! Burn's optimiser keys its state by identities that change when weights are loaded from
//! safetensors, and clips each tensor by its own norm; both would break a resumed run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::clip::FlatGradients;
use crate::recipe::OptimizerConfig;

/// AdamW (Loshchilov and Hutter 2019, algorithm 2).
pub struct AdamW {
    config: OptimizerConfig,
    moments: BTreeMap<String, Moments>,
}

/// Running means of one parameter's gradient, each as one dimension.
#[derive(Clone)]
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
    /// Updates so far, for the correction of the bias towards zero.
    updates: u64,
}

impl AdamW {
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, moments: BTreeMap::new() }
    }

    /// Updates every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, module: M, gradients: FlatGradients, lr: f64) -> M {
        let mut gradients = gradients.0;
        gradients.reverse();
        module.map(&mut Update { optimizer: self, gradients, lr, path: Vec::new() })
    }

    /// `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
    /// `p <- p (1 - lr decay) - lr m^ / (sqrt(v^) + eps)`, with `m^`, `v^` freed of their bias.
    fn update(
        &mut self,
        path: &str,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        lr: f64,
        decays: bool,
    ) -> Tensor<1> {
        let OptimizerConfig { betas: [beta1, beta2], epsilon, weight_decay, .. } = self.config;
        let old = self.moments.remove(path).unwrap_or_else(|| Moments {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
            updates: 0,
        });
        let updates = old.updates + 1;
        let first = old.first * beta1 + gradient.clone() * (1.0 - beta1);
        let second = old.second * beta2 + gradient.square() * (1.0 - beta2);
        let correction = |beta: f64| 1.0 - beta.powf(updates as f64);
        let deviation = second.clone().sqrt() / correction(beta2).sqrt() + epsilon;
        let direction = first.clone() / deviation * (lr / correction(beta1));
        self.moments.insert(path.to_string(), Moments { first, second, updates });
        let decay = if decays { lr * weight_decay } else { 0.0 };
        parameter * (1.0 - decay) - direction
    }

    /// Writes the state as safetensors: `first.<path>`, `second.<path>`, `updates.<path>`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = Vec::new();
        for (name, moments) in &self.moments {
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
            let updates = moments.updates.to_le_bytes().to_vec();
            tensors.push((format!("updates.{name}"), vec![1], Dtype::U64, updates));
        }
        let mut views = Vec::with_capacity(tensors.len());
        for (name, shape, dtype, bytes) in &tensors {
            views.push((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        safetensors::serialize_to_file(views, None, path)
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
        self.moments.clear();
        for (name, view) in file.tensors() {
            let Some(parameter) = name.strip_prefix("updates.") else { continue };
            let updates: [u8; 8] = view
                .data()
                .try_into()
                .with_context(|| format!("{}: {name}: expected one number", path.display()))?;
            let moments = Moments {
                first: floats(&format!("first.{parameter}"))?,
                second: floats(&format!("second.{parameter}"))?,
                updates: u64::from_le_bytes(updates),
            };
            self.moments.insert(parameter.to_string(), moments);
        }
        ensure!(!self.moments.is_empty(), "{}: holds no optimiser state", path.display());
        Ok(())
    }
}

struct Update<'a> {
    optimizer: &'a mut AdamW,
    /// What is left of the gradients, the next one last.
    gradients: Vec<Option<Tensor<1>>>,
    lr: f64,
    path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        // The gradients were taken from this very module.
        let gradient = self.gradients.pop().expect("one entry per parameter");
        let Some(gradient) = gradient else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.shape();
        let flat = tensor.inner().reshape([shape.num_elements()]);
        let updated = self.optimizer.update(&self.path.join("."), flat, gradient, self.lr, D >= 2);
        let updated = updated.reshape(shape).autodiff().require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}
