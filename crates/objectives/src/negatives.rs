//! Hard negatives for matching.

use std::fmt;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which wrong partners are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hardness {
    /// In proportion to the softmax of their similarity: the more alike, the likelier (ALBEF, section
    /// 3.1).
    #[default]
    Sampled,
    /// The most similar one (MVPTR's release).
    Hardest,
    /// Each with the same probability; nothing is compared.
    Random,
}

impl fmt::Display for Hardness {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Hardness::Sampled => "sampled",
            Hardness::Hardest => "hardest",
            Hardness::Random => "random",
        })
    }
}

/// For each pair of a batch, what it is wrongly matched with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negatives {
    /// For each caption a picture that it does not describe.
    pub image_of_text: Vec<usize>,
    /// For each picture a caption that does not describe it.
    pub text_of_image: Vec<usize>,
}

impl Negatives {
    /// Draws a wrong picture for each caption and a wrong caption for each picture.
    ///
    /// `logits` is `[batch, batch]` in row-major order, pictures down and captions across; it may be empty
    /// where the draw is [`Hardness::Random`]. Pairs with equal `caption_of` are never each other's
    /// negatives.
    ///
    /// # Panics
    ///
    /// Where all captions are equal: nothing in such a batch is wrong (`PairBatch::captions_differ`).
    pub fn draw(hardness: Hardness, logits: &[f32], caption_of: &[usize], seed: u64) -> Self {
        let batch = caption_of.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pick = |row: usize, logit: &dyn Fn(usize) -> f32| {
            let others: Vec<usize> =
                (0..batch).filter(|other| caption_of[*other] != caption_of[row]).collect();
            let other = match hardness {
                Hardness::Sampled => sampled(&others, logit, &mut rng),
                Hardness::Hardest => hardest(&others, logit),
                Hardness::Random => sampled(&others, &|_| 0.0, &mut rng),
            };
            other.expect("a batch of which negatives are drawn has captions that differ")
        };
        let of_text = |t| pick(t, &|image| logits[image * batch + t]);
        let image_of_text = (0..batch).map(of_text).collect();
        let of_image = |i| pick(i, &|text| logits[i * batch + text]);
        Self { image_of_text, text_of_image: (0..batch).map(of_image).collect() }
    }

    /// The wrong pairs, (picture, caption): first with wrong pictures, then with wrong captions.
    ///
    /// With `per_pair` 2 all of them, twice as many as pairs; with 1 each pair has one, a random half of
    /// them a wrong picture and the others a wrong caption (MVPTR's release).
    pub fn pairs(&self, per_pair: usize, seed: u64) -> Vec<(usize, usize)> {
        let batch = self.image_of_text.len();
        let mut with_image: Vec<usize> = (0..batch).collect();
        let mut with_text = with_image.clone();
        if per_pair == 1 {
            with_image.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            with_text = with_image.split_off(batch / 2);
        }
        let wrong_images = with_image.iter().map(|text| (self.image_of_text[*text], *text));
        let wrong_texts = with_text.iter().map(|image| (*image, self.text_of_image[*image]));
        wrong_images.chain(wrong_texts).collect()
    }
}

/// One of `others` in proportion to the exponential of its logit.
fn sampled(others: &[usize], logit: &dyn Fn(usize) -> f32, rng: &mut ChaCha8Rng) -> Option<usize> {
    let highest = others.iter().map(|other| logit(*other)).fold(f32::NEG_INFINITY, f32::max);
    let weight = |other: usize| f64::from(logit(other) - highest).exp();
    let total: f64 = others.iter().map(|other| weight(*other)).sum();
    let mut left = rng.random::<f64>() * total;
    let found = others.iter().find(|other| {
        left -= weight(**other);
        left < 0.0
    });
    found.or(others.last()).copied()
}

