//! Tokenizers against the reference, on the strings of `tests/parity/tokenizers`; the program that
//! wrote them stands beside that folder and says what the files hold.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use weft_data::error::DataError;
use weft_data::tokenizer::{Encoding, Tokenizer};

/// More than any text here has.
const UNLIMITED: usize = usize::MAX;

/// What `expected.json` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Number of tokens, ids and offsets of every string.
    single: Vec<(usize, List, List)>,
    /// String, most tokens, ids.
    truncated: Vec<(usize, usize, List)>,
    /// Two strings, most tokens, ids, type ids and offsets.
    pairs: Vec<(usize, usize, Option<usize>, List, List, List)>,
    batches: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    strings: Vec<usize>,
    /// `None`: the longest of them.
    length: Option<usize>,
    ids: Vec<Vec<u32>>,
    /// 1 where there is a token.
    mask: Vec<Vec<u32>>,
}

/// Numbers, or of a long list their checksum.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum List {
    Numbers(Vec<u32>),
    Checksum(String),
}

/// A string, or a pattern and how often it is repeated.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Repeated { repeat: (String, usize) },
}

/// A tokenizer with what is expected of it.
struct Subject {
    name: String,
    tokenizer: Tokenizer,
    expected: Expected,
    strings: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/tokenizers")
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn strings() -> Vec<String> {
    let texts: Vec<Text> = read(&folder().join("strings.json"));
    let strings = texts.into_iter().map(|text| match text {
        Text::Plain(text) => text,
        Text::Repeated { repeat: (pattern, times) } => pattern.repeat(times),
    });
    strings.collect()
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::load(&folder().join(name).join("tokenizer.json")).unwrap()
}

/// Every folder with a tokenizer.
fn subjects() -> Vec<Subject> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let subjects = folders.map(|folder| {
        let name = folder.file_name().into_string().unwrap();
        Subject {
            tokenizer: tokenizer(&name),
            name,
            expected: read(&folder.path().join("expected.json")),
            strings: strings(),
        }
    });
    let subjects: Vec<Subject> = subjects.collect();
    assert!(subjects.len() >= 4, "{} tokenizers", subjects.len());
    subjects
}

/// Whether `found` is what is expected, in the way in which that is given.
fn same<T: Copy + Into<u64>>(found: &[T], expected: &List, place: &dyn Debug) {
    let found: Vec<u32> = found.iter().map(|&n| u32::try_from(n.into()).unwrap()).collect();
    let given = match expected {
        List::Numbers(_) => List::Numbers(found),
        List::Checksum(_) => {
            let bytes: Vec<u8> = found.into_iter().flat_map(u32::to_le_bytes).collect();
            let sum = Sha256::digest(&bytes);
            List::Checksum(sum.iter().map(|byte| format!("{byte:02x}")).collect())
        }
    };
    assert_eq!(&given, expected, "{place:?}");
}

fn offsets(encoding: &Encoding) -> Vec<u64> {
    encoding.offsets.iter().flat_map(|&(start, end)| [start as u64, end as u64]).collect()
}

/// The beginning of a text, for messages.
fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}

#[test]
fn ids_and_offsets_of_every_string_are_those_of_the_reference() {
    for Subject { name, tokenizer, expected, strings } in subjects() {
        assert_eq!((strings.len(), expected.single.len()), (300, 300));
        for (text, (tokens, ids, positions)) in strings.iter().zip(&expected.single) {
            let place = (&name, beginning(text));
            let encoding = tokenizer.encode(text, UNLIMITED).unwrap();
            same(&encoding.ids, ids, &place);
            same(&offsets(&encoding), positions, &place);
            assert_eq!(encoding.len(), *tokens);
            let Encoding { words, tokens: pieces, type_ids, .. } = &encoding;
            assert_eq!([words.len(), pieces.len(), type_ids.len()], [*tokens; 3], "{place:?}");
            assert!(type_ids.iter().all(|&id| id == 0), "{place:?}");
        }
    }
}

#[test]
fn a_text_is_cut_as_the_reference_cuts_it() {
    for Subject { name, tokenizer, expected, strings } in subjects() {
        assert!(expected.truncated.len() >= 200);
        for (text, most, ids) in &expected.truncated {
            let encoding = tokenizer.encode(&strings[*text], *most).unwrap();
            same(&encoding.ids, ids, &(&name, most, beginning(&strings[*text])));
        }
    }
}

