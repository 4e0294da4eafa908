//! NLVR2's and SNLI-VE's files.

use weft_data::tasks::{Entailment, open_hypotheses, open_pair_statements};

use super::*;

fn line(identifier: &str, label: &str) -> String {
    format!(
        r#"{{"sentence": "Two dogs.", "identifier": "{identifier}", "label": "{label}", "directory": 4, "writer": "w"}}"#
    )
}

#[test]
fn nlvr2_pairs_and_groups() {
    let dir = folder(&[
        ("dev.json", &[line("dev-850-0-0", "True"), line("dev-850-1-0", "false")].join("\n")),
        ("train.json", &line("train-1-2-1", "False")),
        ("test1.json", r#"{"sentence": "S.", "identifier": "test1-0-0-0"}"#),
        ("readme.json", "no statements"),
        ("dev-850-0-img0.png", "p"),
        ("dev-850-0-img1.png", "p"),
        ("dev/dev-850-1-img0.png", "p"),
        ("images/dev/dev-850-1-img1.png", "p"),
        ("images/train/4/train-1-2-img0.png", "p"),
        ("train/4/train-1-2-img1.png", "p"),
        ("test1-0-0-img0.png", "p"),
        ("test1-0-0-img1.png", "p"),
    ]);
    let data = open_pair_statements(&strict(&dir)).unwrap();
    let val = &data.splits["val"];
    assert_eq!(val.len(), 2);
    assert_eq!((val[0].label, val[1].label), (Some(true), Some(false)));
    assert_eq!(val[0].group, val[1].group);
    assert_eq!(val[0].group, "dev-850--0");
    assert!(val[0].pictures[0].origin().ends_with("img0.png"));
    assert!(val[0].pictures[1].origin().ends_with("img1.png"));
    assert_eq!(data.splits["train"][0].group, "train-1--1");
    assert_eq!(data.splits["test"][0].label, None);
}

#[test]
fn bad_statements_are_counted_by_cause_and_named() {
    let lines = [
        line("dev-1-0-0", "True"),
        line("dev-2-0-0", "True"),
        line("dev-3-0-0", "True"),
        line("dev-1-0-1", "perhaps"),
        line("dev-1-0", "True"),
        line("dev-1-0-0", "True"),
        r#"{"sentence": "", "identifier": "dev-1-0-2", "label": "True"}"#.to_owned(),
        "{".to_owned(),
    ];
    let dir = folder(&[
        ("dev.json", &lines.join("\n")),
        ("dev-1-0-img0.png", "p"),
        ("dev-1-0-img1.png", "p"),
        ("dev-2-0-img0.png", "p"),
        ("dev-3-0-img1.png", "p"),
    ]);
    let data = open_pair_statements(&lenient(&dir)).unwrap();
    assert_eq!(data.splits["val"].len(), 1);
    assert_causes(
        &data.ledger,
        &[
            (Cause::MissingFile, 2),
            (Cause::UnknownLabel, 1),
            (Cause::MalformedRecord, 2),
            (Cause::DuplicateKey, 1),
            (Cause::EmptyText, 1),
        ],
    );
    let ledger = data.ledger.to_string();
    names(&ledger, &["the right of the two pictures: no picture dev-2-0-img1.png", "dev.json:2"]);
    names(&ledger, &["the left of the two pictures: no picture dev-3-0-img0.png", "perhaps"]);
    names(&open_pair_statements(&strict(&dir)).unwrap_err().to_string(), &["7 of 8 records"]);
    let empty = folder(&[("other.txt", "")]);
    names(
        &open_pair_statements(&strict(&empty)).unwrap_err().to_string(),
        &["test1.json", "other.txt"],
    );
}

fn hypothesis(pair: &str, label: &str) -> String {
    format!(
        r#"{{"Flickr30K_ID": "4705552913", "annotator_labels": ["neutral"], "captionID": "4705552913.jpg#2", "gold_label": "{label}", "pairID": "{pair}", "sentence1": "A caption.", "sentence2": "Someone sleeps."}}"#
    )
}

#[test]
fn snli_ve_labels_and_splits() {
    let lines = [
        hypothesis("a", "contradiction"),
        hypothesis("b", "neutral"),
        hypothesis("c", "entailment"),
    ];
    let dir = folder(&[
        ("snli_ve_dev.jsonl", &lines.join("\n")),
        ("snli_ve_train.jsonl", &hypothesis("a", "neutral")),
        ("flickr30k-images/4705552913.jpg", "p"),
    ]);
    let data = open_hypotheses(&strict(&dir)).unwrap();
    let labels: Vec<_> = data.splits["val"].iter().map(|hypothesis| hypothesis.label).collect();
    assert_eq!(labels, [Entailment::Contradiction, Entailment::Neutral, Entailment::Entailment]);
    assert_eq!(data.splits["val"][0].text, "Someone sleeps.");
    assert_eq!(data.splits["train"].len(), 1);
}

#[test]
fn bad_hypotheses_are_counted_by_cause_and_named() {
    let lines = [
        hypothesis("a", "neutral"),
        hypothesis("b", "-"),
        hypothesis("a", "neutral"),
        hypothesis("c", "neutral").replace("4705552913\"", "1\""),
        hypothesis("d", "neutral").replace("Someone sleeps.", " "),
        hypothesis("e", "neutral").replace("pairID", "pair"),
    ];
    let dir = folder(&[("snli_ve_test.jsonl", &lines.join("\n")), ("4705552913.jpg", "p")]);
    let data = open_hypotheses(&lenient(&dir)).unwrap();
    assert_eq!(data.splits["test"].len(), 1);
    assert_causes(
        &data.ledger,
        &[
            (Cause::UnknownLabel, 1),
            (Cause::DuplicateKey, 1),
            (Cause::MissingFile, 1),
            (Cause::EmptyText, 1),
            (Cause::MalformedRecord, 1),
        ],
    );
    names(&data.ledger.to_string(), &["snli_ve_test.jsonl:2", "found \"-\"", "pairID"]);
}
