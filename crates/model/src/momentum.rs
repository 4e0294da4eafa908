//! The momentum twin: a slowly following copy without gradients.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use weft_kernels::follow;

use crate::backbone::Backbone;

/// A twin equal to `online`, off the tape.
pub fn twin(online: &Backbone) -> Backbone {
    online.valid()
}

/// `twin <- momentum twin + (1 - momentum) online` for each parameter (ALBEF, section 3.2; MAMO's
/// target network).
pub fn update(twin: Backbone, online: &Backbone, momentum: f64) -> Backbone {
    let mut source = Flatten::default();
    online.visit(&mut source);
    source.0.reverse();
    twin.map(&mut Follow { online: source.0, momentum })
}

/// The parameters of a module in the order of a visit, each as one dimension, off the tape.
#[derive(Default)]
struct Flatten(Vec<Tensor<1>>);

impl ModuleVisitor for Flatten {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().inner();
        let count = tensor.shape().num_elements();
        self.0.push(tensor.reshape([count]));
    }
}

struct Follow {
    /// What is left of the online parameters, the next one last.
    online: Vec<Tensor<1>>,
    momentum: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        // Twin and online network are one type, so that a visit meets the same parameters.
        let online = self.online.pop().expect("twin and online network have the same parameters");
        let online = online.reshape(tensor.shape());
        Param::from_mapped_value(id, follow(tensor, online, self.momentum), mapper)
    }
}
