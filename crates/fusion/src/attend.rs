//! A block's cross-attention, watched where somebody asks.

use burn::tensor::Tensor;
use weft_nn::{AttentionMask, Memory, MultiHeadAttention};

/// Calls a block's cross-attention, and remembers what its first call attended to.
pub struct Attend<'a> {
    cross: &'a MultiHeadAttention,
    watch: Option<&'a mut Watch>,
}

/// Where one stream of a layer meets the other: what a connection makes the addition behind
/// self-attention of, `[batch, tokens, width]`.
pub struct Crossing<'a, 'b> {
    /// The block's cross-attention.
    pub attend: &'a mut Attend<'b>,
    /// The stream's tokens behind self-attention, `[batch, tokens, width]`.
    pub s: Tensor<3>,
    /// The other stream before the layer, `[batch, keys, width]`.
    pub memory: &'a Memory,
    /// The other stream's levels, each `[batch, keys, width]`.
    pub levels: &'a [Tensor<3>],
    /// 1 where a token of this stream is no padding, `[batch, tokens, 1]`; nothing where none is.
    pub own_visible: Option<&'a Tensor<3>>,
    /// The same of the other stream, `[batch, keys, 1]`.
    pub others_visible: Option<&'a Tensor<3>>,
}

/// What was seen of a cross-attention.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whether the weights' gradient will be asked for.
    pub with_gradient: bool,
    /// `[batch, heads, queries, keys]`
    pub weights: Option<Tensor<4>>,
    /// A zero that was added to the weights, and has their gradient.
    pub probe: Option<Tensor<4>>,
}

impl<'a> Attend<'a> {
    pub fn new(cross: &'a MultiHeadAttention, watch: Option<&'a mut Watch>) -> Self {
        Self { cross, watch }
    }

    /// Attends from `s` to `keys`.
    ///
    /// # Shapes
    ///
    /// - `s` and the output: `[batch, queries, width]`
    /// - `keys`: `[batch, keys, width]`
    pub fn to(&mut self, s: Tensor<3>, keys: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        let watch = match self.watch.take() {
            Some(watch) if watch.weights.is_none() => watch,
            _ => return self.cross.forward(s, keys, mask),
        };
        let ([batch, queries, _], [_, count, _]) = (s.dims(), keys.dims());
        watch.probe = watch.with_gradient.then(|| {
            let shape = [batch, self.cross.heads(), queries, count];
            Tensor::zeros(shape, &s.device().autodiff()).require_grad()
        });
        let (output, weights) = self.cross.forward_with_weights(s, keys, mask, watch.probe.clone());
        watch.weights = Some(weights);
        output
    }
}
