//! Answers and labels are balanced, so that who does not look at the picture does badly.

use std::collections::BTreeMap;

use weft_data::scenes::{ScenesConfig, Target, hypotheses, labelled, pair_statements, questions};
use weft_data::tasks::Entailment;

fn config() -> ScenesConfig {
    ScenesConfig { train: 1_000, val: 20, test: 20, ..ScenesConfig::default() }
}

fn majority(counts: &BTreeMap<String, usize>) -> f64 {
    let most = counts.values().max().unwrap();
    *most as f64 / counts.values().sum::<usize>() as f64
}

#[test]
fn answers_are_balanced_within_each_kind() {
    let data = questions(&config(), 10).unwrap();
    let mut answers: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for question in &data.splits["train"] {
        let of_kind = answers.entry(&question.kind).or_default();
        *of_kind.entry(question.answers[0].clone()).or_default() += 1;
    }
    assert_eq!(answers.len(), 10);
    for (kind, counts) in answers {
        // By the number of answers, with four deviations of 1,000 questions.
        let bound = match kind {
            "attribute-colour" => 1.0 / 8.0 + 0.045,
            "count" => 1.0 / 5.0 + 0.055,
            "attribute-shape" => 1.0 / 3.0 + 0.065,
            "relation-object" => 0.03,
            _ => 0.5 + 0.065,
        };
        assert!(majority(&counts) < bound, "{kind}: {counts:?}");
    }
}

#[test]
fn a_hypothesis_alone_does_not_tell_its_label() {
    let data = hypotheses(&config(), 12).unwrap();
    let mut labels: BTreeMap<Entailment, usize> = BTreeMap::new();
    let mut best: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for hypothesis in &data.splits["train"] {
        *labels.entry(hypothesis.label).or_default() += 1;
        // The form, as one reads it off the sentence.
        let text = &hypothesis.text;
        let unseen = ["outside", "hidden", "earlier", "yesterday", "later", "tomorrow"];
        let open = unseen.iter().any(|word| text.contains(word));
        let form = format!("{open} {} {}", text.contains("either "), text.contains(", and "));
        let of_form = best.entry(form).or_default();
        *of_form.entry(format!("{:?}", hypothesis.label)).or_default() += 1;
    }
    assert!(labels.values().all(|&count| count == data.splits["train"].len() / 3), "{labels:?}");
    assert_eq!(best.len(), 4);
    let right: usize = best.values().map(|counts| *counts.values().max().unwrap()).sum();
    let share = right as f64 / data.splits["train"].len() as f64;
    assert!((share - 5.0 / 12.0).abs() < 1e-9, "{share}");
}

#[test]
fn statements_about_pairs_are_as_often_true_as_false() {
    let data = pair_statements(&config(), 4).unwrap();
    for pairs in data.splits.values() {
        let mut groups: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for pair in pairs {
            groups.entry(&pair.group).or_default().push((&pair.text, pair.label.unwrap()));
        }
        for (group, pairs) in groups {
            let labels: Vec<bool> = pairs.iter().map(|(_, label)| *label).collect();
            assert_eq!(labels, [true, true, false, false], "{group}");
            assert!(pairs.iter().all(|(text, _)| *text == pairs[0].0), "{pairs:?}");
        }
    }
}

#[test]
fn classes_are_equally_frequent() {
    let (data, classes) = labelled(&config(), Target::Sprite).unwrap();
    for (split, examples) in &data.splits {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for example in examples {
            let scene = crate::scene(&example.picture);
            assert_eq!(scene.objects.len(), 1, "{split}");
            assert_eq!(scene.objects[0].sprite, example.class);
            *counts.entry(example.class).or_default() += 1;
        }
        let [least, most] = [counts.values().min(), counts.values().max()].map(Option::unwrap);
        assert!(most - least <= 1 && *counts.keys().max().unwrap() < classes.len(), "{split}");
    }
    let (data, classes) = labelled(&config(), Target::Colour).unwrap();
    for example in &data.splits["train"] {
        let colour = crate::scene(&example.picture).objects[0].colour;
        assert_eq!(colour.word(), classes[example.class]);
    }
}
