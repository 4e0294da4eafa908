//! Phrases and tags of a corpus.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use weft_concepts::ConceptVocabulary;
use weft_data::dataset::Dataset;
use weft_data::record::Record;
use weft_data::tags::{self, TagConfig};
use weft_data::tokenizer::{Phrases, Tokenizer};
use weft_model::ConceptsConfig;

/// The `[concepts]` table (MVP, section 3.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConceptRecipe {
    /// Training captions that a phrase must be in to be known (MVPTR: 50).
    pub min_count: usize,
    /// Most phrases that are known; the most frequent ones (MVPTR has 73,599).
    #[serde(default = "published_most")]
    pub most: usize,
    /// Tokens of a caption that are kept free for its phrases (MVPTR: 5); 0 for none, and then no
    /// phrase is ever shown.
    #[serde(default = "published_room")]
    pub room: usize,
    /// Whether the image encoder sees tags, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagConfig>,
}

/// The phrases of MVPTR's release, and those of them that are one word and have its row.
const PUBLISHED_PHRASES: usize = 73_599;
const PUBLISHED_SHARED: usize = 18_570;

fn published_most() -> usize {
    PUBLISHED_PHRASES
}

fn published_room() -> usize {
    5
}

impl ConceptRecipe {
    /// Checks what the types alone do not.
    pub fn validate(&self, max_tokens: usize) -> Result<()> {
        ensure!(self.min_count > 0, "concepts.min_count must be at least 1");
        ensure!(
            self.room + 3 <= max_tokens,
            "concepts.room is {}, which leaves no room for a word among model.text.max_tokens {max_tokens}",
            self.room
        );
        Ok(())
    }

    /// `tokenizer` with the phrases of the captions of `records` and their tags.
    pub fn teach(&self, tokenizer: Tokenizer, records: &[Record]) -> Tokenizer {
        let captions = records.iter().flat_map(|record| &record.captions);
        let vocabulary = ConceptVocabulary::build(captions, self.min_count).at_most(self.most);
        let vocabulary = match &self.tags {
            Some(_) => vocabulary.with_labels(records.iter().flat_map(tags::of)),
            None => vocabulary,
        };
        tokenizer.with_phrases(Phrases { room: self.room, vocabulary })
    }

    /// Fails where the model of these concepts is shown tags outside training, and a split of `dataset` has
    /// none at all.
    pub fn check_tags(&self, dataset: &Dataset) -> Result<()> {
        if !self.tags.as_ref().is_some_and(|tags| tags.at_test) {
            return Ok(());
        }
        for (split, records) in &dataset.splits {
            ensure!(
                records.is_empty() || records.iter().any(tags::are_known),
                "the model is shown tags (concepts.tags.at_test), and none of the {} pictures of {split} has \
                 any: name their file with --tags",
                records.len()
            );
        }
        Ok(())
    }

    /// What a model with the phrases of `tokenizer` is made of.
    pub fn of_model(&self, tokenizer: &Tokenizer) -> ConceptsConfig {
        ConceptsConfig { rows: tokenizer.phrase_rows(), tags: self.tags.is_some() }
    }

    /// The same before the corpus is read: as many rows as phrases can have.
    pub fn at_most(&self) -> ConceptsConfig {
        ConceptsConfig { rows: self.most, tags: self.tags.is_some() }
    }

    /// About the same: of MVPTR's phrases so many as share no word's row.
    pub fn expected(&self) -> ConceptsConfig {
        let own = PUBLISHED_PHRASES - PUBLISHED_SHARED;
        let rows = (self.most * own).div_ceil(PUBLISHED_PHRASES);
        ConceptsConfig { rows, tags: self.tags.is_some() }
    }
}
