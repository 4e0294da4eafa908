//! What each word is, as far as the grammar has to know.

use harper_brill::{Tagger, UPOS, brill_tagger};

use crate::lexicon;
use crate::words::Word;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Noun,
    /// The tagger does not know the word; most such words are nouns.
    Unknown,
    Adjective,
    /// What only a noun can follow: articles, possessives.
    Article,
    Number,
    /// What can stand before a noun and also for one: `some`, `many`, `one`.
    Quantity,
    Verb,
    Auxiliary,
    Adposition,
    Adverb,
    Particle,
    Conjunction,
    /// `who`, `which`, `that`.
    Relative,
    Mark,
    /// Pronouns, interjections, what begins a subordinate clause.
    Other,
}

/// One tag for each word; each from the word itself where [`lexicon`] has it, else from the tagger.
pub fn tag(words: &[Word]) -> Vec<Tag> {
    let texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let guesses = brill_tagger().tag_sentence(&texts);
    texts.iter().zip(guesses).map(|(text, guess)| tag_of(text, guess)).collect()
}

/// The tag of a word in lower case with nothing around it: that of its most frequent use.
pub fn tag_alone(text: &str) -> Tag {
    let guess = brill_tagger().tag_sentence(&[text.to_string()]).into_iter().next().flatten();
    tag_of(text, guess)
}

fn tag_of(text: &str, guess: Option<UPOS>) -> Tag {
    if !text.chars().any(char::is_alphanumeric) {
        return Tag::Mark;
    }
    if text.chars().all(char::is_numeric) {
        return Tag::Number;
    }
    lexicon::tag(text).unwrap_or_else(|| from_guess(text, guess))
}

fn from_guess(text: &str, guess: Option<UPOS>) -> Tag {
    match guess {
        None => Tag::Unknown,
        Some(UPOS::NOUN | UPOS::PROPN) => Tag::Noun,
        Some(UPOS::ADJ) => Tag::Adjective,
        Some(UPOS::NUM) => Tag::Number,
        Some(UPOS::DET) => Tag::Quantity,
        Some(UPOS::VERB) => Tag::Verb,
        Some(UPOS::AUX) => Tag::Auxiliary,
        Some(UPOS::ADP) => Tag::Adposition,
        Some(UPOS::ADV) if lexicon::is_place(text) => Tag::Adposition,
        Some(UPOS::ADV) => Tag::Adverb,
        Some(UPOS::PART) => Tag::Particle,
        Some(UPOS::CCONJ) => Tag::Conjunction,
        // The tagger takes odd words for marks; they are no part of a phrase either way.
        Some(UPOS::INTJ | UPOS::PRON | UPOS::PUNCT | UPOS::SCONJ | UPOS::SYM) => Tag::Other,
    }
}
