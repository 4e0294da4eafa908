//! Phrase concepts of captions: which objects a caption names, which attributes it gives them and
//! how it relates them.
//!
//! MVPTR (Li et al. 2022, arXiv 2201.12596) gives its text encoder two levels, words and *phrase
//! concepts*: the tuples that the scene-graph parser of SPICE (Anderson et al. 2016) finds in a
//! caption, such as `(umbrella)`, `(umbrella, flowered)` and `(kitchen, filled with, appliances)`.
//! That parser stands on a dependency parser. Ours is a part-of-speech tagger and a small grammar
//! over its tags: our reading of what the tuples are, and not the same tuples in every sentence.
//!
//! [`concepts`] finds them in one caption; a [`ConceptVocabulary`] holds those of a corpus that
//! occur often enough to be learned.
//!
//! # What the grammar does not do
//!
//! - Words stand as they are written, apart from case: `panda` and `pandas` are two concepts.
//! - Only adjectives before a noun are attributes: `the panda is small` has none.
//! - Pronouns mean nothing: `on it` relates nothing, and `it` is no object.
//! - Denied objects are objects: `there is no panda` has a panda. A denied relation keeps its
//!   `not`: `panda not on circle`.
//! - A relation belongs to the nearest noun before it, and only that of a finite verb to the first
//!   one of its clause; in `a man on a ladder cleaning a window` it is the ladder that cleans.

mod concept;
mod correct;
mod error;
mod grammar;
mod lexicon;
mod phrase;
mod sentence;
mod tag;
mod vocabulary;
mod words;

pub use concept::{Concept, ConceptKind, concepts};
pub use error::ConceptError;
pub use vocabulary::ConceptVocabulary;
