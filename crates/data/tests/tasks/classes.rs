//! Folders of class folders.

use weft_data::tasks::{Labelled, open_classes};

use super::*;

fn keys(examples: &[Labelled]) -> Vec<(&str, usize)> {
    examples.iter().map(|example| (example.key.as_str(), example.class)).collect()
}

#[test]
fn classes_in_splits() {
    let dir = folder(&[
        ("train/red_fox/1.jpg", "p"),
        ("train/cat/1.jpg", "p"),
        ("train/cat/2.PNG", "p"),
        ("train/cat/notes.txt", "no picture"),
        ("train/cat/.hidden.jpg", "p"),
        ("train/.git/1.jpg", "p"),
        ("test/dog/1.webp", "p"),
        ("test/cat/1.jpg", "p"),
        ("test/empty/readme.md", "x"),
        ("extra/cat/1.jpg", "p"),
    ]);
    let classes = open_classes(&lenient(&dir)).unwrap();
    assert_eq!(classes.names, ["cat", "dog", "empty", "red fox"]);
    let [train, test] = ["train", "test"].map(|split| keys(&classes.data.splits[split]));
    assert_eq!(train, [("train/cat/1.jpg", 0), ("train/cat/2.PNG", 0), ("train/red_fox/1.jpg", 3)]);
    assert_eq!(test, [("test/cat/1.jpg", 0), ("test/dog/1.webp", 1)]);
    assert_causes(&classes.data.ledger, &[(Cause::MissingFile, 1)]);
    names(&classes.data.ledger.to_string(), &["empty", "a class without a picture"]);
    assert_eq!(classes.data.notes["files of class folders that are no pictures, left out"], 2);
    assert_eq!(classes.data.notes["folders beside train, val and test, left out"], 1);
}

#[test]
fn classes_without_splits_are_split_by_name() {
    let files: Vec<String> =
        (0..200).map(|at| format!("{}/{at}.jpg", ["cat", "dog"][at % 2])).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "p")).collect();
    let dir = folder(&files);
    let source = TaskSource { val_fraction: 0.2, test_fraction: 0.2, ..strict(&dir) };
    let classes = open_classes(&source).unwrap();
    let size = |split: &str| classes.data.splits[split].len();
    assert_eq!(size("train") + size("val") + size("test"), 200);
    for split in ["val", "test"] {
        assert!((20..=60).contains(&size(split)), "{split}: {}", size(split));
    }
    // A picture stays where it is when others go.
    let before = keys(&classes.data.splits["val"]).len();
    let gone = classes.data.splits["train"][0].key.clone();
    fs::remove_file(dir.path().join(gone)).unwrap();
    assert_eq!(open_classes(&source).unwrap().data.splits["val"].len(), before);
}

#[test]
fn no_classes() {
    let dir = folder(&[("a.jpg", "p")]);
    names(
        &open_classes(&strict(&dir)).unwrap_err().to_string(),
        &["a folder per class", "0 examples"],
    );
    let file = dir.path().join("a.jpg");
    names(&open_classes(&strict(file)).unwrap_err().to_string(), &["a folder per class", "a.jpg"]);
}
