//! Tags set right by the words around them.
//!
//! The tagger knows most words by their most frequent use, and some not at all. What captions do
//! otherwise, and what unknown words can be told by, stands here; each rule with its example.

use crate::lexicon::{is_be, is_have, is_thing_in_ing};
use crate::sentence::Sentence;
use crate::tag::{Tag, tag_alone};

/// Goes through the words from the left: a rule sees what came out for those before a word.
pub fn correct(sentence: &mut Sentence) {
    for at in 0..sentence.words.len() {
        sentence.tags[at] = corrected(sentence, at);
    }
}

fn corrected(sentence: &Sentence, at: usize) -> Tag {
    match sentence.tag(at) {
        Tag::Noun | Tag::Verb if is_hand(sentence, at) => Tag::Adjective,
        Tag::Unknown => unknown(sentence, at),
        Tag::Noun => noun(sentence, at),
        Tag::Adjective => adjective(sentence, at),
        Tag::Verb => verb(sentence, at),
        Tag::Auxiliary => auxiliary(sentence, at),
        Tag::Adverb => adverb(sentence, at),
        Tag::Adposition => adposition(sentence, at),
        tag => tag,
    }
}

/// `her left hand`.
fn is_hand(sentence: &Sentence, at: usize) -> bool {
    matches!(sentence.text(at), "left" | "right") && before_noun(sentence, at)
}

/// `a perched bird`, `a bird perched on`, `a t-shirt`, `medium-dark skin`, `the dog's bone`.
fn unknown(sentence: &Sentence, at: usize) -> Tag {
    let text = sentence.text(at);
    let compound = text.contains('-') || text.ends_with("'s") || text.ends_with("’s");
    let before_noun = before_noun(sentence, at);
    if before_noun && (compound || text.ends_with("ed")) {
        return Tag::Adjective;
    }
    if text.ends_with("ed") && after_noun(sentence, at) {
        return Tag::Verb;
    }
    noun(sentence, at)
}

/// `a woman surfing in`: what follows a noun is done by it.
fn noun(sentence: &Sentence, at: usize) -> Tag {
    let text = sentence.text(at);
    if text.ends_with("ing") && after_noun(sentence, at) && !is_thing_in_ing(text) {
        return Tag::Verb;
    }
    noun_of_verb(sentence, at)
}

/// `a large parked car`, where the tagger makes a noun of what alone it knows for a verb.
fn noun_of_verb(sentence: &Sentence, at: usize) -> Tag {
    let text = sentence.text(at);
    let describes =
        is_participle(text) && before_noun(sentence, at) && opener(sentence, at) != Tag::Mark;
    if describes && tag_alone(text) == Tag::Verb { Tag::Adjective } else { sentence.tag(at) }
}

/// `on a square and`: the tagger knows square tables only.
fn adjective(sentence: &Sentence, at: usize) -> Tag {
    match sentence.text(at) {
        "square" if !before_noun(sentence, at) => Tag::Noun,
        _ => Tag::Adjective,
    }
}

/// `a grinning face`, `a stop sign`, `a watch on`, `two large watches on`, `a small boot on`.
fn verb(sentence: &Sentence, at: usize) -> Tag {
    let text = sentence.text(at);
    if is_participle(text) {
        let describes = before_noun(sentence, at) && opener(sentence, at) != Tag::Mark;
        return if describes { Tag::Adjective } else { Tag::Verb };
    }
    // One thing stands, two things stand: a verb of the other number is none.
    let of_many = is_third_person(text);
    let agrees = match opener(sentence, at) {
        Tag::Article => of_many && sentence.before(at) != Tag::Article,
        Tag::Number => !of_many,
        _ => true,
    };
    if agrees { Tag::Verb } else { Tag::Noun }
}

/// `a can of`, `a trash can`, `a dog has a ball`.
fn auxiliary(sentence: &Sentence, at: usize) -> Tag {
    let text = sentence.text(at);
    let helps = matches!(
        sentence.tag(at + 1),
        Tag::Verb | Tag::Auxiliary | Tag::Adverb | Tag::Particle | Tag::Other
    );
    let after_article = sentence.before(at) == Tag::Article;
    match text {
        _ if is_be(text) => Tag::Auxiliary,
        _ if is_have(text) && !helps => Tag::Verb,
        "can" if !helps || after_article => Tag::Noun,
        _ => Tag::Auxiliary,
    }
}

/// `an upright panda`, `two small upright pandas`; but not `a very small panda`.
fn adverb(sentence: &Sentence, at: usize) -> Tag {
    let describes = sentence.is_noun(at + 1) && opener(sentence, at) != Tag::Mark;
    if describes { Tag::Adjective } else { Tag::Adverb }
}

/// `a round table`.
fn adposition(sentence: &Sentence, at: usize) -> Tag {
    let describes = before_noun(sentence, at) && sentence.before(at) == Tag::Article;
    if describes { Tag::Adjective } else { Tag::Adposition }
}

/// Whether a noun follows, or adjectives and participles that go before one.
fn before_noun(sentence: &Sentence, at: usize) -> bool {
    let next = at + 1;
    match sentence.tag(next) {
        Tag::Noun | Tag::Unknown | Tag::Adjective => true,
        Tag::Verb => is_participle(sentence.text(next)) && sentence.is_noun(next + 1),
        _ => false,
    }
}

fn after_noun(sentence: &Sentence, at: usize) -> bool {
    matches!(sentence.before(at), Tag::Noun | Tag::Unknown)
}

/// The article or number before a word and its adjectives; a mark where there is none.
fn opener(sentence: &Sentence, at: usize) -> Tag {
    let describing = |tag: &Tag| matches!(tag, Tag::Adjective | Tag::Adverb);
    let before = sentence.tags[..at].iter().rev().find(|tag| !describing(tag));
    match before {
        Some(tag @ (Tag::Article | Tag::Number)) => *tag,
        _ => Tag::Mark,
    }
}

fn is_participle(text: &str) -> bool {
    ["ing", "ed", "en"].iter().any(|end| text.ends_with(end))
}

/// `stands`, but not `pass`.
pub fn is_third_person(text: &str) -> bool {
    text.ends_with('s') && !text.ends_with("ss")
}
