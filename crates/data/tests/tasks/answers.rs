//! The vocabulary of answers and what a classifier is trained towards.

use proptest::prelude::*;
use weft_data::record::Picture;
use weft_data::tasks::Question;
use weft_data::tasks::answers::{AnswerVocabulary, agreed};

use super::*;

fn question(key: &str, answers: &[&str]) -> Question {
    Question {
        key: key.into(),
        picture: Picture::Embedded(&[]),
        text: "what?".into(),
        answers: answers.iter().map(|answer| answer.to_string()).collect(),
        kind: "other".into(),
    }
}

#[test]
fn the_most_frequent_answers_in_order() {
    let questions = [
        question("1", &["two"]),
        question("2", &["2"]),
        question("3", &["A dog", "dog", "cat"]),
        question("4", &["the cat!"]),
        question("5", &["zebra"]),
        question("6", &["apple"]),
        question("7", &["the"]),
        question("8", &[]),
    ];
    let build = |most, at_least| {
        AnswerVocabulary::build(&questions, most, at_least).unwrap().answers().to_vec()
    };
    assert_eq!(build(10, 1), ["2", "apple", "cat", "dog", "zebra"]);
    assert_eq!(build(3, 1), ["2", "apple", "cat"]);
    assert_eq!(build(10, 2), ["2"]);
    assert!(AnswerVocabulary::build(&questions, 10, 3).is_err());
    assert!(AnswerVocabulary::build(&questions, 0, 1).is_err());
}

#[test]
fn what_annotators_agree_on() {
    assert_eq!(agreed(&question("q", &["y", "x", "Y.", "the x", "z"])).as_deref(), Some("x"));
    assert_eq!(agreed(&question("q", &["y", "x", "y"])).as_deref(), Some("y"));
    assert_eq!(agreed(&question("q", &["the", "a"])), None);
    assert_eq!(agreed(&question("q", &[])), None);
}

fn vocabulary(answers: &[&str]) -> AnswerVocabulary {
    let answers: Vec<String> = answers.iter().map(|answer| answer.to_string()).collect();
    AnswerVocabulary::try_from(answers).unwrap()
}

#[test]
fn soft_targets_are_0_3_per_annotator() {
    let vocabulary = vocabulary(&["yes", "no", "2"]);
    let targets = |answers: &[&str]| vocabulary.soft_targets(&question("q", answers));
    assert_eq!(targets(&["Yes"]), [(0, 1.0)]);
    assert_eq!(targets(&["perhaps"]), []);
    assert_eq!(targets(&[]), []);
    let answers = ["no", "no", "No.", "two", "yes", "yes", "yes", "yes", "perhaps", "two"];
    let [yes, no, two] = targets(&answers)[..] else { panic!() };
    assert_eq!((yes, two), ((0, 1.0), (2, 0.6)));
    assert_eq!(no.0, 1);
    assert!((no.1 - 0.9).abs() < 1e-6);
}

#[test]
fn questions_outside_are_counted_and_named() {
    let vocabulary = vocabulary(&["yes", "no"]);
    let questions = [
        question("in", &["yes"]),
        question("partly", &["perhaps", "perhaps", "no"]),
        question("out", &["perhaps", "maybe", "Perhaps"]),
        question("secret", &[]),
    ];
    let ledger = vocabulary.outside(&questions);
    assert_causes(&ledger, &[(Cause::UnknownAnswer, 1)]);
    names(&ledger.to_string(), &["question out", "\"perhaps\" is not among the 2 answers"]);
}

#[test]
fn a_vocabulary_is_a_list_in_json() {
    let vocabulary = vocabulary(&["yes", "2"]);
    let json = serde_json::to_string(&vocabulary).unwrap();
    assert_eq!(json, r#"["yes","2"]"#);
    assert_eq!(serde_json::from_str::<AnswerVocabulary>(&json).unwrap(), vocabulary);
    for (json, part) in [
        (r#"["yes", "yes"]"#, "comes twice, in places 0 and 1"),
        (r#"["Two"]"#, "which is \"2\""),
        ("[]", "is empty"),
    ] {
        names(&serde_json::from_str::<AnswerVocabulary>(json).unwrap_err().to_string(), &[part]);
    }
}

proptest! {
    /// Against counting with nothing but comparisons.
    #[test]
    fn targets_count_annotators(answers in prop::collection::vec("[abc]x", 2..10)) {
        let vocabulary = vocabulary(&["ax", "bx"]);
        let given: Vec<&str> = answers.iter().map(String::as_str).collect();
        let targets = vocabulary.soft_targets(&question("q", &given));
        for (place, answer) in ["ax", "bx"].iter().enumerate() {
            let count = answers.iter().filter(|given| given == answer).count();
            let expected = [0.0, 0.3, 0.6, 0.9, 1.0][count.min(4)];
            let found = targets.iter().find(|(at, _)| *at == place).map_or(0.0, |(_, score)| *score);
            prop_assert!((found - expected).abs() < 1e-6);
        }
    }

    /// The order of questions and of annotators does not matter.
    #[test]
    fn a_vocabulary_depends_on_no_order(answers in prop::collection::vec("[abc]x", 1..12)) {
        let questions = |answers: &[String]| -> Vec<Question> {
            answers.chunks(3).map(|chunk| {
                let given: Vec<&str> = chunk.iter().map(String::as_str).collect();
                question("q", &given)
            }).collect()
        };
        let straight = questions(&answers);
        let mut turned = straight.clone();
        turned.reverse();
        turned.iter_mut().for_each(|question| question.answers.reverse());
        let of = |questions: &[Question]| AnswerVocabulary::build(questions, 2, 1).unwrap();
        prop_assert_eq!(of(&straight), of(&turned));
    }
}
