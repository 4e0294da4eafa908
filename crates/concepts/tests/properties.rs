//! What holds for any text.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use weft_concepts::{Concept, ConceptKind, ConceptVocabulary, concepts};

/// Words that the grammar has rules for, odd ones and such that change length in lower case.
const WORDS: &[&str] = &[
    "a",
    "the",
    "two",
    "one",
    "many",
    "no",
    "exactly",
    "very",
    "red",
    "orange",
    "square",
    "small",
    "upside-down",
    "t-shirt",
    "dog",
    "dogs",
    "dog's",
    "ice",
    "cream",
    "zebras",
    "watch",
    "key",
    "is",
    "are",
    "has",
    "can",
    "left",
    "right",
    "side",
    "front",
    "top",
    "next",
    "to",
    "of",
    "on",
    "in",
    "below",
    "than",
    "higher",
    "up",
    "surfing",
    "riding",
    "parked",
    "stands",
    "not",
    "and",
    "or",
    "that",
    "it",
    "there",
    ",",
    ".",
    "!",
    "🐼",
    "İstanbul",
    "ΟΔΟΣ",
    "e\u{301}",
    "-",
    "'",
];

fn sentence() -> impl Strategy<Value = String> {
    prop::collection::vec(select(WORDS), 0..14).prop_map(|words| words.join(" "))
}

/// Few words many times: the same names come again, with other words or each other between theirs.
fn repeating() -> impl Strategy<Value = String> {
    const FEW: &[&str] = &["a", "striped", "upright", "dog", "cat", "on", "near", "and"];
    prop::collection::vec(select(FEW), 0..16).prop_map(|words| words.join(" "))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "\\PC{0,40}", sentence(), sentence()]
}

/// The words of a concept as the caption has them.
fn words_at(caption: &str, concept: &Concept) -> Vec<String> {
    let letters: Vec<char> = caption.chars().collect();
    let spans = concept.spans.iter();
    spans.map(|span| letters[span.clone()].iter().collect::<String>().to_lowercase()).collect()
}

/// Whether `some` stand in `all`, one behind the other.
fn in_order(some: &[&str], all: &[String]) -> bool {
    let mut left = all.iter();
    some.iter().all(|word| left.any(|other| other == word))
}

/// Whether the word at `at` is one of an appearance of `name` in `words`.
fn belongs(at: usize, name: &[&str], words: &[String]) -> bool {
    (0..name.len()).any(|part| {
        words[at] == name[part]
            && in_order(&name[..part], &words[..at])
            && in_order(&name[part + 1..], &words[at + 1..])
    })
}

proptest! {
    #[test]
    fn spans_lie_in_the_caption_one_after_another(caption in text()) {
        let length = caption.chars().count();
        for concept in concepts(&caption) {
            let mut end = 0;
            prop_assert!(!concept.spans.is_empty());
            for span in &concept.spans {
                prop_assert!(end <= span.start && span.start < span.end, "{concept:?}");
                end = span.end;
            }
            prop_assert!(end <= length, "{concept:?}");
        }
    }

    #[test]
    fn names_are_the_words_at_the_spans(caption in prop_oneof![text(), repeating()]) {
        for concept in concepts(&caption) {
            let words = words_at(&caption, &concept);
            let name: Vec<&str> = concept.name.split(' ').collect();
            if words.len() == name.len() {
                prop_assert_eq!(words.join(" "), concept.name.as_str());
                continue;
            }
            // It appears several times, and appearances may share words: no word is of none of them.
            prop_assert!(words.len() > name.len(), "{concept:?}");
            for at in 0..words.len() {
                prop_assert!(belongs(at, &name, &words), "{concept:?}: {words:?}, word {at}");
            }
            if concept.kind == ConceptKind::Object {
                prop_assert_eq!(words[..name.len()].join(" "), concept.name.as_str());
            }
        }
    }

    #[test]
    fn concepts_come_by_kind_and_name_once(caption in text()) {
        let found = concepts(&caption);
        prop_assert!(found.iter().map(|concept| concept.kind).is_sorted());
        let objects = found.iter().filter(|concept| concept.kind == ConceptKind::Object);
        prop_assert!(objects.map(|concept| concept.spans[0].start).is_sorted());
        let mut names: Vec<&str> = found.iter().map(|concept| concept.name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), count);
    }

    #[test]
    fn the_order_of_captions_does_not_matter(
        captions in prop::collection::vec(text(), 0..8),
        moves in prop::collection::vec((any::<Index>(), any::<Index>()), 0..8),
        min_count in 0_usize..3,
    ) {
        let mut others = captions.clone();
        for (a, b) in moves.iter().filter(|_| !captions.is_empty()) {
            others.swap(a.index(captions.len()), b.index(captions.len()));
        }
        let vocabulary = ConceptVocabulary::build(captions.iter(), min_count);
        prop_assert_eq!(&vocabulary, &ConceptVocabulary::build(others.iter(), min_count));
        for (index, name) in vocabulary.names().enumerate() {
            prop_assert_eq!(vocabulary.index(name), Some(index));
            prop_assert!(vocabulary.count(index) >= Some(min_count));
        }
    }

    #[test]
    fn json_gives_back_what_was_written(
        captions in prop::collection::vec(text(), 0..8),
        labels in prop::collection::vec(any::<String>(), 0..4),
    ) {
        let vocabulary = ConceptVocabulary::build(captions.iter(), 1).with_labels(labels);
        let read = ConceptVocabulary::from_json(&vocabulary.to_json());
        prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(vocabulary));
    }

    #[test]
    fn cut_json_is_refused(captions in prop::collection::vec(sentence(), 0..3), cut: Index) {
        let json = ConceptVocabulary::build(captions.iter(), 1).to_json();
        let end = json.char_indices().nth(cut.index(json.chars().count())).map_or(0, |(at, _)| at);
        prop_assert!(ConceptVocabulary::from_json(&json[..end]).is_err());
    }
}
