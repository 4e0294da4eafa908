//! Phrases behind words, tags beside pictures, and what is hidden of them.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weft_concepts::ConceptVocabulary;
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::mask::{MaskConfig, TextUnit};
use weft_data::pipeline::{PadTo, Pipeline};
use weft_data::random::addressed;
use weft_data::tags::TagConfig;
use weft_data::tokenizer::{Encoding, Phrases, Tokenizer};

const CAPTIONS: [&str; 4] = [
    "a small panda on a red circle",
    "a red circle is above a violin",
    "two pandas and a large violin on a blue square",
    "a small violin below a red circle",
];

fn tokenizer(room: usize) -> Tokenizer {
    tokenizer_of(300, room)
}

/// With at most `pieces` pieces of words.
fn tokenizer_of(pieces: usize, room: usize) -> Tokenizer {
    let captions = CAPTIONS.iter().map(|caption| caption.to_string());
    let vocabulary = ConceptVocabulary::build(CAPTIONS.iter(), 1);
    Tokenizer::train(captions, pieces).unwrap().with_phrases(Phrases { room, vocabulary })
}

/// The words of a caption as its tokens spell them, and whether any of a word's tokens is chosen. `end`
/// is where its phrases begin.
fn words(encoding: &Encoding, chosen: &[bool], end: usize) -> Vec<(String, bool)> {
    let mut words: Vec<(String, bool)> = Vec::new();
    for (token, chosen) in encoding.tokens[1..end].iter().zip(&chosen[1..end]) {
        match (token.strip_prefix("##"), words.last_mut()) {
            (Some(piece), Some((word, hidden))) => {
                word.push_str(piece);
                *hidden |= *chosen;
            }
            _ => words.push((token.clone(), *chosen)),
        }
    }
    words
}

/// The phrase that a model is shown as `id`; nothing where it is shown that there is one.
fn phrase(tokenizer: &Tokenizer, id: u32) -> Option<&str> {
    let mut names = tokenizer.phrases().unwrap().vocabulary.names();
    names.find(|name| tokenizer.phrase_id(name) == Some(id))
}

#[test]
fn phrases_follow_the_words_in_front_of_the_last_token() {
    let tokenizer = tokenizer(6);
    let encoding = tokenizer.encode(CAPTIONS[0], 20).unwrap();
    let words = ["[CLS]", "a", "small", "panda", "on", "a", "red", "circle"];
    assert_eq!(encoding.tokens[..8], words);
    let names = ["panda", "circle", "small panda", "red circle", "panda on circle"];
    assert_eq!(encoding.tokens[8..13], names);
    assert_eq!(encoding.tokens[13..], ["[SEP]"]);
    // A single word shares its own row; the others have rows behind the words.
    assert_eq!(encoding.ids[8..10], [encoding.ids[3], encoding.ids[7]]);
    let words = tokenizer.vocab_size() as u32;
    assert!(encoding.ids[10..13].iter().all(|id| *id >= words));
    assert!(encoding.ids[10..13].iter().all(|id| *id < words + tokenizer.phrase_rows() as u32));
    assert_eq!(encoding.phrases[4].parts, [3, 4, 7]);
    assert!(encoding.words[8..].iter().all(Option::is_none));
}

#[test]
fn rows_are_each_phrases_own() {
    let tokenizer = tokenizer(6);
    let phrases = tokenizer.phrases().unwrap();
    let mut ids: Vec<u32> =
        phrases.vocabulary.names().map(|name| tokenizer.phrase_id(name).unwrap()).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let behind = ids.iter().filter(|id| **id >= tokenizer.vocab_size() as u32).count();
    assert_eq!(behind, tokenizer.phrase_rows());
    assert!(behind < ids.len(), "single words share their rows");
    assert_eq!(tokenizer.phrase_id("green panda"), None);
}

#[test]
fn what_is_cut_off_has_no_phrase() {
    let tokenizer = tokenizer(3);
    // Room for three phrases: of 9 tokens six are left for words and their frame.
    let encoding = tokenizer.encode(CAPTIONS[0], 9).unwrap();
    assert_eq!(
        encoding.tokens,
        ["[CLS]", "a", "small", "panda", "on", "panda", "small panda", "[SEP]"]
    );
    assert_eq!(tokenizer.cut_off(CAPTIONS[0], 9).unwrap(), 3);
    // A short caption leaves more room than is kept free.
    assert_eq!(tokenizer.encode(CAPTIONS[0], 40).unwrap().phrases.len(), 5);
    let error = tokenizer.encode(CAPTIONS[0], 2).unwrap_err().to_string();
    assert!(error.contains("max_tokens 2"), "{error}");
}

