//! AdamW and the momentum twin, in one pass over memory.

#[cfg(feature = "flex")]
pub mod extension;

use burn::tensor::Tensor;

/// The numbers of one AdamW update (Loshchilov and Hutter 2019, algorithm 2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWUpdate {
    /// What the gradient is multiplied by first, to clip its norm; 1 leaves it.
    pub gradient_scale: f64,
    pub lr: f64,
    /// How much of themselves the means of the gradient and of its square keep.
    pub betas: [f64; 2],
    pub epsilon: f64,
    /// 0 for parameters that do not decay.
    pub weight_decay: f64,
    /// Updates of this parameter so far, this one included: frees the means of their bias towards 0.
    pub updates: u64,
}

/// Running means of one parameter's gradient and of its square.
#[derive(Debug, Clone)]
pub struct Moments {
    pub first: Tensor<1>,
    pub second: Tensor<1>,
}

/// A parameter, the means of its gradient, and what follows it.
#[derive(Debug, Clone)]
pub struct Updated {
    pub parameter: Tensor<1>,
    pub moments: Moments,
    pub twin: Option<Tensor<1>>,
}

/// The momentum twin of a parameter.
#[derive(Debug, Clone)]
pub struct Follower {
    pub twin: Tensor<1>,
    /// What the twin keeps of itself.
    pub momentum: f64,
}

/// With `g` the scaled gradient, `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
/// `p <- p (1 - lr decay) - lr m^ / (sqrt(v^) + epsilon)`, where `m^` and `v^` are freed of their
/// bias; then the twin, if there is one, [follows](follow) the parameter.
///
/// All tensors are off the tape. Memory that nobody else holds is written in place.
///
/// # Shapes
///
/// - all tensors: `[count]`
pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    follower: Option<Follower>,
    update: AdamWUpdate,
) -> Updated {
    let count = parameter.dims();
    assert_eq!(gradient.dims(), count, "the shape of the gradient");
    assert_eq!(moments.first.dims(), count, "the shape of the gradient's mean");
    assert_eq!(moments.second.dims(), count, "the shape of the squared gradient's mean");
    if let Some(follower) = &follower {
        assert_eq!(follower.twin.dims(), count, "the shape of the twin");
    }
    #[cfg(feature = "flex")]
    return extension::adamw(parameter, gradient, moments, follower, update);
    #[cfg(not(feature = "flex"))]
    composed(parameter, gradient, moments, follower, update)
}

/// `twin <- momentum twin + (1 - momentum) online` (ALBEF, section 3.2; MAMO's target network).
///
/// # Shapes
///
/// - all tensors: the same
pub fn follow<const D: usize>(twin: Tensor<D>, online: Tensor<D>, momentum: f64) -> Tensor<D> {
    twin * momentum + online * (1.0 - momentum)
}

fn composed(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    follower: Option<Follower>,
    update: AdamWUpdate,
) -> Updated {
    let AdamWUpdate { lr, betas: [beta1, beta2], epsilon, weight_decay, .. } = update;
    let [correction1, correction2] = update.corrections();
    let gradient = gradient * update.gradient_scale;
    let first = moments.first * beta1 + gradient.clone() * (1.0 - beta1);
    let second = moments.second * beta2 + gradient.square() * (1.0 - beta2);
    let deviation = second.clone().sqrt() / correction2.sqrt() + epsilon;
    let direction = first.clone() / deviation * (lr / correction1);
    let parameter = parameter * (1.0 - lr * weight_decay) - direction;
    let twin = follower.map(|follower| follow(follower.twin, parameter.clone(), follower.momentum));
    Updated { parameter, moments: Moments { first, second }, twin }
}

impl AdamWUpdate {
    /// What the two means are divided by: `1 - beta^updates`.
    pub(crate) fn corrections(&self) -> [f64; 2] {
        self.betas.map(|beta| 1.0 - beta.powf(self.updates as f64))
    }
}