#[test]
fn pairs_are_framed_and_cut_as_the_reference_does_it() {
    for Subject { name, tokenizer, expected, strings } in subjects() {
        assert!(expected.pairs.len() >= 300);
        for (first, second, most, ids, type_ids, positions) in &expected.pairs {
            let (first, second) = (&strings[*first], &strings[*second]);
            let place = (&name, most, beginning(first), beginning(second));
            let encoding = tokenizer.encode_pair(first, second, most.unwrap_or(UNLIMITED)).unwrap();
            same(&encoding.ids, ids, &place);
            same(&encoding.type_ids, type_ids, &place);
            same(&offsets(&encoding), positions, &place);
        }
    }
}

#[test]
fn batches_are_filled_as_the_reference_fills_them() {
    for Subject { name, tokenizer, expected, strings } in subjects() {
        assert!(expected.batches.len() >= 2);
        for batch in &expected.batches {
            let most = batch.length.unwrap_or(UNLIMITED);
            let texts = batch.strings.iter().map(|&text| &strings[text]);
            let encodings: Vec<_> =
                texts.map(|text| tokenizer.encode(text, most).unwrap()).collect();
            let found = tokenizer.pad(&encodings, batch.length.unwrap_or(0));
            assert_eq!(found.tokens, batch.ids[0].len(), "{name}");
            assert_eq!(found.ids, batch.ids.concat(), "{name}");
            let mask: Vec<u32> = found.padding.iter().map(|&padding| (!padding).into()).collect();
            assert_eq!(mask, batch.mask.concat(), "{name}");
            assert_eq!(found.type_ids.len(), found.ids.len());
        }
    }
}

#[test]
fn a_tokenizer_is_the_same_after_writing_and_reading() {
    for Subject { name, tokenizer, expected, strings } in subjects() {
        let again = Tokenizer::from_json(&tokenizer.to_json().unwrap()).unwrap();
        let (first, second, ..) = expected.pairs[0];
        for text in [first, second] {
            let [before, after] = [&tokenizer, &again].map(|it| it.encode(&strings[text], 12));
            assert_eq!(before.unwrap(), after.unwrap(), "{name}");
        }
        let [before, after] =
            [&tokenizer, &again].map(|it| it.encode_pair(&strings[first], &strings[second], 12));
        assert_eq!(before.unwrap(), after.unwrap(), "{name}");
    }
}

#[test]
fn offsets_are_counted_in_characters() {
    // Two characters of three and four bytes stand before the dog.
    for name in ["wordpiece", "bpe", "clip", "unigram"] {
        let encoding = tokenizer(name).encode("狗🐶 dog", UNLIMITED).unwrap();
        let dog = encoding.offsets[encoding.len() - 2];
        assert_eq!(dog, (3, 6), "{name}: {encoding:?}");
    }
}

#[test]
fn clips_tokenizer_encodes_and_says_that_it_cannot_mask() {
    let tokenizer = tokenizer("clip");
    let encoding = tokenizer.encode("A dog", 77).unwrap();
    assert_eq!(encoding.tokens, ["<|startoftext|>", "a</w>", "dog</w>", "<|endoftext|>"]);
    assert_eq!(encoding.words, [None, Some(0), Some(1), None]);
    assert_eq!(tokenizer.pad_id(), tokenizer.sep_id());
    let error = tokenizer.try_mask_id().unwrap_err().to_string();
    assert!(error.contains("no mask token") && error.contains("text_ratio"), "{error}");
}

#[test]
fn the_frame_needs_room() {
    for (name, alone, together) in
        [("wordpiece", 2, 3), ("bpe", 2, 4), ("clip", 2, 4), ("unigram", 2, 4)]
    {
        let tokenizer = tokenizer(name);
        assert_eq!(tokenizer.encode("a dog", alone).unwrap().len(), alone);
        assert_eq!(tokenizer.encode_pair("a dog", "a cat", together).unwrap().len(), together);
        let errors = [
            tokenizer.encode("a dog", alone - 1).unwrap_err(),
            tokenizer.encode_pair("a dog", "a cat", together - 1).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, DataError::Config(_)), "{error}");
            assert!(error.to_string().starts_with("max_tokens "), "{error}");
        }
    }
}

/// As of a tokenizer that was written without a post-processor.
#[test]
fn texts_without_a_frame_are_joined_as_they_are() {
    let mut keys: serde_json::Value = read(&folder().join("wordpiece/tokenizer.json"));
    keys["post_processor"] = serde_json::Value::Null;
    let tokenizer = Tokenizer::from_json(&keys.to_string()).unwrap();
    assert_eq!(tokenizer.encode("a dog", UNLIMITED).unwrap().tokens, ["a", "dog"]);
    let pair = tokenizer.encode_pair("a dog", "a cat", UNLIMITED).unwrap();
    assert_eq!(pair.tokens, ["a", "dog", "a", "cat"]);
    assert_eq!(pair.type_ids, [0, 0, 1, 1]);
    assert_eq!(pair.offsets, [(0, 1), (2, 5), (0, 1), (2, 5)]);
}
