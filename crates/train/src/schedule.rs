//! The learning rate: linear warm-up, then half a cosine.

use std::f64::consts::PI;

use crate::recipe::OptimizerConfig;

/// The learning rate of step `step` of `steps`, counted from 0: a line from `warmup_lr` to `lr` over
/// the warm-up, then half a cosine to `final_lr`, which later steps keep.
pub fn learning_rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    if step < config.warmup_steps {
        let part = step as f64 / config.warmup_steps as f64;
        return config.warmup_lr + (config.lr - config.warmup_lr) * part;
    }
    let length = steps.saturating_sub(config.warmup_steps).max(1);
    let part = ((step - config.warmup_steps) as f64 / length as f64).min(1.0);
    config.final_lr + (config.lr - config.final_lr) * 0.5 * (1.0 + (PI * part).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OptimizerConfig {
        OptimizerConfig {
            lr: 1.0,
            task_head_lr: 1.0,
            warmup_lr: 0.2,
            final_lr: 0.1,
            warmup_steps: 4,
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
}
