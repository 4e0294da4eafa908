use proptest::prelude::*;
use weft_eval::{CAPTION_CHANCE, CONTRAST_CHANCE, EvalError, caption_choice, contrast};

use super::assert_close;

/// `[caption][picture]`.
const RIGHT: [[f32; 2]; 2] = [[2.0, 1.0], [1.0, 2.0]];

fn shares(scores: [[f32; 2]; 2]) -> [f64; 3] {
    let result = contrast([("k", scores)]).unwrap();
    [result.text, result.image, result.group].map(|score| score.percent() / 100.0)
}

#[test]
fn scores_worked_by_hand() {
    assert_eq!(shares(RIGHT), [1.0, 1.0, 1.0]);
    assert_eq!(shares([[1.0, 2.0], [2.0, 1.0]]), [0.0, 0.0, 0.0]);
    // Each picture prefers its caption, but the second caption fits the first picture better than
    // its own.
    assert_eq!(shares([[3.0, 0.0], [2.0, 1.0]]), [1.0, 0.0, 0.0]);
    assert_eq!(shares([[3.0, 2.0], [0.0, 1.0]]), [0.0, 1.0, 0.0]);
    // Any tie is wrong.
    assert_eq!(shares([[1.0, 1.0], [1.0, 1.0]]), [0.0, 0.0, 0.0]);
    assert_eq!(shares([[2.0, 1.0], [2.0, 3.0]]), [0.0, 1.0, 0.0]);
    assert_eq!(shares([[2.0, 2.0], [1.0, 3.0]]), [1.0, 0.0, 0.0]);
}

/// All 24 orders of four different scores: chance, counted rather than derived.
#[test]
fn chance_is_the_share_of_all_orders() {
    let (mut orders, mut sums) = (0, [0.0; 3]);
    for a in 0..4 {
        for b in 0..4 {
            for c in 0..4 {
                let d = 6 - a - b - c;
                let mut sorted = [a, b, c, d];
                sorted.sort();
                if sorted != [0, 1, 2, 3] {
                    continue;
                }
                orders += 1;
                let share = shares([[a as f32, b as f32], [c as f32, d as f32]]);
                sums.iter_mut().zip(share).for_each(|(sum, share)| *sum += share);
            }
        }
    }
    assert_eq!(orders, 24);
    for (sum, chance) in sums.into_iter().zip(CONTRAST_CHANCE) {
        assert_close(100.0 * sum / 24.0, chance);
    }
    let both = caption_choice([("k", [1.0, 2.0]), ("k", [2.0, 1.0])]).unwrap();
    assert_close(both.percent(), CAPTION_CHANCE);
}

#[test]
fn nothing_and_nan_are_refused() {
    assert!(matches!(contrast([]), Err(EvalError::NoExamples)));
    let nan = [[2.0, 1.0], [f32::NAN, 2.0]];
    let error = contrast([("k", RIGHT), ("k", nan)]);
    assert!(matches!(error, Err(EvalError::NanExample { example: 1 })));
    assert!(matches!(caption_choice([("k", [f32::NAN, 1.0])]), Err(EvalError::NanExample { .. })));
}

proptest! {
    /// Against the four comparisons written out, on scores of which many are equal.
    #[test]
    fn agrees_with_the_comparisons(
        examples in prop::collection::vec(("[ab]", prop::array::uniform4(0..3u8)), 1..20)
    ) {
        let scores = |&[a, b, c, d]: &[u8; 4]| [[a as f32, b as f32], [c as f32, d as f32]];
        let result = contrast(examples.iter().map(|(kind, s)| (kind.as_str(), scores(s)))).unwrap();
        for kind in ["a", "b"] {
            let (mut n, mut text, mut image, mut group) = (0, 0, 0, 0);
            for (_, [c0_i0, c0_i1, c1_i0, c1_i1]) in examples.iter().filter(|(of, _)| of == kind) {
                let right_text = c0_i0 > c1_i0 && c1_i1 > c0_i1;
                let right_image = c0_i0 > c0_i1 && c1_i1 > c1_i0;
                n += 1;
                text += u32::from(right_text);
                image += u32::from(right_image);
                group += u32::from(right_text && right_image);
            }
            if n > 0 {
                let percent = |count: u32| 100.0 * f64::from(count) / f64::from(n);
                assert_close(result.text.kinds[kind].percent(), percent(text));
                assert_close(result.image.kinds[kind].percent(), percent(image));
                assert_close(result.group.kinds[kind].percent(), percent(group));
            }
        }
        let choice = caption_choice(
            examples.iter().map(|(kind, [a, b, ..])| (kind.as_str(), [*a as f32, *b as f32]))
        ).unwrap();
        let right = examples.iter().filter(|(_, [a, b, ..])| a > b).count();
        assert_close(choice.percent(), 100.0 * right as f64 / examples.len() as f64);
    }
}
