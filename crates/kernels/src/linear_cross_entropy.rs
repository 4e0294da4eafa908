//! Cross-entropy straight from what comes before the layer that makes the logits.

#[cfg(any(feature = "flex", feature = "cube"))]
pub mod extension;

use burn::tensor::{Int, Tensor};

use crate::cross_entropy;

/// What [`linear_cross_entropy`] gives.
#[derive(Debug, Clone)]
pub struct LinearCrossEntropy {
    /// `[1]`
    pub loss: Tensor<1>,
    /// The class of the largest logit of each item, the first of equal ones, `[items]`.
    pub best: Tensor<1, Int>,
}

/// `-mean_i log softmax(hidden_i weight^T + bias)[class_i]`
///
/// Where it is fused, the logits of all items never stand in memory at once.
///
/// # Shapes
///
/// - `hidden`: `[items, width]`
/// - `weight`: `[classes, width]`
/// - `bias`: `[classes]`
/// - `class`: `[items]`, each below `classes`
///
/// # Panics
///
/// Without items: their mean is not defined.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    class: Tensor<1, Int>,
) -> LinearCrossEntropy {
    let ([items, width], [classes, _]) = (hidden.dims(), weight.dims());
    assert!(items > 0, "cross-entropy of no items is not defined");
    assert_eq!(weight.dims(), [classes, width], "the shape of the weights");
    assert_eq!(bias.dims(), [classes], "the shape of the bias");
    assert_eq!(class.dims(), [items], "the shape of the classes");
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        use crate::fused::takes;
        use burn::backend::Dispatch;
        use extension::LinearCrossEntropyOps;

        let [hidden, weight, bias] =
            [hidden.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        if [&hidden, &weight, &bias].into_iter().all(takes) {
            let class = class.into_dispatch();
            let (loss, best) = Dispatch::linear_cross_entropy_forward(hidden, weight, bias, class);
            let (loss, best) = (Tensor::from_dispatch(loss), Tensor::from_dispatch(best));
            return LinearCrossEntropy { loss, best };
        }
        let [hidden, weight] = [hidden, weight].map(Tensor::from_dispatch);
        composed(hidden, weight, Tensor::from_dispatch(bias), class)
    }
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    composed(hidden, weight, bias, class)
}

fn composed(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    class: Tensor<1, Int>,
) -> LinearCrossEntropy {
    let [items, _] = hidden.dims();
    let logits = hidden.matmul(weight.transpose()) + bias.unsqueeze_dim::<2>(0);
    let best = logits.clone().inner().argmax(1).reshape([items]);
    LinearCrossEntropy { loss: cross_entropy(logits, class), best }
}
