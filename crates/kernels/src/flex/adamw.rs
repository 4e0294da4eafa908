//! AdamW on Flex: each number of parameter, gradient, moments and twin is read once, and what
//! changes is written where it lay.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::simd::{fma, vectorised};
use super::{contiguous, numbers, whole};
use crate::adamw::AdamWUpdate;
use crate::adamw::extension::AdamWOps;

/// Numbers one task works on: of five tensors, what the second cache holds.
const CHUNK: usize = 1 << 14;

impl AdamWOps for Flex {
    fn adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        update: AdamWUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let [mut p, mut m, mut v] = [parameter, first, second].map(whole);
        let factors = Factors::new(&update);
        changed(&mut p)
            .par_chunks_mut(CHUNK)
            .zip(changed(&mut m).par_chunks_mut(CHUNK))
            .zip(changed(&mut v).par_chunks_mut(CHUNK))
            .zip(numbers(&gradient).par_chunks(CHUNK))
            .for_each(|(((p, m), v), g)| step(p, m, v, g, &factors));
        (p, m, v)
    }

    fn adamw_following(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        twin: FloatTensor<Self>,
        momentum: f64,
        update: AdamWUpdate,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = contiguous(gradient);
        let [mut p, mut m, mut v, mut t] = [parameter, first, second, twin].map(whole);
        let factors = Factors::new(&update);
        let (keep, take) = (momentum as f32, (1.0 - momentum) as f32);
        changed(&mut p)
            .par_chunks_mut(CHUNK)
            .zip(changed(&mut m).par_chunks_mut(CHUNK))
            .zip(changed(&mut v).par_chunks_mut(CHUNK))
            .zip(changed(&mut t).par_chunks_mut(CHUNK))
            .zip(numbers(&gradient).par_chunks(CHUNK))
            .for_each(|((((p, m), v), t), g)| {
                step(p, m, v, g, &factors);
                follow(t, p, keep, take);
            });
        (p, m, v, t)
    }
}

/// The numbers of a [`whole`] tensor, copied first if somebody else holds them too.
fn changed(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// The factors of an update, each rounded once.
struct Factors {
    gradient: f32,
    keep_first: f32,
    take_first: f32,
    keep_second: f32,
    take_second: f32,
    /// `1 / sqrt(1 - beta2^updates)`
    deviation: f32,
    epsilon: f32,
    keep_parameter: f32,
    /// `lr / (1 - beta1^updates)`
    rate: f32,
}

impl Factors {
    fn new(update: &AdamWUpdate) -> Self {
        let [beta1, beta2] = update.betas;
        let [correction1, correction2] = update.corrections();
        Self {
            gradient: update.gradient_scale as f32,
            keep_first: beta1 as f32,
            take_first: (1.0 - beta1) as f32,
            keep_second: beta2 as f32,
            take_second: (1.0 - beta2) as f32,
            deviation: (1.0 / correction2.sqrt()) as f32,
            epsilon: update.epsilon as f32,
            keep_parameter: (1.0 - update.lr * update.weight_decay) as f32,
            rate: (update.lr / correction1) as f32,
        }
    }
}

vectorised! {
    fn step(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: &Factors) = step_body;
}

vectorised! {
    fn follow(twin: &mut [f32], online: &[f32], keep: f32, take: f32) = follow_body;
}

#[inline(always)]
fn step_body<const FMA: bool>(
    p: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    factors: &Factors,
) {
    for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
        let g = g * factors.gradient;
        *m = fma::<FMA>(g, factors.take_first, *m * factors.keep_first);
        *v = fma::<FMA>(g * g, factors.take_second, *v * factors.keep_second);
        let deviation = fma::<FMA>(v.sqrt(), factors.deviation, factors.epsilon);
        *p = fma::<FMA>(-factors.rate, *m / deviation, *p * factors.keep_parameter);
    }
}

#[inline(always)]
fn follow_body<const FMA: bool>(twin: &mut [f32], online: &[f32], keep: f32, take: f32) {
    for (twin, &online) in twin.iter_mut().zip(online) {
        *twin = fma::<FMA>(online, take, *twin * keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flex::tensor;

    const UPDATE: AdamWUpdate = AdamWUpdate {
        gradient_scale: 1.0,
        lr: 1e-3,
        betas: [0.9, 0.98],
        epsilon: 1e-8,
        weight_decay: 0.0,
        updates: 1,
    };

    #[test]
    fn memory_that_nobody_else_holds_is_written_in_place() {
        let [p, g, m, v, t] = [1.0, 2.0, 3.0, 4.0, 5.0].map(|x| tensor(vec![x; 100], &[100]));
        let at = |x: &FlexTensor| x.storage::<f32>().as_ptr();
        let before = [&p, &m, &v, &t].map(at);
        let (p, m, v, t) = Flex::adamw_following(p, g, m, v, t, 0.5, UPDATE);
        assert_eq!([&p, &m, &v, &t].map(at), before);
    }
}
