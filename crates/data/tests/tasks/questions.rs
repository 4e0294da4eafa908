//! VQAv2's and easy-VQA's files.

use weft_data::tasks::{Question, TaskData, open_questions};

use super::*;

/// Ten answers, as VQAv2 lists them.
fn ten(answers: &[(&str, usize)]) -> String {
    let all = answers.iter().flat_map(|(answer, count)| vec![*answer; *count]);
    let given = all.enumerate().map(|(id, answer)| {
        format!(r#"{{"answer": "{answer}", "answer_confidence": "yes", "answer_id": {}}}"#, id + 1)
    });
    format!("[{}]", given.collect::<Vec<_>>().join(", "))
}

fn questions(subset: &str, questions: &[&str]) -> String {
    format!(
        r#"{{"info": {{}}, "task_type": "Open-Ended", "data_type": "mscoco",
            "data_subtype": "{subset}", "license": {{}}, "questions": [{}]}}"#,
        questions.join(", ")
    )
}

fn annotations(annotations: &[&str]) -> String {
    format!(r#"{{"info": {{}}, "annotations": [{}]}}"#, annotations.join(", "))
}

fn annotation(id: u32, image: u32, kind: &str, answers: &str) -> String {
    format!(
        r#"{{"question_type": "what", "multiple_choice_answer": "x", "answers": {answers},
            "image_id": {image}, "answer_type": "{kind}", "question_id": {id}}}"#
    )
}

const TRAIN: &str = "v2_OpenEnded_mscoco_train2014_questions.json";
const TRAIN_ANSWERS: &str = "v2_mscoco_train2014_annotations.json";

fn find<'a>(data: &'a TaskData<Question>, split: &str, key: &str) -> &'a Question {
    data.splits[split].iter().find(|question| question.key == key).unwrap()
}

