//! The JSON and the table of results.

use std::collections::BTreeMap;

use weft_eval::{Answerer, ByKind, EvalError, Retrieval, TaskResult, results_table};

fn result(task: &str) -> TaskResult {
    TaskResult {
        task: task.to_owned(),
        split: "test".to_owned(),
        n: 400,
        metrics: BTreeMap::new(),
        recipe: "r.toml".to_owned(),
        checkpoint: "runs/r/checkpoints/10".to_owned(),
        seed: 7,
        seconds: 1.5,
    }
}

fn figures(i2t_r1: f64) -> Retrieval {
    let (i2t_r5, i2t_r10, t2i_r1, t2i_r5, t2i_r10) = (50.0, 100.0, 1.0, 2.0, 3.25);
    Retrieval { i2t_r1, i2t_r5, i2t_r10, t2i_r1, t2i_r5, t2i_r10 }
}

fn full() -> TaskResult {
    let mut full = result("retrieval");
    full.add_retrieval(&figures(20.0));
    full.add_reranked(&figures(30.0));
    full.add_chance(&figures(0.25));
    full
}

#[test]
fn json_has_the_documented_names_and_comes_back() {
    let json = full().to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let fields: Vec<_> = value.as_object().unwrap().keys().collect();
    let names = ["checkpoint", "metrics", "n", "recipe", "seconds", "seed", "split", "task"];
    assert!(names.iter().all(|name| fields.contains(&&(*name).to_owned())));
    assert_eq!(fields.len(), names.len());
    assert_eq!(value["metrics"]["i2t_r1"], 20.0);
    assert_eq!(value["metrics"]["i2t_r1_reranked"], 30.0);
    assert_eq!(value["metrics"]["t2i_r10_chance"], 3.25);
    assert_eq!(TaskResult::from_json(&json).unwrap(), full());
    assert!(matches!(TaskResult::from_json("{}"), Err(EvalError::Json(_))));
}

#[test]
fn json_refuses_what_it_cannot_hold() {
    let mut bad = result("vqa");
    bad.metrics.insert("accuracy".to_owned(), f64::NAN);
    let error = bad.to_json().unwrap_err().to_string();
    assert_eq!(error, "vqa on test: accuracy is NaN, which JSON cannot hold");
}

#[test]
fn table() {
    let mut vqa = result("vqa");
    vqa.metrics.insert("accuracy".to_owned(), 0.5);
    let expected = "                            |  picture to caption |  caption to picture
split       n  ranking      |   R@1    R@5   R@10 |   R@1    R@5   R@10
test      400  dual encoder |  20.0   50.0  100.0 |   1.0    2.0    3.2
               re-ranked    |  30.0   50.0  100.0 |   1.0    2.0    3.2
               chance       |   0.2   50.0  100.0 |   1.0    2.0    3.2
vqa, test, n = 400: accuracy = 0.5000
";
    let table = results_table(&[full(), vqa]);
    assert_eq!(table, expected);
    assert_eq!(results_table(&[]), "");
}

#[test]
fn missing_metrics_are_dashes() {
    let mut partial = result("retrieval");
    partial.metrics.insert("t2i_r5".to_owned(), 12.0);
    let table = results_table(&[partial]);
    assert!(table.contains("|     -      -      - |     -   12.0      -"), "{table}");
    assert!(!table.contains("chance"));
}

#[test]
fn baselines_have_names_of_their_own_and_stand_beside_the_model() {
    let mut vqa = result("vqa");
    let kinds = |right: f64| ByKind::of([("count", right), ("exist", 1.0)]).unwrap();
    vqa.add_by_kind("accuracy", Answerer::Model, &kinds(0.5));
    vqa.add_by_kind("accuracy", Answerer::Majority, &kinds(0.0));
    vqa.add_figure("accuracy", Answerer::TextOnly, 60.0);
    let names: Vec<&str> = vqa.metrics.keys().map(String::as_str).collect();
    let expected = [
        "accuracy",
        "accuracy[count]",
        "accuracy[count]_majority",
        "accuracy[exist]",
        "accuracy[exist]_majority",
        "accuracy_majority",
        "accuracy_text_only",
    ];
    assert_eq!(names, expected);
    let table = "\
vqa, test, n = 400
  metric                  model     text only      majority
  accuracy                75.00         60.00         50.00
  accuracy[count]         50.00             -          0.00
  accuracy[exist]        100.00             -        100.00
";
    assert_eq!(results_table(&[vqa]), table);
}

#[test]
fn means_are_over_examples_and_over_kinds() {
    let scores = [("a", 1.0), ("a", 0.0), ("a", 0.5), ("b", 1.0)];
    let by_kind = ByKind::of(scores).unwrap();
    assert_eq!(by_kind.percent(), 62.5);
    assert_eq!(by_kind.kinds["a"].n, 3);
    assert_eq!(by_kind.kinds["a"].percent(), 50.0);
    assert_eq!(by_kind.macro_percent(1), Some(75.0));
    assert_eq!(by_kind.macro_percent(2), Some(50.0));
    assert_eq!(by_kind.macro_percent(4), None);
    assert!(matches!(ByKind::of([]), Err(EvalError::NoExamples)));
    for bad in [f64::NAN, -0.1, 1.5] {
        assert!(matches!(ByKind::of([("a", bad)]), Err(EvalError::Score { .. })));
    }
}

/// What is read and written again, as kept cells of a grid are, does not wander off.
#[test]
fn figures_come_back_to_the_last_bit() {
    // Read by the faster of serde_json's ways, the first comes back as 10.533333333333331.
    let figures: [f64; 4] = [10.533333333333333, 1011.358127268, 0.1 + 0.2, 1.0 / 3.0];
    for figure in figures {
        let text = serde_json::to_string(&figure).unwrap();
        let found: f64 = serde_json::from_str(&text).unwrap();
        assert_eq!(found.to_bits(), figure.to_bits(), "{text}");
    }
}
