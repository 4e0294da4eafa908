//! The learning rate: linear warm-up, then half a cosine or a line. And the momentum of the twin.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::recipe::{OptimizerConfig, TrainConfig};

/// How the learning rate falls behind the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Half a cosine (ALBEF).
    #[default]
    Cosine,
    /// A line (METER, BridgeTower, MVPTR).
    Linear,
}

/// The learning rate of step `step` of `steps`, counted from 0: a line from `warmup_lr` to `lr` over
/// the warm-up, then half a cosine or a line to `final_lr`, which later steps keep.
pub fn learning_rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    if step < config.warmup_steps {
        return warm_up(config, step);
    }
    let length = steps.saturating_sub(config.warmup_steps).max(1);
    let part = ((step - config.warmup_steps) as f64 / length as f64).min(1.0);
    let left = match config.decay {
        Decay::Cosine => 0.5 * (1.0 + (PI * part).cos()),
        Decay::Linear => 1.0 - part,
    };
    config.final_lr + (config.lr - config.final_lr) * left
}

/// The line of the warm-up.
fn warm_up(config: &OptimizerConfig, step: u64) -> f64 {
    let part = step as f64 / config.warmup_steps as f64;
    config.warmup_lr + (config.lr - config.warmup_lr) * part
}

/// What part of the learning rate of step `step` a parameter gets that was moved `updates` times before: 1, but for
/// one that a stage left alone during the warm-up, which warms up when it wakes. Adam's first steps are as long as
/// the rate whatever the gradient is, and what the warm-up is for.
pub fn own_warm_up(config: &OptimizerConfig, step: u64, updates: u64) -> f64 {
    let step = step.min(config.warmup_steps);
    let reached = warm_up(config, step.max(1));
    if updates >= step || reached <= 0.0 { 1.0 } else { warm_up(config, updates) / reached }
}

/// What the twin keeps of itself at step `step`, counted from 0: `momentum`, or, with a `momentum_final`,
///
/// ```text
/// m_t = m_T - (m_T - m_0) (cos(pi t / T) + 1) / 2
/// ```
///
/// (BYOL, Grill et al. 2020, section 3.2), with `t` the step and `T` the steps of the run.
pub fn momentum(config: &TrainConfig, step: u64) -> f64 {
    let Some(last) = config.momentum_final else { return config.momentum };
    let part = (step as f64 / config.steps.max(1) as f64).min(1.0);
    last - (last - config.momentum) * 0.5 * ((PI * part).cos() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipe;

    fn config() -> OptimizerConfig {
        OptimizerConfig {
            lr: 1.0,
            task_head_lr: 1.0,
            fusion_lr: 1.0,
            warmup_lr: 0.2,
            final_lr: 0.1,
            warmup_steps: 4,
            decay: Decay::Cosine,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            clip_norm: 1.0,
        }
    }

    #[test]
    fn warms_up_and_decays() {
        let at = |step| learning_rate(&config(), step, 12);
        assert!((at(0) - 0.2).abs() < 1e-12);
        assert!((at(2) - 0.6).abs() < 1e-12);
        assert!((at(4) - 1.0).abs() < 1e-12);
        assert!((at(8) - 0.55).abs() < 1e-12);
        assert!((at(12) - 0.1).abs() < 1e-12);
        // Past the end it stays: a cosine left running would rise again.
        assert!((at(20) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn what_wakes_late_warms_up_by_itself() {
        let of_lr = |step, updates| {
            let lr = learning_rate(&config(), step, 12);
            lr * own_warm_up(&config(), step, updates)
        };
        for step in 0..12 {
            assert_eq!(of_lr(step, step), learning_rate(&config(), step, 12));
        }
        // From step 4 on, where the rate is 1, as from the first.
        assert!((of_lr(4, 0) - 0.2).abs() < 1e-12);
        assert!((of_lr(8, 2) - 0.6 * 0.55).abs() < 1e-12);
        assert_eq!(of_lr(8, 4), learning_rate(&config(), 8, 12));
        for warmup_lr in [0.0, 0.2] {
            let still = OptimizerConfig { lr: 0.0, warmup_lr, ..config() };
            assert_eq!(own_warm_up(&still, 8, 0), 1.0);
        }
        let without = OptimizerConfig { warmup_steps: 0, ..config() };
        assert_eq!(own_warm_up(&without, 5, 0), 1.0);
    }

    #[test]
    fn the_twin_becomes_slower_by_half_a_cosine() {
        let recipe = Recipe::open("quick-mamo").unwrap();
        let at = |last, step| {
            momentum(&TrainConfig { momentum_final: last, ..recipe.train.clone() }, step)
        };
        let (first, steps) = (recipe.train.momentum, recipe.train.steps);
        assert!((0..=steps).all(|step| at(None, step) == first));
        let rising = |step| at(Some(1.0), step);
        assert!((rising(0) - first).abs() < 1e-12 && rising(steps) == 1.0);
        assert!((rising(steps / 2) - (first + 1.0) / 2.0).abs() < 1e-12);
        assert!((0..steps).all(|step| rising(step) < rising(step + 1)));
        // A quarter of the way: (1 - cos(pi / 4)) / 2 of it.
        let quarter = first + (1.0 - first) * (1.0 - 0.5_f64.sqrt()) / 2.0;
        assert!((rising(steps / 4) - quarter).abs() < 1e-12);
    }

    #[test]
    fn a_line_falls_evenly() {
        let config = OptimizerConfig { decay: Decay::Linear, ..config() };
        let at = |step| learning_rate(&config, step, 12);
        let fall = at(4) - at(5);
        assert!((4..11).all(|step| (at(step) - at(step + 1) - fall).abs() < 1e-12));
        assert!((at(12) - 0.1).abs() < 1e-12 && (at(20) - 0.1).abs() < 1e-12);
    }
}
