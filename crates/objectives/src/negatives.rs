//! Hard negatives for matching.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// For each pair of a batch, what it is wrongly matched with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negatives {
    /// For each caption a picture that it does not describe.
    pub image_of_text: Vec<usize>,
    /// For each picture a caption that does not describe it.
    pub text_of_image: Vec<usize>,
}

/// Draws a wrong picture for each caption and a wrong caption for each picture, in proportion to
/// the softmax of their similarity: the more alike, the likelier (ALBEF, section 3.1).
///
/// `logits` is `[batch, batch]` in row-major order, pictures down and captions across. Pairs with
/// equal `caption_of` are never each other's negatives; where nothing else is left, the next pair
/// is taken.
pub fn draw(logits: &[f32], caption_of: &[usize], seed: u64) -> Negatives {
    let batch = caption_of.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = |row: usize, logit: &dyn Fn(usize) -> f32| {
        let allowed = |other: usize| caption_of[other] != caption_of[row];
        let highest =
            (0..batch).filter(|o| allowed(*o)).map(logit).fold(f32::NEG_INFINITY, f32::max);
        let weight = |other: usize| match allowed(other) {
            true => f64::from(logit(other) - highest).exp(),
            false => 0.0,
        };
        let total: f64 = (0..batch).map(weight).sum();
        let mut left = rng.random::<f64>() * total;
        let mut last = (row + 1) % batch;
        for other in (0..batch).filter(|other| allowed(*other)) {
            last = other;
            left -= weight(other);
            if left < 0.0 {
                break;
            }
        }
        last
    };
    Negatives {
        image_of_text: (0..batch).map(|t| pick(t, &|image| logits[image * batch + t])).collect(),
        text_of_image: (0..batch).map(|i| pick(i, &|text| logits[i * batch + text])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_pair_itself_nor_one_with_the_same_caption() {
        let caption_of = [0, 1, 0, 3];
        let logits: Vec<f32> = (0..16).map(|i| (i % 5) as f32).collect();
        for seed in 0..200 {
            let drawn = draw(&logits, &caption_of, seed);
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
            .filter(|seed| draw(&logits, &[0, 1, 2], *seed).image_of_text[0] == 2)
            .count();
        let expected = 1f64.exp() / (1.0 + 1f64.exp());
        // Four standard deviations of a binomial of 20,000 draws are 0.013.
        assert!((twos as f64 / draws as f64 - expected).abs() < 0.013);
    }

    #[test]
    fn a_batch_of_equal_captions_still_gets_an_answer() {
        let drawn = draw(&[0.0; 9], &[0, 0, 0], 1);
        assert_eq!(drawn.text_of_image, vec![1, 2, 0]);
    }
}
