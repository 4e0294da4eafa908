//! Texts as tokens.

/// A text, or a pair of texts, as tokens with the special ones, not padded. The lists have one entry
/// per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    pub ids: Vec<u32>,
    /// Which word of its text the token belongs to; `None` for a special token.
    pub words: Vec<Option<u32>>,
    pub tokens: Vec<String>,
    /// Where the token begins and ends in its text, in characters; both 0 for a token that is not
    /// in the text.
    pub offsets: Vec<(usize, usize)>,
    /// Which text the token belongs to, as the encoder wants it: BERT's counts from 0, the others'
    /// is always 0.
    pub type_ids: Vec<u32>,
    /// Which tokens are phrases of the text; none unless the tokenizer knows phrases.
    pub phrases: Vec<PhraseToken>,
}

/// A token that stands for a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhraseToken {
    /// Its place among the tokens.
    pub at: usize,
    /// Places of the tokens of its words.
    pub parts: Vec<usize>,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// `B` texts of one length `L`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// Token ids, `[B, L]`.
    pub ids: Vec<u32>,
    /// As those of an [`Encoding`], `[B, L]`; 0 where there is no token.
    pub type_ids: Vec<u32>,
    /// Where there is no token, `[B, L]`: the reference's attention mask, turned round.
    pub padding: Vec<bool>,
    /// `L`.
    pub tokens: usize,
}

impl TokenBatch {
    /// Puts `encodings` below each other, filled with `pad` up to the longest of them and up to
    /// `at_least` tokens.
    pub(super) fn new(encodings: &[Encoding], at_least: usize, pad: u32) -> Self {
        let longest = encodings.iter().map(Encoding::len).max().unwrap_or(0);
        let tokens = longest.max(at_least);
        let cells = encodings.len() * tokens;
        let mut batch = TokenBatch {
            ids: Vec::with_capacity(cells),
            type_ids: Vec::with_capacity(cells),
            padding: Vec::with_capacity(cells),
            tokens,
        };
        for (row, encoding) in encodings.iter().enumerate() {
            batch.ids.extend(&encoding.ids);
            batch.type_ids.extend(&encoding.type_ids);
            batch.padding.resize(batch.ids.len(), false);
            let end = (row + 1) * tokens;
            batch.ids.resize(end, pad);
            batch.type_ids.resize(end, 0);
            batch.padding.resize(end, true);
        }
        batch
    }
}
