//! Embedding as an extension of Burn's backends, and its place in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, TensorMetadata, backend_extension};

/// Backends that have embedding with a backward pass that is parallel and always adds in one order.
/// Shapes are those of [`embedding`](crate::embedding()).
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub trait EmbeddingOps: Backend {
    /// `table[ids]`
    #[fusion(meta = |table, ids| {
        let ([_, width], [batch, tokens]) = (table.shape.dims(), ids.shape.dims());
        TensorSpec::new([batch, tokens, width].into(), table.dtype)
    })]
    fn embedding_forward(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self>;

    /// The gradient of a table of `rows` rows: row `r` is the sum of `gradient` where `ids = r`, in
    /// order of position.
    #[fusion(meta = |gradient, _ids, rows| {
        let [_, _, width] = gradient.shape.dims();
        TensorSpec::new([*rows, width].into(), gradient.dtype)
    })]
    fn embedding_backward(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct Embedding;

impl<B: EmbeddingOps> Backward<B, 1> for Embedding {
    /// The ids, and the rows of the table.
    type State = (B::IntTensorPrimitive, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (ids, rows) = ops.state;
        if let [Some(table)] = ops.parents {
            let gradient = <B as EmbeddingOps>::embedding_backward(gradient, ids, rows);
            grads.register::<B>(table.id, gradient);
        }
    }
}

impl<B: EmbeddingOps, C: CheckpointStrategy> EmbeddingOps for Autodiff<B, C> {
    fn embedding_forward(table: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, node) = table.into_parts();
        match Embedding.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let [rows, _] = table.shape().dims();
                prep.finish((ids.clone(), rows), B::embedding_forward(table, ids))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::embedding_forward(table, ids)),
        }
    }

    fn embedding_backward(
        _gradient: FloatTensor<Self>,
        _ids: IntTensor<Self>,
        _rows: usize,
    ) -> FloatTensor<Self> {
        unimplemented!("there is no second derivative")
    }
}
