use proptest::prelude::*;
use weft_data::tasks::normalise::normalise;
use weft_eval::{Answered, EvalError, vqa, vqa_accuracy, vqa_submission};

use super::assert_close;

fn texts(answers: &[&str]) -> Vec<String> {
    answers.iter().map(|answer| answer.to_string()).collect()
}

/// The published evaluation as its page describes it: make the ten lists of the other nine
/// annotators, count in each who says the same, and take the mean of min(1, count / 3).
fn reference(prediction: &str, answers: &[String]) -> f64 {
    let clean = |text: &str| text.replace(['\n', '\t'], " ").trim().to_owned();
    let mut prediction = clean(prediction);
    let mut given: Vec<String> = answers.iter().map(|answer| clean(answer)).collect();
    let different: std::collections::HashSet<&String> = given.iter().collect();
    if different.len() > 1 {
        prediction = normalise(&prediction);
        given = given.iter().map(|answer| normalise(answer)).collect();
    }
    let mut scores = vec![];
    for left_out in 0..given.len() {
        let mut others = given.clone();
        others.remove(left_out);
        let mut same = 0;
        for other in others {
            if other == prediction {
                same += 1;
            }
        }
        scores.push(if same >= 3 { 1.0 } else { f64::from(same) / 3.0 });
    }
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn ten(counts: &[(&str, usize)]) -> Vec<String> {
    counts.iter().flat_map(|(answer, count)| vec![answer.to_string(); *count]).collect()
}

/// `n` of ten agree: the table that is known from the literature.
#[test]
fn scores_by_the_number_who_agree() {
    for (agreeing, expected) in
        [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (5, 1.0), (9, 1.0)]
    {
        let answers = ten(&[("yes", agreeing), ("no", 10 - agreeing)]);
        assert_close(vqa_accuracy("Yes.", &answers).unwrap(), expected);
    }
}

#[test]
fn one_answer_is_compared_in_normal_form() {
    let one = texts(&["Two dogs"]);
    assert_eq!(vqa_accuracy("2 dogs!", &one), Some(1.0));
    assert_eq!(vqa_accuracy("dogs", &one), Some(0.0));
    assert_eq!(vqa_accuracy("", &one), Some(0.0));
    assert_eq!(vqa_accuracy("yes", &[]), None);
}

/// Where all annotators agree, the published code compares texts as they stand.
#[test]
fn unanimous_answers_are_compared_as_they_stand() {
    assert_eq!(vqa_accuracy("t-shirt\n", &ten(&[("t-shirt", 10)])), Some(1.0));
    assert_eq!(vqa_accuracy("t shirt", &ten(&[("t-shirt", 10)])), Some(0.0));
    assert_eq!(vqa_accuracy("t shirt", &ten(&[("t-shirt", 9), ("shirt", 1)])), Some(1.0));
    assert_eq!(vqa_accuracy("", &ten(&[("yes", 10)])), Some(0.0));
    // An empty answer equals another that is empty in normal form.
    assert_close(vqa_accuracy("", &ten(&[("the", 2), ("yes", 8)])).unwrap(), 0.6);
}

proptest! {
    #[test]
    fn agrees_with_the_reference(
        prediction in "(a |the )?[xy1](-|, ?|\\.)?[xy1]?|two|",
        answers in prop::collection::vec("(a |the )?[xy1](-|, ?|\\.)?[xy1]?|2|", 2..13),
    ) {
        let found = vqa_accuracy(&prediction, &answers).unwrap();
        prop_assert!((found - reference(&prediction, &answers)).abs() < 1e-12);
    }
}

#[test]
fn accuracy_in_all_and_per_kind() {
    let (yes, red) = (texts(&["yes"]), ten(&[("red", 2), ("blue", 8)]));
    let answered = |kind, answers, prediction| Answered { kind, answers, prediction };
    let result = vqa([
        answered("yes/no", &yes[..], "yes"),
        answered("yes/no", &yes[..], "no"),
        answered("other", &red[..], "red"),
        answered("secret", &[][..], "red"),
    ])
    .unwrap();
    assert_eq!(result.all.n, 3);
    assert_close(result.percent(), 100.0 * 1.6 / 3.0);
    assert_close(result.kinds["yes/no"].percent(), 50.0);
    assert_close(result.kinds["other"].percent(), 60.0);
    assert!(!result.kinds.contains_key("secret"));
    let secret = [answered("secret", &[][..], "red")];
    assert!(matches!(vqa(secret), Err(EvalError::NoExamples)));
}

#[test]
fn the_submission_has_the_servers_fields() {
    let json = vqa_submission([("262148000", "yes"), ("7", "\"quote\"")]).unwrap();
    let expected =
        r#"[{"question_id":262148000,"answer":"yes"},{"question_id":7,"answer":"\"quote\""}]"#;
    assert_eq!(json, expected);
    for bad in [[("1", "a"), ("1", "b")], [("1", "a"), ("train/1", "b")]] {
        assert!(matches!(vqa_submission(bad), Err(EvalError::SubmissionKey { .. })));
    }
}