#[test]
fn without_room_no_phrase_is_shown() {
    let none = tokenizer(6).with_room(0);
    let encoding = none.encode(CAPTIONS[0], 40).unwrap();
    assert!(encoding.phrases.is_empty());
    assert_eq!(encoding.tokens.len(), 9);
    // The rows are still there: a model that learnt them goes on without being shown them.
    assert_eq!(none.phrase_rows(), tokenizer(6).phrase_rows());
    assert_eq!(none.with_room(2).encode(CAPTIONS[0], 40).unwrap().phrases.len(), 5);
}

#[test]
fn phrases_survive_a_round_trip() {
    let tokenizer = tokenizer(4);
    let phrases = tokenizer.phrases().unwrap();
    let back = Phrases::from_json(&phrases.to_json().unwrap(), "phrases.json").unwrap();
    assert_eq!(&back, phrases);
    let error = Phrases::from_json("{\"room\": 3}", "phrases.json").unwrap_err().to_string();
    assert!(error.contains("phrases.json"), "{error}");
}

proptest! {
    /// No phrase spells a word that is to be predicted, and none is hidden for nothing. No word but "a",
    /// which is in no phrase, is in a caption twice.
    #[test]
    fn a_phrase_is_hidden_exactly_with_one_of_its_words(
        caption in 0usize..4,
        seed: u64,
        ratio in 0.05f64..1.0,
        keep in 0.0f64..0.5,
        // So many that most words are one, and so few that most are several.
        pieces in prop_oneof![Just(300usize), Just(60usize)],
        text_unit in prop_oneof![Just(TextUnit::Word), Just(TextUnit::Token)],
    ) {
        let tokenizer = tokenizer_of(pieces, 8);
        let mask =
            MaskConfig { text_unit, text_ratio: ratio, text_keep: keep, ..MaskConfig::default() };
        let encoding = tokenizer.encode(CAPTIONS[caption], 120).unwrap();
        let (ids, chosen) = mask.text(&encoding, &tokenizer, &mut addressed(seed, 0, "", "mask"));
        let phrases = encoding.phrases[0].at..encoding.len() - 1;
        prop_assert!(phrases.len() > 3);
        let words = words(&encoding, &chosen, phrases.start);
        let spelt: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        prop_assert_eq!(spelt.join(" "), CAPTIONS[caption]);
        let is_predicted = |word: &str| words.iter().any(|(of, hidden)| *hidden && of == word);
        for at in phrases {
            let name = phrase(&tokenizer, encoding.ids[at]).unwrap();
            let shown = phrase(&tokenizer, ids[at]);
            let expected = if name.split(' ').any(is_predicted) { None } else { Some(name) };
            prop_assert_eq!(shown, expected, "{} of {:?}", name, &words);
            prop_assert!(shown.is_some() || ids[at] == tokenizer.mask_id());
            prop_assert!(!chosen[at]);
        }
    }
}

#[test]
fn batches_carry_phrases_and_tags() {
    let mut records = common::records(6);
    for (number, record) in records.iter_mut().enumerate() {
        record.captions = vec![CAPTIONS[number % 4].to_string()];
        let tags = ["panda, circle", "circle, violin", "", "violin"][number % 4];
        record.annotations = BTreeMap::from([("tags".to_string(), tags.to_string())]);
    }
    let tokenizer = Arc::new(tokenizer(8));
    let pipeline = Pipeline {
        tokenizer: tokenizer.clone(),
        tags: Some(TagConfig { most: 4, drop: 0.0, at_test: false }),
        mask: MaskConfig { tag_ratio: 0.5, ..MaskConfig::default() },
        max_tokens: 30,
        pad_to: PadTo::Longest,
        ..common::pipeline()
    };
    let config = LoaderConfig {
        batch_size: 6,
        per_picture: 1,
        workers: 1,
        queue: 1,
        seed: 3,
        bad_budget: 0.0,
    };
    let loader = Loader::new(Arc::new(records), Arc::new(pipeline), config, 0).unwrap();
    let batches: Vec<_> = loader.take(20).map(Result::unwrap).collect();
    let mut hidden = 0;
    for batch in &batches {
        assert_eq!(batch.tags_each, 2);
        assert_eq!(batch.tags.len(), 12);
        let shown: usize = batch.phrases.iter().filter(|is| **is).count();
        assert!(shown > 10, "{shown}");
        for at in 0..12 {
            let (tag, masked) = (batch.tags[at], batch.masked_tags[at]);
            if batch.tag_padding[at] {
                assert_eq!((tag, masked), (tokenizer.pad_id() as i32, tokenizer.pad_id() as i32));
            } else {
                assert!(masked == tag || masked == tokenizer.mask_id() as i32);
                hidden += usize::from(masked != tag);
            }
        }
        let shown_tags = batch.tag_padding.iter().filter(|none| !**none).count();
        // Two, two, none and one, and then two and two again.
        assert_eq!(shown_tags, 9);
    }
    // Four standard deviations of a binomial of 180 draws are 27.
    assert!((63..=117).contains(&hidden), "{hidden}");
}
