//! Concepts that occur often enough in a corpus.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::concept::{ConceptKind, concepts};
use crate::error::ConceptError;

/// Concepts with an index each, their kinds, and how many captions have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ConceptVocabulary {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    kind: ConceptKind,
    count: usize,
}

/// The vocabulary as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    concepts: Vec<Entry>,
}

impl ConceptVocabulary {
    /// The concepts of at least `min_count` captions; a caption counts once for each of its concepts.
    ///
    /// They are sorted by falling count, then by name, so that the order of captions does not matter.
    /// A name that is of several kinds in the corpus is of the first of them.
    pub fn build(captions: impl Iterator<Item = impl AsRef<str>>, min_count: usize) -> Self {
        let mut found: HashMap<String, (ConceptKind, usize)> = HashMap::new();
        for concept in captions.flat_map(|caption| concepts(caption.as_ref())) {
            let (kind, count) = found.entry(concept.name).or_insert((concept.kind, 0));
            *kind = concept.kind.min(*kind);
            *count += 1;
        }
        let often = found.into_iter().filter(|(_, (_, count))| *count >= min_count);
        let mut entries: Vec<Entry> =
            often.map(|(name, (kind, count))| Entry { name, kind, count }).collect();
        entries.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        Self::of(entries)
    }

    /// The vocabulary with names that stand for objects whatever their count, such as the labels of
    /// pictures.
    ///
    /// Labels are put in lower case, their words joined by one space; blank ones are left out. Those
    /// that are there already become objects and keep index and count; new ones follow in sorted
    /// order, with a count of 0.
    pub fn with_labels(self, labels: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names: BTreeSet<String> =
            labels.into_iter().map(|label| canonical(label.as_ref())).collect();
        let ConceptVocabulary { mut entries, places } = self;
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match places.get(&name) {
                Some(&place) => entries[place].kind = ConceptKind::Object,
                None => entries.push(Entry { name, kind: ConceptKind::Object, count: 0 }),
            }
        }
        Self::of(entries)
    }

    /// The first `most` concepts: the most frequent ones of a vocabulary that was built.
    pub fn at_most(self, most: usize) -> Self {
        let ConceptVocabulary { mut entries, .. } = self;
        entries.truncate(most);
        Self::of(entries)
    }

    /// How many concepts there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All names, in the order of their indices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The index of a name, which must be written as [`Concept::name`](crate::Concept::name) is.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub fn name(&self, index: usize) -> Option<&str> {
        self.entries.get(index).map(|entry| entry.name.as_str())
    }

    pub fn kind(&self, index: usize) -> Option<ConceptKind> {
        self.entries.get(index).map(|entry| entry.kind)
    }

    /// In how many captions of the corpus the concept occurs; 0 of a label that was added.
    pub fn count(&self, index: usize) -> Option<usize> {
        self.entries.get(index).map(|entry| entry.count)
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers can be written as JSON")
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// Where it is something else, and where names are empty, not canonical or not unique.
    pub fn from_json(json: &str) -> Result<Self, ConceptError> {
        serde_json::from_str::<Stored>(json)?.try_into()
    }

    /// `entries` have different names.
    fn of(entries: Vec<Entry>) -> Self {
        let places =
            entries.iter().enumerate().map(|(at, entry)| (entry.name.clone(), at)).collect();
        ConceptVocabulary { entries, places }
    }
}

impl TryFrom<Stored> for ConceptVocabulary {
    type Error = ConceptError;

    fn try_from(stored: Stored) -> Result<Self, ConceptError> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (index, Entry { name, .. }) in stored.concepts.iter().enumerate() {
            let expected = canonical(name);
            if expected.is_empty() {
                return Err(ConceptError::EmptyName { index });
            }
            if *name != expected {
                return Err(ConceptError::NotCanonical { index, name: name.clone(), expected });
            }
            if let Some(first) = seen.insert(name, index) {
                return Err(ConceptError::Twins { first, second: index, name: name.clone() });
            }
        }
        Ok(Self::of(stored.concepts))
    }
}

impl From<ConceptVocabulary> for Stored {
    fn from(vocabulary: ConceptVocabulary) -> Self {
        Stored { concepts: vocabulary.entries }
    }
}

fn canonical(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}
