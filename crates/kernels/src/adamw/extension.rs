//! AdamW as an extension of Burn's backends. It has no place in the autodiff graph.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::{AdamWUpdate, Follower, Moments, Updated, composed};
use crate::flex::takes;

/// Backends that update a parameter in one pass. All tensors have one shape.
#[backend_extension(Flex)]
pub trait AdamWOps: Backend {
    /// Parameter and moments after the update.
    fn adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        update: AdamWUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Parameter, moments and twin after the update.
    fn adamw_following(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        twin: FloatTensor<Self>,
        momentum: f64,
        update: AdamWUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

pub(super) fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    follower: Option<Follower>,
    update: AdamWUpdate,
) -> Updated {
    let tensors = [parameter, gradient, moments.first, moments.second].map(Tensor::into_dispatch);
    let follower = follower.map(|follower| (follower.twin.into_dispatch(), follower.momentum));
    let fused = tensors.iter().chain(follower.as_ref().map(|(twin, _)| twin)).all(takes);
    let [parameter, gradient, first, second] = tensors;
    if !fused {
        let [parameter, gradient, first, second] =
            [parameter, gradient, first, second].map(Tensor::from_dispatch);
        let follower = follower
            .map(|(twin, momentum)| Follower { twin: Tensor::from_dispatch(twin), momentum });
        return composed(parameter, gradient, Moments { first, second }, follower, update);
    }
    let (parameter, first, second, twin) = match follower {
        None => {
            let (p, m, v) = Dispatch::adamw(parameter, gradient, first, second, update);
            (p, m, v, None)
        }
        Some((twin, momentum)) => {
            let (p, m, v, twin) = Dispatch::adamw_following(
                parameter, gradient, first, second, twin, momentum, update,
            );
            (p, m, v, Some(twin))
        }
    };
    let [parameter, first, second] = [parameter, first, second].map(Tensor::from_dispatch);
    let twin = twin.map(Tensor::from_dispatch);
    Updated { parameter, moments: Moments { first, second }, twin }
}
