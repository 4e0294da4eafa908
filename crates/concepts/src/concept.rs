//! Concepts of one caption.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::grammar::{Parse, parse};
use crate::sentence::Sentence;
use crate::words::Word;

/// What kind of tuple a concept is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConceptKind {
    /// `umbrella`.
    Object,
    /// An adjective and its object: `flowered umbrella`.
    Attribute,
    /// Two objects and what relates them: `kitchen filled with appliances`.
    Relation,
}

/// A tuple of a caption's scene graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    pub kind: ConceptKind,
    /// Lower case, words joined by one space: `circle`, `red circle`, `panda above violin`.
    pub name: String,
    /// Where its words stand in the caption, in characters (not bytes): one span for each word, in
    /// ascending order, not overlapping.
    pub spans: Vec<Range<usize>>,
}

/// The concepts of a caption: objects, then attribute pairs, then relation triples, each in the
/// order of their first appearance.
///
/// Each name comes once. Of one that appears several times the spans of all appearances are merged,
/// and where they are of several kinds, the first of these kinds is taken.
pub fn concepts(caption: &str) -> Vec<Concept> {
    let sentence = Sentence::new(caption);
    let Parse { phrases, relations } = parse(&sentence);
    let mut found = Found::new(&sentence.words);
    for phrase in &phrases {
        found.add(ConceptKind::Object, phrase.head.clone());
    }
    for phrase in &phrases {
        for &adjective in &phrase.attributes {
            found.add(ConceptKind::Attribute, [adjective].into_iter().chain(phrase.head.clone()));
        }
    }
    for relation in &relations {
        let head = |phrase: usize| phrases[phrase].head.clone();
        let words =
            head(relation.subject).chain(relation.words.clone()).chain(head(relation.object));
        found.add(ConceptKind::Relation, words);
    }
    found.concepts
}

/// Concepts by name.
struct Found<'a> {
    words: &'a [Word],
    concepts: Vec<Concept>,
    places: HashMap<String, usize>,
}

impl<'a> Found<'a> {
    fn new(words: &'a [Word]) -> Self {
        Found { words, concepts: vec![], places: HashMap::new() }
    }

    /// Adds what the words at these positions name.
    fn add(&mut self, kind: ConceptKind, positions: impl Iterator<Item = usize>) {
        let words: Vec<&Word> = positions.map(|at| &self.words[at]).collect();
        let name = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let spans = words.iter().map(|word| word.span.clone());
        match self.places.get(&name) {
            Some(&place) => merge(&mut self.concepts[place].spans, spans),
            None => {
                let concept = Concept { kind, name: name.clone(), spans: spans.collect() };
                self.places.insert(name, self.concepts.len());
                self.concepts.push(concept);
            }
        }
    }
}

/// Spans are those of whole words, so that two of them are the same or apart.
fn merge(spans: &mut Vec<Range<usize>>, more: impl Iterator<Item = Range<usize>>) {
    spans.extend(more);
    spans.sort_by_key(|span| span.start);
    spans.dedup();
}
