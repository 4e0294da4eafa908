//! The tasks' metrics against slow second implementations, on random and on adversarial cases.

mod blind;
mod contrast;
mod entailment;
mod grounding;
mod pairs;
mod probe;
mod vqa;
mod zero_shot;

fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * (1.0 + expected.abs()),
        "{found}, expected {expected}"
    );
}
