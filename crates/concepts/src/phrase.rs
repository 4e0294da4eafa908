//! Noun phrases: an opening, adjectives, and the noun they belong to.
//!
//! `(number | article)* (adjective)* (noun)+`, where adjectives may be joined by commas and
//! conjunctions. Of several nouns in a row all are the head: `ice cream` is one object.

use std::ops::Range;

use crate::sentence::Sentence;
use crate::tag::Tag;

/// Positions of words in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NounPhrase {
    /// The adjectives.
    pub attributes: Vec<usize>,
    pub head: Range<usize>,
}

/// The phrase that begins at `start`.
pub fn noun_phrase(sentence: &Sentence, start: usize) -> Option<NounPhrase> {
    let opened = skip_opening(sentence, start);
    let (attributes, end) = adjectives(sentence, opened, true);
    let head = end..skip_nouns(sentence, end);
    if !head.is_empty() {
        return Some(NounPhrase { attributes, head });
    }
    headless(sentence, start, opened)
}

/// Without a noun the last adjective is the head, where something before it says that this is a
/// phrase: `a triangle on an orange`, but not `the panda is small`.
fn headless(sentence: &Sentence, start: usize, opened: usize) -> Option<NounPhrase> {
    let (mut attributes, end) = adjectives(sentence, opened, false);
    let last = attributes.pop()?;
    let is_phrase = opened > start || !attributes.is_empty();
    is_phrase.then_some(NounPhrase { attributes, head: last..end })
}

/// Articles and numbers, with an adverb before a number: `exactly two`.
fn skip_opening(sentence: &Sentence, start: usize) -> usize {
    let mut at = start;
    loop {
        at += match sentence.tag(at) {
            Tag::Article | Tag::Number | Tag::Quantity => 1,
            Tag::Adverb if sentence.tag(at + 1) == Tag::Number => 1,
            _ => return at,
        };
    }
}

/// Adjectives from `start` on, and where they end. With `joined` also those after a comma or a
/// conjunction.
fn adjectives(sentence: &Sentence, start: usize, joined: bool) -> (Vec<usize>, usize) {
    let mut found = vec![];
    let mut end = start;
    loop {
        let after_joint = if joined && !found.is_empty() { skip_joint(sentence, end) } else { end };
        let next = skip_adverb(sentence, after_joint);
        if sentence.tag(next) != Tag::Adjective || opens_relation(sentence, next) {
            return (found, end);
        }
        found.push(next);
        end = next + 1;
    }
}

/// `,`, `and`, or both.
fn skip_joint(sentence: &Sentence, start: usize) -> usize {
    let at = start + usize::from(sentence.text(start) == ",");
    at + usize::from(sentence.tag(at) == Tag::Conjunction)
}

/// `very` in `a very small panda`.
fn skip_adverb(sentence: &Sentence, start: usize) -> usize {
    let before_adjective = sentence.tag(start + 1) == Tag::Adjective;
    start + usize::from(sentence.tag(start) == Tag::Adverb && before_adjective)
}

fn skip_nouns(sentence: &Sentence, start: usize) -> usize {
    let mut at = start;
    while sentence.is_noun(at) && !opens_relation(sentence, at) {
        at += 1;
    }
    at
}

/// Whether a word that could be a noun or an adjective begins a relation instead: `left of`,
/// `next to`, `bigger than`, `higher up than`.
pub fn opens_relation(sentence: &Sentence, at: usize) -> bool {
    let after = sentence.text(at + 1);
    match sentence.text(at) {
        "left" | "right" => after == "of",
        "next" | "close" | "adjacent" | "similar" => after == "to",
        "full" => after == "of",
        _ => {
            let up = matches!(after, "up" | "down") && sentence.text(at + 2) == "than";
            sentence.tag(at) == Tag::Adjective && (after == "than" || up)
        }
    }
}
