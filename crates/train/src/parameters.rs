//! A module's parameters, taken out and put back.

use std::collections::BTreeMap;

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
