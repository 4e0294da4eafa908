//! Captions to token ids and back.

mod concepts;
mod encoding;
mod special;

use std::path::Path;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokenizers::{PostProcessor, PostProcessorWrapper, TruncationParams, truncate_encodings};

use crate::error::DataError;
use crate::wordpiece;
use concepts::PhraseIds;
pub use concepts::Phrases;
pub use encoding::{Encoding, PhraseToken, TokenBatch};
use special::{BERT, Special};

/// A tokenizer of the `tokenizers` library whose special tokens are known.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    /// Without its post-processor, so that texts can be cut before they are framed.
    inner: tokenizers::Tokenizer,
    /// Puts special tokens around texts.
    frame: Option<PostProcessorWrapper>,
    special: Special,
    vocab_size: usize,
    phrases: Option<Arc<PhraseIds>>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let json = std::fs::read_to_string(path).map_err(|error| DataError::io(path, error))?;
        Self::parse(&json, &path.display().to_string())
    }

    /// The tokenizer that [`Tokenizer::to_json`] wrote.
    pub fn from_json(json: &str) -> Result<Self, DataError> {
        Self::parse(json, "tokenizer")
    }

    /// What [`Tokenizer::train`]'s tokenizers pad with.
    pub const LEARNED_PAD_ID: u32 = 0;

    /// Learns a WordPiece vocabulary of at most `vocab_size` tokens from `captions`, with the lower
    /// case, the splitting and the `[CLS]` ... `[SEP]` frame of BERT. The same captions give the
    /// same tokenizer, byte for byte, in whatever order they come.
    pub fn train(
        captions: impl Iterator<Item = String>,
        vocab_size: usize,
    ) -> Result<Self, DataError> {
        let pieces = wordpiece::train(captions, vocab_size, &BERT)?;
        let vocabulary: serde_json::Map<String, serde_json::Value> =
            pieces.into_iter().enumerate().map(|(id, piece)| (piece, id.into())).collect();
        let id_of = |token: &str| vocabulary[token].clone();
        let added: Vec<_> = BERT
            .iter()
            .map(|token| {
                json!({
                    "id": id_of(token), "content": token, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true,
                })
            })
            .collect();
        let special =
            |token: &str, text: u32| json!({"SpecialToken": {"id": token, "type_id": text}});
        let sequence = |name: &str, text: u32| json!({"Sequence": {"id": name, "type_id": text}});
        let definition =
            |token: &str| json!({"id": token, "ids": [id_of(token)], "tokens": [token]});
        let json = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
                "pair": [
                    special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1),
                    special("[SEP]", 1),
                ],
                "special_tokens": {"[CLS]": definition("[CLS]"), "[SEP]": definition("[SEP]")},
            },
            "decoder": {"type": "WordPiece", "prefix": wordpiece::CONTINUATION, "cleanup": true},
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]",
                "continuing_subword_prefix": wordpiece::CONTINUATION,
                "max_input_chars_per_word": wordpiece::MAX_WORD_CHARS, "vocab": vocabulary,
            },
        });
        Self::from_json(&json.to_string())
    }

    fn parse(json: &str, origin: &str) -> Result<Self, DataError> {
        let malformed = |detail: String| DataError::Malformed { origin: origin.into(), detail };
        let mut inner = tokenizers::Tokenizer::from_bytes(json)
            .map_err(|error| malformed(format!("expected a tokenizer.json: {error}")))?;
        // How long a caption may be is for the recipe to say, not for the tokenizer.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| malformed(error.to_string()))?;

        let special = Special::find(|token| inner.token_to_id(token)).map_err(malformed)?;
        // A vocabulary with holes has ids beyond its number of tokens; a table is as long as they
        // need.
        let highest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = highest as usize + 1;
        let frame = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        Ok(Tokenizer { inner, frame, special, vocab_size, phrases: None })
    }

    /// The same tokenizer, which from now on puts those of `phrases` that a text has behind its words.
    pub fn with_phrases(self, phrases: Phrases) -> Self {
        let of_a_word = |name: &str| {
            let pieces = self.pieces(name).ok()?;
            let [id] = pieces.get_ids() else { return None };
            (*id != self.special.unknown && !self.is_special(*id)).then_some(*id)
        };
        let ids = PhraseIds::new(phrases, self.vocab_size, of_a_word);
        Tokenizer { phrases: Some(Arc::new(ids)), ..self }
    }

    /// The same phrases with another room; of a tokenizer without phrases, itself.
    pub fn with_room(self, room: usize) -> Self {
        match self.phrases().cloned() {
            Some(phrases) => self.with_phrases(Phrases { room, ..phrases }),
            None => self,
        }
    }

    /// The phrases that it knows.
    pub fn phrases(&self) -> Option<&Phrases> {
        self.phrases.as_ref().map(|ids| &ids.phrases)
    }

    /// Rows of the embedding table that phrases need behind those of the words.
    pub fn phrase_rows(&self) -> usize {
        self.phrases.as_ref().map_or(0, |ids| ids.rows)
    }

    /// The row of a phrase in the embedding table.
    pub fn phrase_id(&self, name: &str) -> Option<u32> {
        self.phrases.as_ref()?.id(name)
    }

    /// The tokenizer as the text of a `tokenizer.json`, without its phrases.
    pub fn to_json(&self) -> Result<String, DataError> {
        let mut whole = self.inner.clone();
        whole.with_post_processor(self.frame.clone());
        whole.to_string(true).map_err(|error| DataError::Malformed {
            origin: "tokenizer".into(),
            detail: error.to_string(),
        })
    }

    /// Writes a `tokenizer.json`.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        std::fs::write(path, self.to_json()?).map_err(|error| DataError::io(path, error))
    }

    /// Tokenises `text`, at most `max_tokens` tokens with the special ones. What is too long is
    /// cut at its end, before the special tokens are added. Phrases follow the words, where the
    /// tokenizer knows some: those whose words are all still there.
    ///
    /// # Errors
    /// [`DataError::Config`] if there is no room for the special tokens, or for phrases.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Encoding, DataError> {
        let pieces = self.pieces(text)?;
        let Some(phrases) = &self.phrases else { return self.framed(pieces, None, max_tokens) };
        let room = phrases.phrases.room;
        let for_words = max_tokens.checked_sub(room).ok_or_else(|| {
            DataError::Config(format!("max_tokens {max_tokens}: expected room for {room} phrases"))
        })?;
        let mut encoding = self.framed(pieces, None, for_words)?;
        if room > 0 {
            phrases.append(&mut encoding, text, max_tokens);
        }
        Ok(encoding)
    }

    /// How many tokens at the end of `text` [`encode`](Self::encode) leaves out.
    ///
    /// # Errors
    /// [`DataError::Malformed`] if it cannot be tokenised.
    pub fn cut_off(&self, text: &str, max_tokens: usize) -> Result<usize, DataError> {
        let added = self.frame.as_ref().map_or(0, |frame| frame.added_tokens(false));
        let room = self.phrases.as_ref().map_or(0, |phrases| phrases.phrases.room);
        let wanted = self.pieces(text)?.get_ids().len() + added + room;
        Ok(wanted.saturating_sub(max_tokens))
    }

    /// Tokenises two texts for an encoder of pairs, at most `max_tokens` tokens with the special
    /// ones. What is too long is cut at the end of the longer text, then of both.
    ///
    /// # Errors
    /// [`DataError::Config`] if there is no room for the special tokens.
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
        max_tokens: usize,
    ) -> Result<Encoding, DataError> {
        self.framed(self.pieces(first)?, Some(self.pieces(second)?), max_tokens)
    }

    /// Fills `encodings` up to the length of the longest, and up to `at_least` tokens.
    pub fn pad(&self, encodings: &[Encoding], at_least: usize) -> TokenBatch {
        TokenBatch::new(encodings, at_least, self.special.pad)
    }

    /// The tokens of `text` alone.
    fn pieces(&self, text: &str) -> Result<tokenizers::Encoding, DataError> {
        self.inner.encode_char_offsets(text, false).map_err(|error| DataError::Malformed {
            origin: format!("caption {text:?}"),
            detail: error.to_string(),
        })
    }

    /// Cuts texts to fit and puts the special tokens around them.
    fn framed(
        &self,
        first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        max_tokens: usize,
    ) -> Result<Encoding, DataError> {
        let failed = |error: tokenizers::Error| DataError::Malformed {
            origin: "tokenizer".into(),
            detail: error.to_string(),
        };
        let added = self.frame.as_ref().map_or(0, |frame| frame.added_tokens(second.is_some()));
        let max_length = max_tokens.checked_sub(added).ok_or_else(|| {
            DataError::Config(format!(
                "max_tokens {max_tokens}: expected room for {added} special tokens"
            ))
        })?;
        // The reference's rule for pairs, "longest first".
        let rule = TruncationParams { max_length, ..TruncationParams::default() };
        let (mut first, mut second) = truncate_encodings(first, second, &rule).map_err(failed)?;
        // What was cut off would be framed as well.
        first.take_overflowing();
        second.iter_mut().for_each(|second| drop(second.take_overflowing()));
        let whole = match (&self.frame, second) {
            (Some(frame), second) => frame.process(first, second, true).map_err(failed)?,
            (None, None) => first,
            (None, Some(mut second)) => {
                second.set_type_ids(vec![1; second.len()]);
                first.merge_with(second, false);
                first
            }
        };
        // A caption may hold the name of a special token: that is no word either.
        let words = whole.get_word_ids().iter().zip(whole.get_ids());
        let words = words.map(|(word, id)| word.filter(|_| !self.is_special(*id))).collect();
        Ok(Encoding {
            ids: whole.get_ids().to_vec(),
            words,
            tokens: whole.get_tokens().to_vec(),
            offsets: whole.get_offsets().to_vec(),
            type_ids: whole.get_type_ids().to_vec(),
            phrases: Vec::new(),
        })
    }

    /// Number of rows that an embedding table for this tokenizer needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    pub fn pad_id(&self) -> u32 {
        self.special.pad
    }

    /// The id that hides a word.
    ///
    /// # Panics
    /// If the tokenizer has none: [`Tokenizer::try_mask_id`] tells before words are hidden.
    pub fn mask_id(&self) -> u32 {
        self.try_mask_id().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The id that hides a word.
    ///
    /// # Errors
    /// [`DataError::Config`] if the tokenizer has none, as CLIP's.
    pub fn try_mask_id(&self) -> Result<u32, DataError> {
        self.special.mask.ok_or_else(|| {
            let problem = "the tokenizer has no mask token ([MASK] or <mask>), so words cannot be \
                           hidden: set text_ratio to 0";
            DataError::Config(problem.into())
        })
    }

    pub fn cls_id(&self) -> u32 {
        self.special.cls
    }

    pub fn sep_id(&self) -> u32 {
        self.special.sep
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether `id` frames, fills or hides text. The unknown token is not special: it stands for
    /// a word.
    pub fn is_special(&self, id: u32) -> bool {
        let Special { pad, cls, sep, mask, .. } = self.special;
        [pad, cls, sep].contains(&id) || mask == Some(id)
    }

    /// Any token that stands for text, each with the same probability; the unknown token where a
    /// vocabulary has next to none.
    pub fn random_token(&self, rng: &mut ChaCha8Rng) -> u32 {
        const ATTEMPTS: usize = 100;
        (0..ATTEMPTS)
            .map(|_| rng.random_range(0..self.vocab_size as u32))
            .find(|&id| {
                id != self.special.unknown && !self.is_special(id) && self.token(id).is_some()
            })
            .unwrap_or(self.special.unknown)
    }
}
