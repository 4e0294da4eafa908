//! A WordPiece vocabulary from captions, the same for the same captions.
//!
//! The trainer of the `tokenizers` crate numbers the pieces in the order of a randomly seeded hash
//! map and breaks ties between equally frequent pairs by those numbers, so two runs give two
//! vocabularies. This one does what that one does, in an order that depends on the captions alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use crate::error::DataError;

/// Marks a piece that continues a word.
pub(crate) const CONTINUATION: &str = "##";

/// A longer word is one unknown token; BERT's limit.
pub(crate) const MAX_WORD_CHARS: usize = 100;

/// At most so many different characters get pieces of their own, the most frequent ones first.
const MAX_ALPHABET: usize = 1000;

/// A pair that occurs less often is no piece.
const MIN_COUNT: u64 = 2;

type Pair = (u32, u32);

/// The pieces of a vocabulary of at most `vocab_size`, `special` first, in the order of their ids.
pub(crate) fn train(
    captions: impl Iterator<Item = String>,
    vocab_size: usize,
    special: &[&str],
) -> Result<Vec<String>, DataError> {
    let words = count_words(captions)?;
    // Every character has two pieces, at the start of a word and inside one, so that each word
    // made of known characters can be written.
    let room = vocab_size.saturating_sub(special.len()) / 2;
    let alphabet = alphabet(&words, room.min(MAX_ALPHABET));
    if alphabet.is_empty() {
        return Err(DataError::Config(format!(
            "a vocabulary of {vocab_size} from {} different words has no room for a single \
             character beside {} special tokens",
            words.len(),
            special.len()
        )));
    }
    let mut pieces = Pieces::default();
    for token in special {
        pieces.id(token.to_string());
    }
    for character in &alphabet {
        pieces.id(character.to_string());
    }
    for character in &alphabet {
        pieces.id(format!("{CONTINUATION}{character}"));
    }
    let mut merger = Merger::new(&words, &alphabet, &mut pieces);
    while pieces.names.len() < vocab_size {
        let Some(pair) = merger.most_frequent() else { break };
        let joined = pieces.joined(pair);
        let id = pieces.id(joined);
        merger.merge(pair, id);
    }
    Ok(pieces.names)
}

/// How often each word occurs, after the normalisation and splitting that the tokenizer will do.
fn count_words(captions: impl Iterator<Item = String>) -> Result<BTreeMap<String, u64>, DataError> {
    let normalizer = BertNormalizer::default();
    let mut words = BTreeMap::new();
    for caption in captions {
        let failed = |error: tokenizers::Error| DataError::Malformed {
            origin: format!("caption {caption:?}"),
            detail: error.to_string(),
        };
        let mut text = NormalizedString::from(caption.as_str());
        normalizer.normalize(&mut text).map_err(failed)?;
        let mut split = PreTokenizedString::from(text);
        BertPreTokenizer.pre_tokenize(&mut split).map_err(failed)?;
        for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            if word.chars().count() <= MAX_WORD_CHARS {
                *words.entry(word.to_owned()).or_insert(0) += 1;
            }
        }
    }
    Ok(words)
}

/// The `limit` most frequent characters, in their own order.
fn alphabet(words: &BTreeMap<String, u64>, limit: usize) -> BTreeSet<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut ranked: Vec<(u64, char)> = counts.into_iter().map(|(c, count)| (count, c)).collect();
    ranked.sort_unstable_by_key(|&(count, character)| (Reverse(count), character));
    ranked.into_iter().take(limit).map(|(_, character)| character).collect()
}

/// Names and ids of the pieces.
#[derive(Default)]
struct Pieces {
    names: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Pieces {
    /// The id of `name`, a new one where it has none.
    fn id(&mut self, name: String) -> u32 {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    fn joined(&self, (left, right): Pair) -> String {
        let right = &self.names[right as usize];
        let right = right.strip_prefix(CONTINUATION).unwrap_or(right);
        format!("{}{right}", self.names[left as usize])
    }
}

/// The words as pieces, and how often each pair of neighbours occurs.
struct Merger {
    words: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// The words that a pair occurs or once occurred in.
    places: HashMap<Pair, BTreeSet<usize>>,
    /// Every count that a pair ever had; one that is out of date is corrected when it comes up.
    /// Of equally frequent pairs, the one with the smaller ids comes first.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merger {
    fn new(words: &BTreeMap<String, u64>, alphabet: &BTreeSet<char>, pieces: &mut Pieces) -> Self {
        let mut merger = Merger {
            words: Vec::with_capacity(words.len()),
            counts: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        for (word, &count) in words {
            // A word with a character outside the alphabet will be unknown: it teaches nothing.
            if !word.chars().all(|character| alphabet.contains(&character)) {
                continue;
            }
            let ids = word.chars().enumerate().map(|(index, character)| {
                let prefix = if index == 0 { "" } else { CONTINUATION };
                pieces.id(format!("{prefix}{character}"))
            });
            merger.words.push((ids.collect(), count));
        }
        for index in 0..merger.words.len() {
            merger.add_pairs(index);
        }
        merger.queue = merger.counts.iter().map(|(&pair, &n)| (n, Reverse(pair))).collect();
        merger
    }

    fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let now = self.counts.get(&pair).copied().unwrap_or(0);
            if count != now {
                if now >= MIN_COUNT && now < count {
                    self.queue.push((now, Reverse(pair)));
                }
                continue;
            }
            return (count >= MIN_COUNT).then_some(pair);
        }
        None
    }

    /// Replaces `pair` by the piece `joined` wherever it occurs.
    fn merge(&mut self, pair: Pair, joined: u32) {
        let mut grown = BTreeSet::new();
        for index in self.places.remove(&pair).unwrap_or_default() {
            self.remove_pairs(index);
            let word = &mut self.words[index].0;
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == pair {
                    word[at] = joined;
                    word.remove(at + 1);
                }
                at += 1;
            }
            self.add_pairs(index);
            // Only pairs with the new piece can have become more frequent.
            let neighbours = self.words[index].0.windows(2).map(|two| (two[0], two[1]));
            grown.extend(neighbours.filter(|&(left, right)| left == joined || right == joined));
        }
        for pair in grown {
            self.queue.push((self.counts[&pair], Reverse(pair)));
        }
    }

    fn add_pairs(&mut self, index: usize) {
        let (word, count) = &self.words[index];
        for two in word.windows(2) {
            *self.counts.entry((two[0], two[1])).or_default() += count;
            self.places.entry((two[0], two[1])).or_default().insert(index);
        }
    }

    fn remove_pairs(&mut self, index: usize) {
        let (word, count) = &self.words[index];
        for two in word.windows(2) {
            if let Some(total) = self.counts.get_mut(&(two[0], two[1])) {
                *total -= count;
            }
        }
    }
}
