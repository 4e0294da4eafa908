//! The contrastive loss as an extension of Burn's backends, and its place in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, backend_extension};

/// Backends that have the contrastive loss without the similarities as a tensor. Shapes are those of
/// [`contrastive`](crate::contrastive()).
#[backend_extension(Flex, Autodiff)]
pub trait ContrastiveOps: Backend {
    /// The loss, `[1]`, and what the backward pass needs of the similarities `s`, `[4, n]`: the
    /// largest of each row, `sum(exp(s - largest))` of each row, and both of each column.
    fn contrastive_forward(
        image: FloatTensor<Self>,
        text: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of `image`, `text` and `temperature`. With `d = gradient (P + Q - 2 I) / 2n`,
    /// `P` the softmax of the rows of `s` and `Q` that of its columns, they are `d text /
    /// temperature`, `d^T image / temperature` and `-sum(d s) / temperature`.
    fn contrastive_backward(
        image: FloatTensor<Self>,
        text: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[derive(Debug)]
struct Contrastive;

impl<B: ContrastiveOps> Backward<B, 3> for Contrastive {
    /// `image`, `text`, `temperature`, `sums`
    type State = [B::FloatTensorPrimitive; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [image, text, temperature, sums] = ops.state;
        let (dimage, dtext, dtemperature) =
            B::contrastive_backward(image, text, temperature, sums, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip([dimage, dtext, dtemperature]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: ContrastiveOps, C: CheckpointStrategy> ContrastiveOps for Autodiff<B, C> {
    fn contrastive_forward(
        image: FloatTensor<Self>,
        text: FloatTensor<Self>,
        temperature: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (image, image_node) = image.into_parts();
        let (text, text_node) = text.into_parts();
        let (temperature, temperature_node) = temperature.into_parts();
        let (loss, sums) = B::contrastive_forward(image.clone(), text.clone(), temperature.clone());
        let nodes = [image_node, text_node, temperature_node];
        let loss = match Contrastive.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([image, text, temperature, sums.clone()], loss),
            OpsKind::UnTracked(prep) => prep.finish(loss),
        };
        (loss, Self::from_inner(sums))
    }

    fn contrastive_backward(
        _image: FloatTensor<Self>,
        _text: FloatTensor<Self>,
        _temperature: FloatTensor<Self>,
        _sums: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unimplemented!("there is no second derivative")
    }
}
