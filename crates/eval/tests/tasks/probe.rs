use proptest::prelude::*;
use weft_eval::{EvalError, Features, LinearProbe, STRENGTHS};

/// Points of three classes around three corners, with a feature that never changes and one of
/// another scale.
fn corners(count: usize, spread: f32) -> (Vec<f32>, Vec<usize>) {
    let mut values = vec![];
    let mut labels = vec![];
    for at in 0..count {
        let class = at % 3;
        let noise = |salt: usize| ((at * 7919 + salt * 104_729) % 1000) as f32 / 500.0 - 1.0;
        let corner = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]][class];
        values.extend([
            corner[0] + spread * noise(1),
            1000.0 * (corner[1] + spread * noise(2)),
            7.0,
        ]);
        labels.push(class);
    }
    (values, labels)
}

fn features<'a>(values: &'a [f32], labels: &'a [usize]) -> Features<'a> {
    Features { values, width: 3, labels }
}

#[test]
fn separable_classes_are_told_apart() {
    let (values, labels) = corners(300, 1.0);
    let probe = LinearProbe::fit(features(&values, &labels), 3, 1e-3).unwrap();
    assert!(probe.converged);
    let (held_out, truth) = corners(99, 1.2);
    assert_eq!(probe.accuracy(features(&held_out, &truth)).unwrap().top1, 100.0);
}

/// The objective, written out for single examples.
fn objective(
    weights: &[f64],
    rows: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
    strength: f64,
) -> f64 {
    let width = rows[0].len() + 1;
    let mut value = 0.0;
    for (row, &label) in rows.iter().zip(labels) {
        let logit = |class: usize| {
            let of = &weights[class * width..][..width];
            row.iter().zip(of).map(|(a, b)| a * b).sum::<f64>() + of[width - 1]
        };
        let sum: f64 = (0..classes).map(|class| logit(class).exp()).sum();
        value += (sum.ln() - logit(label)) / rows.len() as f64;
    }
    for (at, weight) in weights.iter().enumerate() {
        if at % width != width - 1 {
            value += strength / 2.0 * weight * weight;
        }
    }
    value
}

/// Slow and simple: gradient descent with numeric gradients on the written-out objective reaches
/// the same logits.
#[test]
fn the_minimum_is_that_of_the_written_out_objective() {
    let (values, labels) = ([1.0f32, 2.0, 2.0, 1.0, 3.0, 5.0, 0.0, 1.0, 2.0, 2.0], [0, 1, 1, 0, 1]);
    let train = Features { values: &values, width: 2, labels: &labels };
    let strength = 0.1;
    let probe = LinearProbe::fit(train, 2, strength).unwrap();
    assert!(probe.converged);

    let column =
        |at: usize| values.iter().skip(at).step_by(2).map(|&v| f64::from(v)).collect::<Vec<_>>();
    let standardised: Vec<Vec<f64>> = [0, 1]
        .map(|at| {
            let column = column(at);
            let mean = column.iter().sum::<f64>() / 5.0;
            let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5.0;
            column.iter().map(|v| (v - mean) / variance.sqrt()).collect()
        })
        .into();
    let rows: Vec<Vec<f64>> =
        (0..5).map(|i| vec![standardised[0][i], standardised[1][i]]).collect();
    let mut weights = vec![0.0; 6];
    for _ in 0..20_000 {
        let gradient: Vec<f64> = (0..6)
            .map(|at| {
                let moved = |by: f64| {
                    let mut moved = weights.clone();
                    moved[at] += by;
                    objective(&moved, &rows, &labels, 2, strength)
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            })
            .collect();
        weights.iter_mut().zip(gradient).for_each(|(weight, entry)| *weight -= 0.2 * entry);
    }
    let logits = probe.logits(&values).unwrap();
    for (example, row) in rows.iter().enumerate() {
        for class in 0..2 {
            let of = &weights[class * 3..][..3];
            let expected = row[0] * of[0] + row[1] * of[1] + of[2];
            assert!((logits[example * 2 + class] - expected).abs() < 1e-4, "{example}, {class}");
        }
    }
}

#[test]
fn a_probe_is_the_same_whatever_the_number_of_threads() {
    let (values, labels) = corners(1000, 3.0);
    let fit =
        || LinearProbe::fit(features(&values, &labels), 3, 1e-2).unwrap().logits(&values).unwrap();
    let of = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(fit)
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn the_strength_is_chosen_on_held_out_examples() {
    let (values, labels) = corners(60, 3.0);
    let (held_out, truth) = corners(90, 2.5);
    let (train, val) = (features(&values, &labels), features(&held_out, &truth));
    let best = LinearProbe::fit_best(train, val, 3, &STRENGTHS).unwrap();
    let reached = best.accuracy(val).unwrap().top1;
    for strength in STRENGTHS {
        let other = LinearProbe::fit(train, 3, strength).unwrap().accuracy(val).unwrap().top1;
        assert!(other <= reached, "{strength}");
        // Of equals the strongest.
        assert!(other < reached || strength <= best.strength, "{strength}");
    }
    assert!(LinearProbe::fit_best(train, val, 3, &[]).is_err());
}

#[test]
fn a_class_without_examples_and_a_feature_without_change_do_no_harm() {
    let (values, labels) = ([1.0, 5.0, 2.0, 5.0], [0, 2]);
    let probe =
        LinearProbe::fit(Features { values: &values, width: 2, labels: &labels }, 4, 1e-2).unwrap();
    let logits = probe.logits(&[1.0, 5.0, 1.0, -100.0]).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()));
    assert_eq!(logits[..4], logits[4..], "a feature that never changed says nothing");
}

#[test]
fn what_does_not_fit_is_refused() {
    let fit = |values: &[f32], width, labels: &[usize], strength| {
        LinearProbe::fit(Features { values, width, labels }, 2, strength)
    };
    assert!(matches!(fit(&[], 1, &[], 1.0), Err(EvalError::NoExamples)));
    assert!(matches!(fit(&[1.0; 3], 2, &[0, 1], 1.0), Err(EvalError::FeatureCount { .. })));
    assert!(matches!(fit(&[1.0], 0, &[0], 1.0), Err(EvalError::FeatureCount { .. })));
    assert!(matches!(fit(&[1.0], 1, &[2], 1.0), Err(EvalError::ClassOutOfRange { class: 2, .. })));
    let nan = fit(&[1.0, f32::NAN], 1, &[0, 1], 1.0);
    assert!(matches!(nan, Err(EvalError::NanExample { example: 1 })));
    for strength in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(fit(&[1.0], 1, &[0], strength).is_err(), "{strength}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// At the minimum no small step goes down.
    #[test]
    fn no_neighbour_is_lower(
        values in prop::collection::vec(-3.0..3.0f32, 24),
        labels in prop::collection::vec(0..3usize, 12),
    ) {
        let train = Features { values: &values, width: 2, labels: &labels };
        let probe = LinearProbe::fit(train, 3, 0.05).unwrap();
        prop_assert!(probe.converged);
        // With a penalty on no bias, the mean error of each class vanishes.
        let logits = probe.logits(&values).unwrap();
        for class in 0..3 {
            let mut error = 0.0;
            for (row, &label) in logits.chunks(3).zip(&labels) {
                let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
                error += row[class].exp() / sum - f64::from(u8::from(label == class));
            }
            prop_assert!(error.abs() / 12.0 < 1e-5, "{}", error);
        }
    }
}
