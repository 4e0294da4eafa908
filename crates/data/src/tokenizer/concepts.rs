//! Phrases of a caption as tokens of their own behind its words (MVP, section 3.1).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use weft_concepts::{Concept, ConceptVocabulary, concepts};

use super::encoding::{Encoding, PhraseToken};
use crate::error::DataError;

/// The phrases that a model knows, and how many of a caption's it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phrases {
    /// Tokens of a caption that are kept free for phrases; where it is short, more fit in, unless there is
    /// room for none.
    pub room: usize,
    pub vocabulary: ConceptVocabulary,
}

impl Phrases {
    /// The phrases as JSON.
    pub fn to_json(&self) -> Result<String, DataError> {
        serde_json::to_string(self).map_err(|error| DataError::Malformed {
            origin: "phrases".into(),
            detail: error.to_string(),
        })
    }

    /// What [`to_json`](Self::to_json) wrote; `origin` says in errors where it was.
    pub fn from_json(json: &str, origin: &str) -> Result<Self, DataError> {
        serde_json::from_str(json).map_err(|error| DataError::Malformed {
            origin: origin.into(),
            detail: format!("expected phrases: {error}"),
        })
    }
}

/// Phrases with the rows of the embedding table that are theirs.
#[derive(Debug, Clone)]
pub(super) struct PhraseIds {
    pub phrases: Phrases,
    ids: HashMap<String, u32>,
    /// Rows behind those of the words.
    pub rows: usize,
}

impl PhraseIds {
    /// A phrase of one word that is one token shares the word's row, as in MVPTR's release; every other
    /// one gets a row behind the `words` rows of the words.
    pub fn new(phrases: Phrases, words: usize, token_of: impl Fn(&str) -> Option<u32>) -> Self {
        let mut ids = HashMap::with_capacity(phrases.vocabulary.len());
        let mut next = words as u32;
        for name in phrases.vocabulary.names() {
            let id = token_of(name).unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            ids.insert(name.to_owned(), id);
        }
        Self { phrases, ids, rows: next as usize - words }
    }

    /// The row of a phrase.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Puts the phrases of `caption` that are known in front of the last special token, as many as
    /// `max_tokens` leaves room for, in the order in which they are found.
    pub fn append(&self, encoding: &mut Encoding, caption: &str, max_tokens: usize) {
        let last_is_special = encoding.words.last().is_some_and(Option::is_none);
        let mut at = encoding.len() - usize::from(last_is_special);
        for concept in concepts(caption) {
            let Some(id) = self.id(&concept.name).filter(|_| encoding.len() < max_tokens) else {
                continue;
            };
            let parts = parts(&concept, encoding);
            // Of a phrase whose words were cut off nothing says that it is in the caption.
            if parts.is_empty() {
                continue;
            }
            let type_id = encoding.type_ids.last().copied().unwrap_or_default();
            encoding.ids.insert(at, id);
            encoding.words.insert(at, None);
            encoding.tokens.insert(at, concept.name);
            encoding.offsets.insert(at, (0, 0));
            encoding.type_ids.insert(at, type_id);
            encoding.phrases.push(PhraseToken { at, parts });
            at += 1;
        }
    }
}

/// Which tokens are parts of the words of `concept`; none where one of its words was cut off.
fn parts(concept: &Concept, encoding: &Encoding) -> Vec<usize> {
    let inside = |span: &std::ops::Range<usize>| -> Vec<usize> {
        let overlaps = |at: &usize| {
            let (start, end) = encoding.offsets[*at];
            encoding.words[*at].is_some() && start < span.end && span.start < end
        };
        (0..encoding.len()).filter(overlaps).collect()
    };
    let of_spans: Vec<Vec<usize>> = concept.spans.iter().map(inside).collect();
    if of_spans.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    of_spans.concat()
}
