//! A caption as words with tags.

use crate::correct::correct;
use crate::tag::{Tag, tag};
use crate::words::{Word, split};

/// Words and what each is. Beyond either end stand empty marks.
#[derive(Debug)]
pub struct Sentence {
    pub words: Vec<Word>,
    pub tags: Vec<Tag>,
}

impl Sentence {
    pub fn new(caption: &str) -> Self {
        let words = split(caption);
        let tags = tag(&words);
        let mut sentence = Sentence { words, tags };
        correct(&mut sentence);
        sentence
    }

    pub fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &word.text)
    }

    pub fn tag(&self, at: usize) -> Tag {
        self.tags.get(at).copied().unwrap_or(Tag::Mark)
    }

    pub fn before(&self, at: usize) -> Tag {
        at.checked_sub(1).map_or(Tag::Mark, |at| self.tag(at))
    }

    /// Whether the word may be a noun or a part of one.
    pub fn is_noun(&self, at: usize) -> bool {
        matches!(self.tag(at), Tag::Noun | Tag::Unknown)
    }
}
