//! What a sentence says of its noun phrases: relations between them.
//!
//! A relation is a run of verbs, prepositions, adverbs and particles between two noun phrases. Forms
//! of "to be" and relative pronouns at its beginning are dropped; marks, conjunctions and pronouns
//! end it.

use std::ops::Range;

use crate::correct::is_third_person;
use crate::lexicon::is_side;
use crate::phrase::{NounPhrase, noun_phrase, opens_relation};
use crate::sentence::Sentence;
use crate::tag::Tag;

/// Longer runs are rather clauses than relations.
const MOST_WORDS: usize = 4;

/// The noun phrases of a sentence in their order, and what relates them.
#[derive(Debug, Default)]
pub struct Parse {
    pub phrases: Vec<NounPhrase>,
    pub relations: Vec<Relation>,
}

/// Two noun phrases, by number, and the positions of the words between them.
#[derive(Debug)]
pub struct Relation {
    pub subject: usize,
    pub words: Range<usize>,
    pub object: usize,
}

/// What a sentence is made of. Positions are those of words.
enum Piece {
    Phrase(NounPhrase, usize),
    Link(usize),
    Break,
}

pub fn parse(sentence: &Sentence) -> Parse {
    let mut parser = Parser::default();
    let mut at = 0;
    while at < sentence.words.len() {
        at = parser.take(sentence, at);
    }
    parser.parse
}

/// Goes through a sentence from the left.
#[derive(Default)]
struct Parser {
    parse: Parse,
    /// The first phrase of the clause.
    first: Option<usize>,
    /// The last phrase, where nothing but the run came after it.
    last: Option<usize>,
    /// The words since the last phrase.
    run: Range<usize>,
}

impl Parser {
    /// Takes what stands at `at`; returns where it ends.
    fn take(&mut self, sentence: &Sentence, at: usize) -> usize {
        match piece(sentence, at) {
            Piece::Phrase(phrase, end) => {
                self.relate(sentence);
                self.parse.phrases.push(phrase);
                self.run = end..end;
                end
            }
            Piece::Link(end) => {
                self.run.end = end;
                end
            }
            Piece::Break => {
                (self.first, self.last) = (None, None);
                at + 1
            }
        }
    }

    /// Relates the last phrase, or the first one of the clause, to the one that comes now.
    fn relate(&mut self, sentence: &Sentence) {
        let object = self.parse.phrases.len();
        if let (Some(first), Some(last)) = (self.first, self.last)
            && let Some((words, finite)) = relation(sentence, self.run.clone())
        {
            let subject = if finite { first } else { last };
            self.parse.relations.push(Relation { subject, words, object });
        }
        // Phrases that follow one another without a word between are of two clauses.
        if self.first.is_none() || self.run.is_empty() {
            self.first = Some(object);
        }
        self.last = Some(object);
    }
}

fn piece(sentence: &Sentence, at: usize) -> Piece {
    if let Some(end) = side(sentence, at) {
        return Piece::Link(end);
    }
    if let Some(phrase) = noun_phrase(sentence, at) {
        let end = phrase.head.end;
        return Piece::Phrase(phrase, end);
    }
    if links(sentence, at) { Piece::Link(at + 1) } else { Piece::Break }
}

/// The end of a side that is said of something: `to the left of`, `on top of`, `on the left side of`,
/// `on the right`; but not `on the right hand`.
fn side(sentence: &Sentence, start: usize) -> Option<usize> {
    if !matches!(sentence.text(start), "to" | "on" | "at" | "in" | "by" | "from") {
        return None;
    }
    let noun = start + 1 + usize::from(sentence.text(start + 1) == "the");
    if !is_side(sentence.text(noun)) {
        return None;
    }
    let end = noun + 1 + usize::from(sentence.text(noun + 1) == "side");
    let describes = sentence.is_noun(end) || sentence.tag(end) == Tag::Adjective;
    if sentence.text(end) == "of" {
        return Some(end + 1);
    }
    (!describes).then_some(end)
}

/// Whether the word can be part of a relation.
fn links(sentence: &Sentence, at: usize) -> bool {
    match sentence.tag(at) {
        Tag::Verb | Tag::Auxiliary | Tag::Adposition | Tag::Adverb | Tag::Particle => true,
        Tag::Relative => true,
        _ if opens_relation(sentence, at) => true,
        // "covered with", but not "in black with".
        Tag::Adjective => {
            sentence.tag(at + 1) == Tag::Adposition && sentence.before(at) != Tag::Adposition
        }
        _ => false,
    }
}

/// The words of a run that are the relation, and whether they begin with a finite verb.
///
/// A finite verb belongs to the subject of the clause: in `a man in a shirt is standing on a ladder`
/// it is not the shirt that stands.
fn relation(sentence: &Sentence, run: Range<usize>) -> Option<(Range<usize>, bool)> {
    let dropped = |tag: Tag| matches!(tag, Tag::Auxiliary | Tag::Relative);
    let start = run.clone().find(|&at| !dropped(sentence.tag(at)))?;
    let words = start..run.end;
    let says_something = words.clone().any(|at| carries(sentence, at));
    let whole = !words.clone().any(|at| dropped(sentence.tag(at)));
    let finite = match sentence.tag(run.start) {
        Tag::Auxiliary => true,
        Tag::Verb => is_third_person(sentence.text(run.start)),
        _ => false,
    };
    (says_something && whole && words.len() <= MOST_WORDS).then_some((words, finite))
}

/// Whether a run with this word says something; `as` and `than` alone only compare numbers.
fn carries(sentence: &Sentence, at: usize) -> bool {
    match sentence.tag(at) {
        Tag::Verb | Tag::Adjective => true,
        Tag::Adposition => !matches!(sentence.text(at), "as" | "than"),
        _ => false,
    }
}