#[test]
fn vqa_v2_in_all_its_subsets() {
    let one = r#"{"image_id": 9, "question": " What is this? ", "question_id": 9000}"#;
    let two = r#"{"image_id": 9, "question": "Is it?", "question_id": 9001}"#;
    let dir = folder(&[
        (TRAIN, &questions("train2014", &[one, two])),
        (
            TRAIN_ANSWERS,
            &annotations(&[
                &annotation(9001, 9, "yes/no", &ten(&[("yes", 10)])),
                &annotation(9000, 9, "other", &ten(&[("net", 7), ("a net", 3)])),
            ]),
        ),
        ("images/train2014/COCO_train2014_000000000009.jpg", "p"),
        (
            "v2_OpenEnded_mscoco_val2014_questions.json",
            &questions("val2014", &[r#"{"image_id": 3, "question": "V?", "question_id": 3}"#]),
        ),
        (
            "v2_mscoco_val2014_annotations.json",
            &annotations(&[&annotation(3, 3, "number", &ten(&[("2", 10)]))]),
        ),
        ("images/COCO_val2014_000000000003.jpg", "p"),
        (
            "v2_OpenEnded_mscoco_test-dev2015_questions.json",
            &questions("test-dev2015", &[r#"{"image_id": 5, "question": "T?", "question_id": 5}"#]),
        ),
        (
            "v2_OpenEnded_mscoco_test2015_questions.json",
            &questions("test2015", &[r#"{"image_id": 5, "question": "T?", "question_id": 5}"#]),
        ),
        ("images/test2015/COCO_test2015_000000000005.jpg", "p"),
    ]);
    let images = Some(dir.path().join("images"));
    let data = open_questions(&TaskSource { images, ..strict(&dir) }).unwrap();
    assert_causes(&data.ledger, &[]);
    let sizes: Vec<_> = data.splits.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
    assert_eq!(sizes, [("test", 1), ("test-dev", 1), ("train", 2), ("val", 1)]);
    let net = find(&data, "train", "9000");
    assert_eq!((net.text.as_str(), net.kind.as_str()), ("What is this?", "other"));
    assert_eq!(net.answers.len(), 10);
    assert_eq!(net.answers.iter().filter(|answer| *answer == "a net").count(), 3);
    assert!(net.picture.origin().ends_with("train2014/COCO_train2014_000000000009.jpg"));
    assert_eq!(find(&data, "train", "9001").kind, "yes/no");
    let secret = find(&data, "test-dev", "5");
    assert!(secret.answers.is_empty());
    assert!(secret.picture.origin().ends_with("COCO_test2015_000000000005.jpg"));
    // One file as the source gives its subset alone.
    let images = Some(dir.path().join("images"));
    let one = open_questions(&TaskSource { images, ..strict(dir.path().join(TRAIN)) }).unwrap();
    assert_eq!(one.splits.keys().collect::<Vec<_>>(), ["train"]);
}

#[test]
fn bad_questions_are_counted_by_cause_and_named() {
    let dir = folder(&[
        (
            TRAIN,
            &questions(
                "train2014",
                &[
                    r#"{"image_id": 1, "question": "Good?", "question_id": 1}"#,
                    r#"{"image_id": 2, "question": "No picture?", "question_id": 2}"#,
                    r#"{"image_id": 1, "question": "  ", "question_id": 3}"#,
                    r#"{"image_id": 1, "question": "No annotation?", "question_id": 4}"#,
                    r#"{"image_id": 1, "question": "No answers?", "question_id": 5}"#,
                    r#"{"image_id": 1, "question": "Another picture?", "question_id": 6}"#,
                    r#"{"image_id": "one", "question": "Malformed?", "question_id": 7}"#,
                    r#"{"image_id": 1, "question": "Twice?", "question_id": 1}"#,
                    r#"[1, 2]"#,
                ],
            ),
        ),
        (
            TRAIN_ANSWERS,
            &annotations(&[
                &annotation(1, 1, "yes/no", &ten(&[("yes", 10)])),
                &annotation(2, 2, "yes/no", &ten(&[("yes", 10)])),
                &annotation(3, 1, "yes/no", &ten(&[("yes", 10)])),
                &annotation(5, 1, "yes/no", "[]"),
                &annotation(6, 2, "yes/no", &ten(&[("yes", 10)])),
                &annotation(8, 1, "yes/no", &ten(&[("yes", 10)])),
                &annotation(2, 2, "yes/no", &ten(&[("no", 10)])),
                r#"{"question_id": 9}"#,
            ]),
        ),
        ("1.jpg", "p"),
    ]);
    let data = open_questions(&lenient(&dir)).unwrap();
    assert_eq!(data.splits["train"].len(), 1);
    assert_causes(
        &data.ledger,
        &[
            (Cause::MissingFile, 1),
            (Cause::EmptyText, 1),
            (Cause::MissingAnswer, 2),
            (Cause::UnknownReference, 2),
            (Cause::MalformedRecord, 3),
            (Cause::DuplicateKey, 2),
        ],
    );
    let ledger = data.ledger.to_string();
    names(&ledger, &["questions[1]", "COCO_train2014_000000000002.jpg", "annotations[5]"]);
    names(&ledger, &["question 8, which is not in", "question 4 is not in the annotation file"]);
    let error = open_questions(&strict(&dir)).unwrap_err().to_string();
    names(&error, &["11 of 12 records", "missing answer"]);
}

#[test]
fn what_is_no_data_set_gets_an_error_that_lists_what_was_looked_for() {
    let dir = folder(&[("readme.md", "x"), ("train.json", "[]")]);
    let error = open_questions(&strict(&dir)).unwrap_err().to_string();
    names(&error, &["*questions.json", "easy-VQA", "readme.md, train.json"]);
    let error = open_questions(&strict(dir.path().join("gone"))).unwrap_err().to_string();
    names(&error, &["no file or folder", "gone"]);
    names(&open_questions(&strict("")).unwrap_err().to_string(), &["no source"]);
    let dir = folder(&[(TRAIN, "{\"questions\": 3}")]);
    names(&open_questions(&strict(&dir)).unwrap_err().to_string(), &[TRAIN, "question_id"]);
    for bad in [-0.1, 1.5, f64::NAN] {
        let source = TaskSource { bad_budget: bad, ..strict(&dir) };
        names(&open_questions(&source).unwrap_err().to_string(), &["bad_budget"]);
    }
    let json = r#"{"source": "x", "image": "y"}"#;
    names(&serde_json::from_str::<TaskSource>(json).unwrap_err().to_string(), &["image"]);
}

#[test]
fn easy_vqa_keeps_its_test_and_gets_a_val() {
    let entries = |count: usize| -> String {
        let all = (0..count).map(|id| format!(r#"["what color is the shape?", "red", {id}]"#));
        format!("[{}]", all.collect::<Vec<_>>().join(", "))
    };
    let dir = folder(&[
        ("train/questions.json", &entries(40)),
        ("test/questions.json", r#"[["is there a circle?", "no", 0]]"#),
        ("test/images/0.png", "p"),
        ("answers.txt", "red\nno\n"),
    ]);
    for id in 0..40 {
        write(dir.path(), &format!("train/images/{id}.png"), b"p");
    }
    let source = TaskSource { val_fraction: 0.3, ..strict(&dir) };
    let data = open_questions(&source).unwrap();
    let sizes = ["train", "val", "test"].map(|split| data.splits[split].len());
    assert_eq!((sizes[0] + sizes[1], sizes[2]), (40, 1));
    assert!((4..=20).contains(&sizes[1]), "{sizes:?}");
    let key = |question: &Question| question.key.clone();
    let val = |source: &TaskSource| -> Vec<String> {
        open_questions(source).unwrap().splits["val"].iter().map(key).collect()
    };
    assert_eq!(val(&source), val(&source));
    assert_ne!(val(&source), val(&TaskSource { split_seed: 1, ..source.clone() }));
    assert_eq!(data.splits["test"][0].kind, "presence");
    assert_eq!(data.splits["test"][0].answers, ["no"]);
}

#[test]
fn bad_entries_of_easy_vqa() {
    let dir = folder(&[
        (
            "train/questions.json",
            r#"[["good?", "red", 0], ["unknown?", "pink", 0], ["no picture?", "red", 7], ["", "red", 0],
               ["none?", " ", 0], ["short?", "red"], {"a": 1}]"#,
        ),
        ("train/images/0.png", "p"),
        ("answers.txt", "red\n"),
    ]);
    let source = TaskSource { val_fraction: 0.0, ..lenient(&dir) };
    let data = open_questions(&source).unwrap();
    assert_eq!(data.splits["train"].len(), 1);
    assert_causes(
        &data.ledger,
        &[
            (Cause::UnknownAnswer, 1),
            (Cause::MissingFile, 1),
            (Cause::EmptyText, 1),
            (Cause::MissingAnswer, 1),
            (Cause::MalformedRecord, 2),
        ],
    );
    names(&data.ledger.to_string(), &["\"pink\" is not in answers.txt", "train/images/7.png"]);
    assert_eq!(data.notes["splits without a file: test"], 1);
}
