use proptest::prelude::*;
use weft_data::tasks::Entailment;
use weft_eval::{EvalError, LABELS, entailment, label_name};

use super::assert_close;

#[test]
fn what_is_taken_for_what() {
    let [contradiction, neutral, entailed] = LABELS;
    let result = entailment([
        (contradiction, contradiction),
        (contradiction, neutral),
        (contradiction, neutral),
        (entailed, entailed),
    ])
    .unwrap();
    assert_eq!(result.confusion, [[1, 2, 0], [0, 0, 0], [0, 0, 1]]);
    assert_close(result.accuracy.percent(), 50.0);
    assert_close(result.accuracy.kinds["contradiction"].percent(), 100.0 / 3.0);
    assert!(!result.accuracy.kinds.contains_key("neutral"));
    assert!(matches!(entailment([]), Err(EvalError::NoExamples)));
}

#[test]
fn labels_are_called_as_in_the_data() {
    for label in LABELS {
        let json = format!("\"{}\"", label_name(label));
        assert_eq!(serde_json::from_str::<Entailment>(&json).unwrap(), label);
    }
}

proptest! {
    #[test]
    fn agrees_with_counting(judged in prop::collection::vec((0..3usize, 0..3usize), 1..40)) {
        let result = entailment(judged.iter().map(|&(a, b)| (LABELS[a], LABELS[b]))).unwrap();
        let mut right = 0;
        for label in 0..3 {
            for prediction in 0..3 {
                let count = judged.iter().filter(|&&pair| pair == (label, prediction)).count();
                prop_assert_eq!(result.confusion[label][prediction], count);
                right += if label == prediction { count } else { 0 };
            }
        }
        assert_close(result.accuracy.percent(), 100.0 * right as f64 / judged.len() as f64);
    }
}
