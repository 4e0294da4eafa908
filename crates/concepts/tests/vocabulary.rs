//! Vocabularies: what they keep, in which order, and what is refused.

use weft_concepts::{ConceptError, ConceptKind, ConceptVocabulary};

const CORPUS: [&str; 4] =
    ["a red dog on a dog", "a red dog and a cat", "two cats near a cat", "a blue cat on a dog"];

fn vocabulary(min_count: usize) -> ConceptVocabulary {
    ConceptVocabulary::build(CORPUS.iter(), min_count)
}

#[test]
fn a_caption_counts_once_and_names_break_ties() {
    let vocabulary = vocabulary(2);
    assert_eq!(vocabulary.names().collect::<Vec<_>>(), ["cat", "dog", "red dog"]);
    let counts: Vec<_> = (0..4).map(|index| vocabulary.count(index)).collect();
    assert_eq!(counts, [Some(3), Some(3), Some(2), None]);
    assert_eq!(vocabulary.kind(2), Some(ConceptKind::Attribute));
    assert_eq!(vocabulary.index("red dog"), Some(2));
    assert_eq!(vocabulary.index("cats"), None);
    assert_eq!(vocabulary.name(1), Some("dog"));
}

#[test]
fn nothing_gives_an_empty_vocabulary() {
    let vocabulary = ConceptVocabulary::build(std::iter::empty::<&str>(), 1);
    assert!(vocabulary.is_empty());
    assert_eq!(vocabulary, ConceptVocabulary::default());
}

#[test]
fn labels_follow_in_sorted_order_without_twins() {
    let before = vocabulary(2);
    let labels = ["Zebra", " ice  Cream", "dog", "zebra", "Red dog", " "];
    let after = before.clone().with_labels(labels);
    assert_eq!(after.names().collect::<Vec<_>>(), ["cat", "dog", "red dog", "ice cream", "zebra"]);
    assert_eq!(after.kind(2), Some(ConceptKind::Object));
    assert_eq!((after.count(2), after.count(4)), (Some(2), Some(0)));
    assert_eq!(after.index("ice cream"), Some(3));
    assert_eq!(after.clone().with_labels(labels), after);
}

#[test]
fn json_holds_names_kinds_and_counts() {
    let vocabulary = vocabulary(2);
    assert_eq!(
        vocabulary.to_json(),
        r#"{"concepts":[{"name":"cat","kind":"object","count":3},"#.to_string()
            + r#"{"name":"dog","kind":"object","count":3},"#
            + r#"{"name":"red dog","kind":"attribute","count":2}]}"#
    );
    assert_eq!(ConceptVocabulary::from_json(&vocabulary.to_json()).unwrap(), vocabulary);
}

fn refused(entries: &str) -> ConceptError {
    let json = format!(r#"{{"concepts":[{entries}]}}"#);
    assert!(serde_json::from_str::<ConceptVocabulary>(&json).is_err(), "{json}");
    ConceptVocabulary::from_json(&json).unwrap_err()
}

fn entry(name: &str) -> String {
    format!(r#"{{"name":"{name}","kind":"object","count":1}}"#)
}

#[test]
fn twins_and_names_that_are_none_are_refused() {
    let [dog, cat, empty, upper] = ["dog", "cat", " ", "Red  dog"].map(entry);
    let message = refused(&[dog.clone(), cat.clone(), dog].join(",")).to_string();
    assert_eq!(message, "concepts 0 and 2 are both named \"dog\"");
    let message = refused(&[cat.clone(), empty].join(",")).to_string();
    assert_eq!(message, "concept 1 has an empty name");
    let message = refused(&[cat, upper].join(",")).to_string();
    assert!(message.contains("\"Red  dog\", expected \"red dog\""), "{message}");
}

#[test]
fn json_of_another_shape_is_refused() {
    for json in [
        "",
        "[]",
        "{}",
        r#"{"concepts":{}}"#,
        r#"{"concepts":[],"more":1}"#,
        r#"{"concepts":[{"name":"dog","kind":"thing","count":1}]}"#,
        r#"{"concepts":[{"name":"dog","kind":"object","count":-1}]}"#,
        r#"{"concepts":[{"name":"dog","kind":"object"}]}"#,
        r#"{"concepts":[{"name":"dog","kind":"object","count":1,"at":1}]}"#,
    ] {
        let error = ConceptVocabulary::from_json(json).unwrap_err();
        assert!(matches!(error, ConceptError::Json(_)), "{json}: {error}");
    }
}
