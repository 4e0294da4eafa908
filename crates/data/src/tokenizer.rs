//! Captions to token ids and back.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::error::DataError;
use crate::wordpiece;

/// The special tokens that `weft` needs, as BERT names them, in the order of their ids in a
/// tokenizer that `weft` trains.
const BERT: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// The same, as RoBERTa and XLM-RoBERTa name them.
const ROBERTA: [&str; 5] = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"];

/// A tokenizer of the `tokenizers` library whose special tokens are known.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    pad: u32,
    unknown: u32,
    cls: u32,
    sep: u32,
    mask: u32,
}

/// A caption as tokens, with its first and last special token, not padded. The three lists have
/// one entry per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    pub ids: Vec<u32>,
    /// Which word of the caption the token belongs to; `None` for a special token.
    pub words: Vec<Option<u32>>,
    pub tokens: Vec<String>,
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
        let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let sequence = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
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
                "single": [special("[CLS]"), sequence("A"), special("[SEP]")],
                "pair": [
                    special("[CLS]"), sequence("A"), special("[SEP]"), sequence("B"),
                    special("[SEP]"),
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

        let find = |names: [&str; 5]| -> Option<[u32; 5]> {
            let ids = names.map(|name| inner.token_to_id(name));
            match ids {
                [Some(a), Some(b), Some(c), Some(d), Some(e)] => Some([a, b, c, d, e]),
                _ => None,
            }
        };
        let Some([pad, unknown, cls, sep, mask]) = find(BERT).or_else(|| find(ROBERTA)) else {
            let missing = |names: [&'static str; 5]| {
                let missing = names.into_iter().filter(|name| inner.token_to_id(name).is_none());
                missing.collect::<Vec<_>>().join(" ")
            };
            return Err(malformed(format!(
                "expected the special tokens of BERT (without: {}) or of RoBERTa (without: {})",
                missing(BERT),
                missing(ROBERTA)
            )));
        };
        // A vocabulary with holes has ids beyond its number of tokens; a table is as long as they
        // need.
        let highest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = highest as usize + 1;
        Ok(Tokenizer { inner, vocab_size, pad, unknown, cls, sep, mask })
    }

    /// The tokenizer as the text of a `tokenizer.json`.
    pub fn to_json(&self) -> Result<String, DataError> {
        self.inner.to_string(true).map_err(|error| DataError::Malformed {
            origin: "tokenizer".into(),
            detail: error.to_string(),
        })
    }

    /// Writes a `tokenizer.json`.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        std::fs::write(path, self.to_json()?).map_err(|error| DataError::io(path, error))
    }

    /// Tokenises `text`, at most `max_tokens` tokens with the special ones. What is too long is
    /// cut before the final special token, which stays.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Encoding, DataError> {
        let encoding = self.inner.encode(text, true).map_err(|error| DataError::Malformed {
            origin: format!("caption {text:?}"),
            detail: error.to_string(),
        })?;
        let ids = encoding.get_ids().to_vec();
        // A caption may hold the name of a special token: that is no word either.
        let words = encoding
            .get_word_ids()
            .iter()
            .zip(&ids)
            .map(|(word, id)| word.filter(|_| !self.is_special(*id)))
            .collect();
        let mut encoding = Encoding { ids, words, tokens: encoding.get_tokens().to_vec() };
        let length = encoding.ids.len();
        if length > max_tokens {
            let at_end = encoding.words.iter().rev().take_while(|word| word.is_none()).count();
            let at_end = at_end.min(max_tokens);
            let cut = max_tokens - at_end..length - at_end;
            encoding.ids.drain(cut.clone());
            encoding.words.drain(cut.clone());
            encoding.tokens.drain(cut);
        }
        Ok(encoding)
    }

    /// Number of rows that an embedding table for this tokenizer needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    pub fn pad_id(&self) -> u32 {
        self.pad
    }

    pub fn mask_id(&self) -> u32 {
        self.mask
    }

    pub fn cls_id(&self) -> u32 {
        self.cls
    }

    pub fn sep_id(&self) -> u32 {
        self.sep
    }

    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether `id` frames, fills or hides text. The unknown token is not special: it stands for
    /// a word.
    pub fn is_special(&self, id: u32) -> bool {
        [self.pad, self.cls, self.sep, self.mask].contains(&id)
    }

    /// Any token that stands for text, each with the same probability; the unknown token where a
    /// vocabulary has next to none.
    pub fn random_token(&self, rng: &mut ChaCha8Rng) -> u32 {
        const ATTEMPTS: usize = 100;
        (0..ATTEMPTS)
            .map(|_| rng.random_range(0..self.vocab_size as u32))
            .find(|&id| id != self.unknown && !self.is_special(id) && self.token(id).is_some())
            .unwrap_or(self.unknown)
    }
}
