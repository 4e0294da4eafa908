//! Several seeds in one table.

use proptest::prelude::*;
use weft_eval::{Spread, TaskResult, spread_table};

fn result(task: &str, split: &str, seed: u64, metrics: &[(&str, f64)]) -> TaskResult {
    TaskResult {
        task: task.into(),
        split: split.into(),
        n: 10,
        metrics: metrics.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        recipe: "r".into(),
        checkpoint: "c".into(),
        seed,
        seconds: 1.0,
    }
}

#[test]
fn means_stand_beside_their_baselines() {
    let run = |seed, accuracy| {
        vec![
            result("vqa", "test", seed, &[("accuracy", accuracy), ("accuracy_majority", 30.0)]),
            result("contrast", "test", seed, &[("text", 50.0)]),
        ]
    };
    let table = spread_table(&[run(0, 60.0), run(1, 70.0), run(2, 71.0)]);
    assert!(table.contains("| test | 10 | accuracy | 67.0 [60.0, 71.0] | 30.0 |"), "{table}");
    assert!(table.contains("| split | n | metric | model | majority |"), "{table}");
    assert!(table.contains("| test | 10 | text | 50.0 [50.0, 50.0] |\n"), "{table}");
    assert!(table.find("### vqa") < table.find("### contrast"), "{table}");
}

#[test]
fn a_figure_that_runs_lack_says_so() {
    let with = vec![result("vqa", "test", 0, &[("accuracy", 60.0), ("accuracy[count]", 1.0)])];
    let without = vec![result("vqa", "test", 1, &[("accuracy", 60.0)])];
    let table = spread_table(&[with, without]);
    assert!(table.contains("1.0 [1.0, 1.0] (1 of 2 runs)"), "{table}");
}

proptest! {
    #[test]
    fn a_spread_holds_its_figures(figures in proptest::collection::vec(-100.0f64..100.0, 1..9)) {
        let spread = Spread::of(&figures).unwrap();
        prop_assert!(figures.iter().all(|x| (spread.min..=spread.max).contains(x)));
        prop_assert!(figures.contains(&spread.min) && figures.contains(&spread.max));
        let sum: f64 = figures.iter().sum();
        prop_assert!((spread.mean * figures.len() as f64 - sum).abs() < 1e-9);
    }
}
