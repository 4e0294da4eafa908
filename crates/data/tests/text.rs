//! The tokenizer, and the masks of words and patches.

use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use weft_data::mask::{MaskConfig, TextUnit};
use weft_data::random::addressed;
use weft_data::tokenizer::{Encoding, Tokenizer};

fn captions() -> Vec<String> {
    let nouns = ["dog", "doghouse", "house", "horse", "snowman", "snowflake", "tree", "treehouse"];
    let colours = ["red", "reddish", "blue", "bluish", "white"];
    let mut captions = Vec::new();
    for noun in nouns {
        for colour in colours {
            captions.push(format!("A {colour} {noun}, seen near the {noun}s."));
        }
    }
    captions
}

fn tokenizer() -> Tokenizer {
    Tokenizer::train(captions().into_iter(), 120).unwrap()
}

#[test]
fn training_depends_on_the_captions_alone() {
    let first = tokenizer().to_json().unwrap();
    assert_eq!(tokenizer().to_json().unwrap(), first);
    let backwards = Tokenizer::train(captions().into_iter().rev(), 120).unwrap();
    assert_eq!(backwards.to_json().unwrap(), first);
}

/// Written down here, the vocabulary holds for every process and machine.
#[test]
fn the_vocabulary_is_the_expected_one() {
    let captions = ["low low low lower", "lower newest newest", "Newest! wide"];
    let tokenizer = Tokenizer::train(captions.into_iter().map(String::from), 34).unwrap();
    let vocabulary: Vec<_> = (0..34).filter_map(|id| tokenizer.token(id)).collect();
    assert_eq!(
        vocabulary.join(" "),
        "[PAD] [UNK] [CLS] [SEP] [MASK] ! d e i l n o r s t w \
         ##! ##d ##e ##i ##l ##n ##o ##r ##s ##t ##w lo ##we ne ##st low ##west newest"
    );
}

#[test]
fn a_tokenizer_survives_saving_and_loading() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenizer.json");
    let saved = tokenizer();
    saved.save(&path).unwrap();
    let loaded = Tokenizer::load(&path).unwrap();
    assert_eq!(loaded.to_json().unwrap(), saved.to_json().unwrap());
    let text = "The reddish doghouse";
    assert_eq!(loaded.encode(text, 32).unwrap(), saved.encode(text, 32).unwrap());
    assert_eq!(loaded.vocab_size(), saved.vocab_size());
}

