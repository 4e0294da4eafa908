//! The minimum of a smooth convex function: L-BFGS (Nocedal and Wright, "Numerical Optimization",
//! 2nd edition, algorithms 7.4 and 7.5) with backtracking. For the linear probe, whose function is
//! convex and cheap; an optimiser library would be the largest dependency of this crate.

use std::collections::VecDeque;

/// How many past steps shape the next one.
const MEMORY: usize = 10;
/// Share of the decrease that the slope promises which a step must bring (Armijo).
const SUFFICIENT: f64 = 1e-4;
/// Halvings after which no shorter step is tried: rounding is all that is left.
const HALVINGS: usize = 50;

/// Where the search ended.
pub struct Minimum {
    pub point: Vec<f64>,
    /// Whether the gradient became small enough, rather than the steps running out.
    pub converged: bool,
}

/// Goes down from `point` until no entry of the gradient exceeds `tolerance`, in at most `steps`
/// steps. `function` returns the value at a point and writes the gradient.
pub fn minimise(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    mut point: Vec<f64>,
    tolerance: f64,
    steps: usize,
) -> Minimum {
    let mut gradient = vec![0.0; point.len()];
    let mut value = function(&point, &mut gradient);
    let mut past: VecDeque<Pair> = VecDeque::new();
    for _ in 0..steps {
        if gradient.iter().all(|entry| entry.abs() <= tolerance) {
            return Minimum { point, converged: true };
        }
        let direction = direction(&gradient, &past);
        let slope = dot(&direction, &gradient);
        let mut length = if past.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let mut next_gradient = vec![0.0; point.len()];
        let mut found = None;
        for _ in 0..HALVINGS {
            let next: Vec<f64> =
                point.iter().zip(&direction).map(|(at, step)| at + length * step).collect();
            let next_value = function(&next, &mut next_gradient);
            if next_value <= value + SUFFICIENT * length * slope {
                found = Some((next, next_value));
                break;
            }
            length /= 2.0;
        }
        let Some((next, next_value)) = found else { break };
        remember(&mut past, Pair::new(&point, &next, &gradient, &next_gradient));
        (point, value, gradient) = (next, next_value, next_gradient);
    }
    let converged = gradient.iter().all(|entry| entry.abs() <= tolerance);
    Minimum { point, converged }
}

/// A past step and what it did to the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

impl Pair {
    fn new(point: &[f64], next: &[f64], gradient: &[f64], next_gradient: &[f64]) -> Self {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let (step, change) = (minus(next, point), minus(next_gradient, gradient));
        let curvature = dot(&step, &change);
        Pair { step, change, curvature }
    }
}

fn remember(past: &mut VecDeque<Pair>, pair: Pair) {
    // Rounding can make the curvature of a convex function vanish; such a step teaches nothing.
    if pair.curvature <= f64::EPSILON * dot(&pair.change, &pair.change) {
        return;
    }
    if past.len() == MEMORY {
        past.pop_front();
    }
    past.push_back(pair);
}

/// The step downhill: minus the gradient, bent by the past steps.
fn direction(gradient: &[f64], past: &VecDeque<Pair>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut shares = Vec::with_capacity(past.len());
    for Pair { step, change, curvature } in past.iter().rev() {
        let share = dot(step, &direction) / curvature;
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some(Pair { change, curvature, .. }) = past.back() {
        let scale = curvature / dot(change, change);
        direction.iter_mut().for_each(|entry| *entry *= scale);
    }
    for (Pair { step, change, curvature }, share) in past.iter().zip(shares.into_iter().rev()) {
        let back = dot(change, &direction) / curvature;
        add(&mut direction, share - back, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], scale: f64, vector: &[f64]) {
    to.iter_mut().zip(vector).for_each(|(to, entry)| *to += scale * entry);
}
