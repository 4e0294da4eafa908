//! A module's parameters, taken out and put back.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Shape, Tensor};

/// The parameters of a module by their path. What was taken is held by nobody else, so that an
/// update can write where it lies.
pub struct Parameters(BTreeMap<String, Parameter>);

/// One parameter outside its module.
pub struct Parameter {
    /// Off the tape, as one dimension.
    pub values: Tensor<1>,
    shape: Shape,
    trained: bool,
}

impl Parameter {
    /// Whether it is a weight or an embedding, not a bias, a norm's scale or a temperature.
    pub fn is_matrix(&self) -> bool {
        self.shape.num_dims() >= 2
    }
}

impl Parameters {
    /// Takes all of `module`'s parameters; it is of no use until they are [`put`](Self::put) back.
    pub fn take<M: Module>(module: &mut M) -> Self {
        let mut taker = Taker { taken: BTreeMap::new(), path: Vec::new() };
        *module = module.clone().map(&mut taker);
        Self(taker.taken)
    }

    /// Puts the parameters back into the module that they were taken from.
    pub fn put<M: Module>(self, module: &mut M) {
        *module = module.clone().map(&mut Putter { parameters: self.0, path: Vec::new() });
    }

    /// Each parameter with its path.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Parameter)> {
        self.0.iter_mut().map(|(path, parameter)| (path.as_str(), parameter))
    }

    pub fn get_mut(&mut self, path: &str) -> Option<&mut Parameter> {
        self.0.get_mut(path)
    }

    /// Gives those at or below the path `part` the values that they have in `others`. Returns how many.
    ///
    /// # Errors
    ///
    /// Where there are none, or `others` has one of them not, or in another shape.
    pub fn copy(&mut self, part: &str, others: &Self) -> Result<usize> {
        let mut copied = 0;
        for (path, own) in self.0.iter_mut().filter(|(path, _)| is_in(path, part)) {
            let other = others.0.get(path).with_context(|| format!("{path} is not there"))?;
            ensure!(
                own.shape == other.shape,
                "{path} is {:?} there, expected {:?}",
                other.shape.to_vec(),
                own.shape.to_vec()
            );
            own.values = other.values.clone();
            copied += 1;
        }
        ensure!(copied > 0, "no parameter's path begins with {part:?}");
        Ok(copied)
    }
}

/// Whether `path` is `part` or below it.
pub fn is_in(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

struct Taker {
    taken: BTreeMap<String, Parameter>,
    path: Vec<String>,
}

impl ModuleMapper for Taker {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (shape, trained, device) = (tensor.shape(), tensor.is_require_grad(), tensor.device());
        let tensor = if device.is_autodiff() { tensor.inner() } else { tensor };
        let values = tensor.reshape([shape.num_elements()]);
        self.taken.insert(self.path.join("."), Parameter { values, shape, trained });
        Param::from_mapped_value(id, Tensor::empty([0; D], &device), mapper)
    }
}

struct Putter {
    parameters: BTreeMap<String, Parameter>,
    path: Vec<String>,
}

impl ModuleMapper for Putter {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, emptied, mapper) = param.consume();
        // The module was visited in the same way when they were taken.
        let taken = self.parameters.remove(&self.path.join(".")).expect("it was taken from here");
        let tensor = taken.values.reshape(taken.shape);
        let on_tape = emptied.device().is_autodiff();
        let tensor = if on_tape { tensor.autodiff() } else { tensor };
        let tensor = if taken.trained { tensor.require_grad() } else { tensor };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tolerance};

    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        left: Linear,
        leftover: Linear,
    }

    fn pair(leftover: usize) -> Pair {
        let device = Device::flex();
        let linear = |width| LinearConfig::new(width, 3).init(&device);
        Pair { left: linear(2), leftover: linear(leftover) }
    }

    #[test]
    fn a_part_is_copied_and_nothing_beside_it() {
        let (mut ours, mut theirs) = (pair(4), pair(5));
        let (kept, wanted) = (ours.leftover.weight.val(), theirs.left.weight.val());
        let mut taken = Parameters::take(&mut ours);
        let others = Parameters::take(&mut theirs);
        assert_eq!(taken.copy("left", &others).unwrap(), 2);
        for (part, expected) in
            [("leftover", "[5, 3] there, expected [4, 3]"), ("lef", "begins with \"lef\"")]
        {
            let message = taken.copy(part, &others).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        taken.put(&mut ours);
        let exact = Tolerance::<f32>::absolute(0.0);
        ours.left.weight.val().into_data().assert_approx_eq(&wanted.into_data(), exact);
        ours.leftover.weight.val().into_data().assert_approx_eq(&kept.into_data(), exact);
    }
}
