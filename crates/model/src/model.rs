//! The whole model.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use weft_fusion::Part;
use weft_nn::first_token;

use crate::backbone::Backbone;
use crate::heads::Heads;

/// Where the temperature is kept (ALBEF clamps it so after every step).
pub const TEMPERATURE_RANGE: (f64, f64) = (0.001, 0.5);

/// Encoders, fusion and heads.
#[derive(Module, Debug)]
pub struct Model {
    pub backbone: Backbone,
    /// Divides the similarities of the shared space before softmax, `[1]`.
    pub temperature: Param<Tensor<1>>,
    pub heads: Heads,
}

impl Model {
    /// The same model with its temperature inside [`TEMPERATURE_RANGE`].
    pub fn clamp_temperature(mut self) -> Self {
        let (low, high) = TEMPERATURE_RANGE;
        self.temperature = self.temperature.map(|tensor| {
            // Off the tape and back: the clamped value is a leaf like the one it replaces.
            let (learns, tracked) = (tensor.is_require_grad(), tensor.is_autodiff());
            let clamped = tensor.inner().clamp(low, high);
            let clamped = if tracked { clamped.autodiff() } else { clamped };
            if learns { clamped.require_grad() } else { clamped }
        });
        self
    }

    /// Whether a picture shows what a caption says, as the matching head sees it: the probability
    /// of "match" is the softmax of these logits' second column.
    ///
    /// # Shapes
    ///
    /// - `class`: `[batch, class_width]`, the fused class; of a co-attention encoder both streams' beside one another
    /// - output: `[batch, 2]`
    pub fn match_logits(&self, class: Tensor<2>) -> Tensor<2> {
        self.heads.itm.forward(class)
    }

    /// What of the fused pair the head of the model's task reads.
    pub fn task_part(&self) -> Part {
        if self.heads.region.is_some() { Part::Image } else { Part::Class }
    }

    /// What the head of the model's task says of a text with each of its pictures: logits, or what
    /// [`RegionHead`](crate::RegionHead) finds.
    ///
    /// # Shapes
    ///
    /// - `pictures`: of each the [`task_part`](Self::task_part) of its pair with the text
    /// - output: `[batch, outputs]`
    ///
    /// # Panics
    ///
    /// Where the model has no task.
    pub fn task_output(&self, pictures: Vec<Tensor<3>>) -> Tensor<2> {
        if let (Some(head), [picture]) = (&self.heads.region, &pictures[..]) {
            return head.forward(picture.clone());
        }
        let classes = pictures.into_iter().map(first_token).collect();
        let head = self.heads.task.as_ref().expect("a model that is fine-tuned has a task head");
        head.forward(classes)
    }
}
