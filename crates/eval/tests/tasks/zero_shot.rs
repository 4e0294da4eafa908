use proptest::prelude::*;
use weft_eval::{EvalError, TEMPLATES, class_embeddings, prompts, top_k, zero_shot};

use super::assert_close;

#[test]
fn prompts_are_class_by_class() {
    let classes = ["red fox", "cat"].map(String::from);
    let made = prompts(&classes, &["a {}.", "{} and {}"]).unwrap();
    assert_eq!(made, ["a red fox.", "red fox and red fox", "a cat.", "cat and cat"]);
    assert!(prompts(&classes, &TEMPLATES).is_ok());
    let error = prompts(&classes, &["a photo"]).unwrap_err().to_string();
    assert!(error.contains("`a photo` has no {}"), "{error}");
}

#[test]
fn a_class_is_the_direction_of_the_mean_of_its_prompts_directions() {
    // Of length 5 and 2: both count alike.
    let classes = class_embeddings(&[3.0, 4.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0], 2, 2).unwrap();
    let (x, y) = (0.6f64, 1.8f64);
    let length = (x * x + y * y).sqrt();
    assert!((f64::from(classes[0]) - x / length).abs() < 1e-7);
    assert!((f64::from(classes[1]) - y / length).abs() < 1e-7);
    assert_eq!(&classes[2..], [0.0, 0.0]);
    for (templates, width) in [(0, 2), (2, 0), (3, 2)] {
        assert!(class_embeddings(&[1.0; 8], templates, width).is_err());
    }
}

#[test]
fn equal_scores_count_against() {
    let all_alike = top_k(&[1.0; 12], 6, &[0, 5]).unwrap();
    assert_eq!((all_alike.top1, all_alike.top5), (0.0, 0.0));
    // Four rivals: among the first five even if all are equal.
    let few = top_k(&[1.0; 5], 5, &[2]).unwrap();
    assert_eq!((few.top1, few.top5), (0.0, 100.0));
    let only = top_k(&[f64::NEG_INFINITY], 1, &[0]).unwrap();
    assert_eq!((only.top1, only.top5), (100.0, 100.0));
    // Equal embeddings have equal scores.
    let collapsed = zero_shot(&[0.3, 0.4], &[1.0, 2.0, 1.0, 2.0], 2, &[0]).unwrap();
    assert_eq!(collapsed.top1, 0.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(matches!(top_k(&[], 2, &[]), Err(EvalError::NoExamples)));
    assert!(matches!(top_k(&[1.0; 3], 2, &[0]), Err(EvalError::FeatureCount { .. })));
    assert!(matches!(top_k(&[1.0; 2], 2, &[2]), Err(EvalError::ClassOutOfRange { class: 2, .. })));
    assert!(matches!(top_k(&[1.0, f64::NAN], 2, &[0]), Err(EvalError::NanExample { example: 0 })));
    assert!(zero_shot(&[1.0; 3], &[1.0; 2], 2, &[0]).is_err());
}

proptest! {
    /// Against sorting the classes, the right one last of its equals.
    #[test]
    fn agrees_with_sorting(scores in prop::collection::vec(0..6u8, 7 * 9), labels in prop::collection::vec(0..7usize, 9)) {
        let values: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
        let found = top_k(&values, 7, &labels).unwrap();
        let (mut first, mut among_five) = (0, 0);
        for (row, &label) in scores.chunks(7).zip(&labels) {
            let mut order: Vec<usize> = (0..7).collect();
            order.sort_by_key(|&class| (std::cmp::Reverse(row[class]), class == label));
            let place = order.iter().position(|&class| class == label).unwrap();
            first += usize::from(place == 0);
            among_five += usize::from(place < 5);
        }
        assert_close(found.top1, 100.0 * first as f64 / 9.0);
        assert_close(found.top5, 100.0 * among_five as f64 / 9.0);
    }
}