#[test]
fn words_are_lower_case_pieces_in_a_frame() {
    let tokenizer = tokenizer();
    let encoding = tokenizer.encode("A RED dog?", 16).unwrap();
    assert_eq!(encoding.tokens, ["[CLS]", "a", "red", "dog", "[UNK]", "[SEP]"]);
    assert_eq!(encoding.words, [None, Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(encoding.ids[0], tokenizer.cls_id());
    assert_eq!(encoding.ids[5], tokenizer.sep_id());
    let pieces = tokenizer.encode("doghorse", 16).unwrap();
    assert!(pieces.tokens.len() > 3 && pieces.tokens[2].starts_with("##"), "{pieces:?}");
    assert!(pieces.words[1..pieces.words.len() - 1].iter().all(|&word| word == Some(0)));
}

#[test]
fn a_long_caption_is_cut_and_keeps_its_end() {
    let tokenizer = tokenizer();
    let whole = tokenizer.encode("the red dog near the blue house", 32).unwrap();
    for max_tokens in 3..whole.ids.len() {
        let cut = tokenizer.encode("the red dog near the blue house", max_tokens).unwrap();
        assert_eq!(cut.ids.len(), max_tokens);
        assert_eq!(cut.ids[..max_tokens - 1], whole.ids[..max_tokens - 1]);
        assert_eq!(cut.ids[max_tokens - 1], tokenizer.sep_id());
        assert_eq!((cut.words.len(), cut.tokens.len()), (max_tokens, max_tokens));
        let left_out = tokenizer.cut_off("the red dog near the blue house", max_tokens).unwrap();
        assert_eq!(left_out, whole.ids.len() - max_tokens);
    }
    for enough in [whole.ids.len(), 32] {
        assert_eq!(tokenizer.cut_off("the red dog near the blue house", enough).unwrap(), 0);
    }
    assert_eq!(tokenizer.encode("", 8).unwrap().tokens, ["[CLS]", "[SEP]"]);
}

#[test]
fn a_tokenizer_without_special_tokens_is_refused_by_name() {
    let json = tokenizer().to_json().unwrap();
    let error = Tokenizer::from_json(&json.replace("[SEP]", "[END]")).unwrap_err().to_string();
    assert!(error.contains("of BERT (without: [SEP])"), "{error}");
    assert!(error.contains("of CLIP (without: <|startoftext|> <|endoftext|>)"), "{error}");
    assert!(Tokenizer::from_json("{}").is_err());
    assert!(Tokenizer::load("no/such/tokenizer.json".as_ref()).is_err());
    let names = [("PAD", "pad"), ("UNK", "unk"), ("CLS", "s"), ("SEP", "/s"), ("MASK", "mask")];
    let mut roberta = json;
    for (bert, name) in names {
        roberta = roberta.replace(&format!("[{bert}]"), &format!("<{name}>"));
    }
    let roberta = Tokenizer::from_json(&roberta).unwrap();
    assert_eq!(roberta.encode("dog", 8).unwrap().tokens, ["<s>", "dog", "</s>"]);
}

#[test]
fn a_tokenizer_without_a_mask_encodes_and_says_so_when_asked_for_it() {
    let with = tokenizer();
    assert_eq!(with.try_mask_id().unwrap(), with.mask_id());
    let json = with.to_json().unwrap().replace("[MASK]", "[HIDE]");
    let without = Tokenizer::from_json(&json).unwrap();
    assert_eq!(without.encode("red dog", 8).unwrap().ids, with.encode("red dog", 8).unwrap().ids);
    assert!(without.try_mask_id().unwrap_err().to_string().contains("no mask token"));
    // Nothing is hidden, so nothing is asked for.
    let config = MaskConfig { text_ratio: 0.0, ..MaskConfig::default() };
    let encoding = without.encode("red dog", 8).unwrap();
    let (ids, chosen) = config.text(&encoding, &without, &mut addressed(1, 0, "", "t"));
    assert_eq!(ids, encoding.ids);
    assert!(!chosen.contains(&true));
}

#[test]
fn a_pair_has_the_frame_of_bert() {
    let pair = tokenizer().encode_pair("red dog", "a horse", 16).unwrap();
    assert_eq!(pair.tokens, ["[CLS]", "red", "dog", "[SEP]", "a", "horse", "[SEP]"]);
    assert_eq!(pair.type_ids, [0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(pair.offsets[4..6], [(0, 1), (2, 7)]);
}

#[test]
fn a_vocabulary_without_room_or_words_is_an_error() {
    assert!(Tokenizer::train(captions().into_iter(), 6).is_err());
    assert!(Tokenizer::train(std::iter::empty(), 100).is_err());
}

#[test]
fn a_bert_mask_keeps_and_swaps_its_shares() {
    let tokenizer = tokenizer();
    let config =
        MaskConfig { text_ratio: 1.0, text_keep: 0.1, text_swap: 0.1, ..MaskConfig::default() };
    let encoding = tokenizer.encode("the red dog near the blue house", 32).unwrap();
    let (mut kept, mut hidden, mut all) = (0, 0, 0);
    for draw in 0..300 {
        let (ids, chosen) = config.text(&encoding, &tokenizer, &mut addressed(draw, 0, "", "t"));
        for at in (0..ids.len()).filter(|&at| chosen[at]) {
            all += 1;
            kept += usize::from(ids[at] == encoding.ids[at]);
            hidden += usize::from(ids[at] == tokenizer.mask_id());
            assert!(ids[at] == tokenizer.mask_id() || !tokenizer.is_special(ids[at]));
        }
    }
    assert!((hidden as f64 / all as f64 - 0.8).abs() < 0.05);
    assert!((kept as f64 / all as f64 - 0.1).abs() < 0.05);
}

#[test]
fn a_caption_without_words_has_nothing_to_predict() {
    let tokenizer = tokenizer();
    for text in ["", "[MASK] [SEP]"] {
        let encoding = tokenizer.encode(text, 8).unwrap();
        let mut rng = addressed(1, 0, "", "t");
        let (ids, chosen) = MaskConfig::default().text(&encoding, &tokenizer, &mut rng);
        assert_eq!(ids, encoding.ids);
        assert!(!chosen.contains(&true));
    }
}

#[test]
fn a_block_of_one_is_any_patch() {
    let config = MaskConfig { image_ratio: 0.25, image_block: 1, ..MaskConfig::default() };
    let draws: Vec<_> =
        (0..200).map(|seed| config.image([4, 4], &mut addressed(seed, 0, "", "m"))).collect();
    for patch in 0..16 {
        let masked = draws.iter().filter(|mask| mask[patch]).count();
        // Four standard deviations of 200 draws at a quarter are 24.5.
        assert!((26..=74).contains(&masked), "patch {patch}: {masked} of 200");
    }
    // Masked patches do not come in squares.
    let split = draws.iter().filter(|mask| [1, 4, 5].iter().any(|other| mask[*other] != mask[0]));
    assert!(split.count() > 100);
}

#[test]
fn tokens_are_masked_one_by_one_where_the_recipe_says_so() {
    let tokenizer = tokenizer();
    let encoding = tokenizer.encode("redhorse bluedog redblue", 32).unwrap();
    let tokens = encoding.words.iter().flatten().count();
    assert!(tokens > 3, "words of several tokens: {:?}", encoding.tokens);
    let config =
        MaskConfig { text_ratio: 0.3, text_unit: TextUnit::Token, ..MaskConfig::default() };
    let mut counts = vec![0; encoding.len()];
    let mut split = 0;
    for seed in 0..200 {
        let (ids, chosen) = config.text(&encoding, &tokenizer, &mut addressed(seed, 0, "", "t"));
        let count = chosen.iter().filter(|chosen| **chosen).count();
        assert_eq!(count, (0.3 * tokens as f64 - 1e-9).ceil() as usize);
        for at in 0..encoding.len() {
            counts[at] += usize::from(chosen[at]);
            let expected = if chosen[at] { tokenizer.mask_id() } else { encoding.ids[at] };
            assert_eq!(ids[at], expected);
        }
        split += usize::from((1..encoding.len()).any(|at| {
            encoding.words[at] == encoding.words[at - 1] && chosen[at] != chosen[at - 1]
        }));
    }
    for (word, count) in encoding.words.iter().zip(counts) {
        assert_eq!(word.is_some(), count > 0, "each token in its turn, special ones never");
    }
    assert!(split > 100, "words are split in {split} of 200 draws");
}

#[test]
fn the_unit_is_named_in_a_recipe_and_a_word_without_it() {
    let read = |text: &str| toml::from_str::<MaskConfig>(text);
    assert_eq!(read("").unwrap().text_unit, TextUnit::Word);
    assert_eq!(read("text_unit = \"token\"").unwrap().text_unit, TextUnit::Token);
    let error = read("text_unit = \"letter\"").unwrap_err().to_string();
    assert!(error.contains("word") && error.contains("token"), "{error}");
}

#[test]
fn whole_blocks_are_masked_where_they_fit() {
    let config = MaskConfig { image_ratio: 0.5, image_block: 2, ..MaskConfig::default() };
    let mask = config.image([8, 8], &mut addressed(1, 0, "", "m"));
    for row in (0..8).step_by(2) {
        for column in (0..8).step_by(2) {
            let at = row * 8 + column;
            assert!([at + 1, at + 8, at + 9].iter().all(|&other| mask[other] == mask[at]));
        }
    }
}

/// What [`MaskConfig::text`] chose of words before there were other units.
fn masked_words(
    config: &MaskConfig,
    encoding: &Encoding,
    tokenizer: &Tokenizer,
    rng: &mut ChaCha8Rng,
) -> (Vec<u32>, Vec<bool>) {
    let mut words: Vec<u32> = encoding.words.iter().copied().flatten().collect();
    words.dedup();
    let count = (config.text_ratio * words.len() as f64 - 1e-9).ceil().max(0.0) as usize;
    words.shuffle(rng);
    let (mut ids, mut chosen) = (encoding.ids.clone(), vec![false; encoding.len()]);
    for word in &words[..count] {
        let fate: f64 = rng.random();
        for at in (0..ids.len()).filter(|at| encoding.words[*at] == Some(*word)) {
            chosen[at] = true;
            ids[at] = match fate {
                fate if fate < config.text_keep => ids[at],
                fate if fate < config.text_keep + config.text_swap => tokenizer.random_token(rng),
                _ => tokenizer.mask_id(),
            };
        }
    }
    (ids, chosen)
}

proptest! {
    #[test]
    fn words_are_chosen_by_the_draws_that_always_chose_them(
        words in prop::collection::vec("[a-z]{1,9}", 0..12), ratio in 0.0_f64..=1.0, seed: u64,
    ) {
        let tokenizer = tokenizer();
        let config = MaskConfig {
            text_ratio: ratio, text_keep: 0.2, text_swap: 0.3, ..MaskConfig::default()
        };
        let encoding = tokenizer.encode(&words.join(" "), 64).unwrap();
        let rng = || addressed(seed, 0, "", "t");
        let found = config.text(&encoding, &tokenizer, &mut rng());
        prop_assert_eq!(found, masked_words(&config, &encoding, &tokenizer, &mut rng()));
    }

    #[test]
    fn the_number_of_masked_patches_is_exact(
        rows in 1_usize..20, columns in 1_usize..20, block in 1_usize..6,
        ratio in 0.0_f64..=1.0, seed: u64,
    ) {
        let config =
            MaskConfig { image_ratio: ratio, image_block: block, ..MaskConfig::default() };
        let mask = config.image([rows, columns], &mut addressed(seed, 0, "", "m"));
        prop_assert_eq!(mask.len(), rows * columns);
        let expected = (ratio * (rows * columns) as f64).round() as usize;
        prop_assert_eq!(mask.iter().filter(|&&masked| masked).count(), expected);
    }

    #[test]
    fn words_are_masked_whole_and_special_tokens_never(
        words in prop::collection::vec("[a-z]{1,9}", 0..12), ratio in 0.0_f64..=1.0, seed: u64,
    ) {
        let tokenizer = tokenizer();
        let config = MaskConfig { text_ratio: ratio, ..MaskConfig::default() };
        let encoding = tokenizer.encode(&words.join(" "), 64).unwrap();
        let (ids, chosen) =
            config.text(&encoding, &tokenizer, &mut addressed(seed, 0, "", "t"));
        let mut masked_words = std::collections::BTreeSet::new();
        for at in 0..ids.len() {
            prop_assert!(!chosen[at] || encoding.words[at].is_some());
            let expected = if chosen[at] { tokenizer.mask_id() } else { encoding.ids[at] };
            prop_assert_eq!(ids[at], expected);
            if chosen[at] {
                masked_words.insert(encoding.words[at]);
            }
        }
        for (&chosen, word) in chosen.iter().zip(&encoding.words) {
            prop_assert_eq!(chosen, masked_words.contains(word));
        }
        let expected = (ratio * words.len() as f64 - 1e-9).ceil().max(0.0) as usize;
        prop_assert_eq!(masked_words.len(), expected);
    }
}