/// The one of `others` with the highest logit; of equal ones the first.
fn hardest(others: &[usize], logit: &dyn Fn(usize) -> f32) -> Option<usize> {
    others
        .iter()
        .copied()
        .reduce(|best, other| if logit(other) > logit(best) { other } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(logits: &[f32], caption_of: &[usize], seed: u64) -> Negatives {
        Negatives::draw(Hardness::Sampled, logits, caption_of, seed)
    }

    #[test]
    fn never_the_pair_itself_nor_one_with_the_same_caption() {
        let caption_of = [0, 1, 0, 3];
        let logits: Vec<f32> = (0..16).map(|i| (i % 5) as f32).collect();
        for seed in 0..200 {
            let drawn = sampled(&logits, &caption_of, seed);
            for (row, other) in drawn.image_of_text.iter().enumerate() {
                assert_ne!(caption_of[row], caption_of[*other]);
            }
            for (row, other) in drawn.text_of_image.iter().enumerate() {
                assert_ne!(caption_of[row], caption_of[*other]);
            }
        }
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        // Of caption 0's wrong pictures, 1 has weight 1 and 2 weight e^1.
        let logits = [9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 1.0, 0.0, 9.0];
        let draws = 20_000;
        let twos = (0..draws)
            .filter(|seed| sampled(&logits, &[0, 1, 2], *seed).image_of_text[0] == 2)
            .count();
        let expected = 1f64.exp() / (1.0 + 1f64.exp());
        // Four standard deviations of a binomial of 20,000 draws are 0.013.
        assert!((twos as f64 / draws as f64 - expected).abs() < 0.013);
    }

    #[test]
    fn the_hardest_is_the_most_similar_one_that_is_wrong() {
        // Pictures down, captions across; captions 0 and 2 are equal.
        let logits =
            [9.0, 1.0, 8.0, 2.0, 3.0, 9.0, 4.0, 5.0, 8.0, 6.0, 9.0, 7.0, 1.0, 6.0, 2.0, 9.0];
        let drawn = Negatives::draw(Hardness::Hardest, &logits, &[0, 1, 0, 3], 7);
        assert_eq!(drawn.image_of_text, [1, 2, 1, 2]);
        assert_eq!(drawn.text_of_image, [3, 3, 3, 1]);
        let seeds =
            (0..9).map(|seed| Negatives::draw(Hardness::Hardest, &logits, &[0, 1, 0, 3], seed));
        assert!(seeds.into_iter().all(|other| other == drawn));
    }

    #[test]
    fn random_ones_are_drawn_alike_without_a_look() {
        let draws = 6000;
        let drawn = (0..draws).map(|seed| {
            let negatives = Negatives::draw(Hardness::Random, &[], &[0, 1, 2, 3], seed);
            assert!((0..4).all(|row| negatives.text_of_image[row] != row));
            negatives.image_of_text[0]
        });
        let threes = drawn.filter(|image| *image == 3).count();
        // Four standard deviations of a binomial of 6,000 draws are 0.024.
        assert!((threes as f64 / draws as f64 - 1.0 / 3.0).abs() < 0.024);
    }

    #[test]
    fn one_for_each_pair_are_half_pictures_and_half_captions() {
        let negatives =
            Negatives { image_of_text: vec![1, 2, 3, 4, 0], text_of_image: vec![2, 3, 4, 0, 1] };
        let all = negatives.pairs(2, 3);
        assert_eq!(all[..5], [(1, 0), (2, 1), (3, 2), (4, 3), (0, 4)]);
        assert_eq!(all[5..], [(0, 2), (1, 3), (2, 4), (3, 0), (4, 1)]);
        for seed in 0..20 {
            let one = negatives.pairs(1, seed);
            assert_eq!(one.len(), 5);
            let (images, texts) = one.split_at(2);
            assert!(images.iter().all(|pair| all[..5].contains(pair)));
            assert!(texts.iter().all(|pair| all[5..].contains(pair)));
            let mut pairs: Vec<usize> = images.iter().map(|pair| pair.1).collect();
            pairs.extend(texts.iter().map(|pair| pair.0));
            pairs.sort_unstable();
            assert_eq!(pairs, [0, 1, 2, 3, 4], "each pair has one");
        }
    }
}
