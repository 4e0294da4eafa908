//! Parameters of a module by their paths.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use weft_weights::{Array, Data};

/// The shape of each parameter.
pub(super) fn shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    let mut visit = Shapes::default();
    module.visit(&mut visit);
    visit.found
}

/// The values of each parameter.
pub(super) fn values<M: Module>(module: &M) -> BTreeMap<String, Array> {
    let mut visit = Values { path: Path::default(), gradients: None, found: BTreeMap::new() };
    module.visit(&mut visit);
    visit.found
}

/// The gradient of each parameter that has one.
pub(super) fn gradients<M: Module>(module: &M, gradients: &Gradients) -> BTreeMap<String, Array> {
    let gradients = Some(gradients);
    let mut visit = Values { path: Path::default(), gradients, found: BTreeMap::new() };
    module.visit(&mut visit);
    visit.found
}

/// The module with `values`, which have the shapes of its parameters, in their places. Parameters
/// that are not among them stay.
pub(super) fn assign<M: Module>(module: M, values: BTreeMap<String, Array>) -> M {
    let mut assign = Assign { path: Path::default(), values };
    let module = module.map(&mut assign);
    debug_assert!(assign.values.is_empty(), "no such parameters: {:?}", assign.values.keys());
    module
}

/// Where a visit is.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn name(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Shapes {
    path: Path,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.0.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.path.name(), param.lazy_shape().to_vec());
    }
}

struct Values<'a> {
    path: Path,
    /// Whose gradients are wanted, if not the values themselves.
    gradients: Option<&'a Gradients>,
    found: BTreeMap<String, Array>,
}

impl ModuleVisitor for Values<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.0.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => param.val().grad(gradients),
            None => Some(param.val()),
        };
        if let Some(tensor) = tensor {
            self.found.insert(self.path.name(), array(tensor));
        }
    }
}

/// A tensor on the host.
pub(super) fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().into();
    Array { shape, data: Data::Float(tensor.into_data().iter::<f32>().collect()) }
}

struct Assign {
    path: Path,
    values: BTreeMap<String, Array>,
}

impl ModuleMapper for Assign {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.0.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(Array { shape, data: Data::Float(values) }) =
            self.values.remove(&self.path.name())
        else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        assert_eq!(shape, tensor.dims(), "the shape of {}", self.path.name());
        let loaded = Tensor::from_data(TensorData::new(values, tensor.shape()), &tensor.device());
        let loaded = if tensor.is_require_grad() { loaded.require_grad() } else { loaded };
        Param::from_mapped_value(id, loaded, mapper)
    }
}
