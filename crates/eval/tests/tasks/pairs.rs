use proptest::prelude::*;
use weft_eval::{EvalError, Judged, pairs};

use super::assert_close;

#[test]
fn a_group_is_consistent_where_all_of_it_is_right() {
    let judged = |group, label, prediction| Judged { group, label, prediction };
    let result = pairs([
        judged("a", true, true),
        judged("b", true, true),
        judged("a", false, false),
        judged("b", false, true),
        judged("c", false, true),
    ])
    .unwrap();
    assert_eq!((result.n, result.groups), (5, 3));
    assert_close(result.accuracy, 60.0);
    assert_close(result.consistency, 100.0 / 3.0);
    assert!(matches!(pairs([]), Err(EvalError::NoExamples)));
}

proptest! {
    /// Against looking through all statements once for each different group.
    #[test]
    fn agrees_with_a_double_loop(
        judged in prop::collection::vec(("[abc]", any::<bool>(), any::<bool>()), 1..30)
    ) {
        let all = judged.iter().map(|(group, label, prediction)| Judged {
            group, label: *label, prediction: *prediction,
        });
        let result = pairs(all).unwrap();
        let mut groups: Vec<&str> = judged.iter().map(|(group, ..)| group.as_str()).collect();
        groups.sort();
        groups.dedup();
        let mut consistent = 0;
        for group in &groups {
            if judged.iter().all(|(of, label, prediction)| of != group || label == prediction) {
                consistent += 1;
            }
        }
        let right = judged.iter().filter(|(_, label, prediction)| label == prediction).count();
        assert_close(result.accuracy, 100.0 * right as f64 / judged.len() as f64);
        assert_close(result.consistency, 100.0 * f64::from(consistent) / groups.len() as f64);
    }
}
