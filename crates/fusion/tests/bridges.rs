//! BridgeTower's bridges against their equations in plain loops.

mod common;

use burn::tensor::Device;
use common::encoders::{EPSILON, TOKENS, WIDTH, module};
use common::{Rows, assert_close, norm, numbers, random, rows};
use weft_fusion::{Bridge, ConnectionKind};
use weft_nn::LayerNormConfig;

#[test]
fn bridges_are_their_equations() {
    use ConnectionKind::{Add, Interpolate, ScaledAdd};
    let norm_config = LayerNormConfig { width: WIDTH, epsilon: EPSILON };
    for (kind, begins) in [(Add, None), (ScaledAdd, Some(1.0)), (Interpolate, Some(0.5))] {
        let bridge = Bridge::new(kind, &norm_config, &Device::flex());
        let begun = bridge.weight.as_ref().map(|weight| numbers(weight.val())[0]);
        assert_eq!(begun, begins, "{kind:?}");
        let bridge = module(bridge);
        let (u, c) = (random([2, TOKENS, WIDTH]), random([2, TOKENS, WIDTH]));
        let found = bridge.forward(u.clone(), c.clone());
        let weight = bridge.weight.as_ref().map(|weight| numbers(weight.val())[0]);
        assert_ne!(weight.unwrap_or(0.0), begins.unwrap_or(1.0), "it would hide a mistake");
        let of = match (kind, weight) {
            (Add, None) => [1.0, 1.0],
            (ScaledAdd, Some(w)) => [w, 1.0],
            (Interpolate, Some(w)) => [1.0 - w, w],
            _ => panic!("{kind:?} with the weight {weight:?}"),
        };
        for at in 0..2 {
            let (u, c) = (rows(&u, at), rows(&c, at));
            let row = |token: usize| {
                let both = u[token].iter().zip(&c[token]);
                let both: Vec<f64> = both.map(|(u, c)| of[0] * u + of[1] * c).collect();
                norm(&bridge.norm, EPSILON, &both)
            };
            let expected: Rows = (0..TOKENS).map(row).collect();
            assert_close(&rows(&found, at), &expected, &format!("{kind:?}"));
        }
    }
}
