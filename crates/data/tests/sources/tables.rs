//! Tables: rows of one picture are one record, whatever their keys are.

use std::collections::HashSet;

use proptest::prelude::*;
use weft_data::dataset::{SourceConfig, open};
use weft_data::error::Cause;

use super::*;

#[test]
fn jsonl_merges_rows_of_one_picture() {
    let dir = folder(&[
        ("pictures/a.jpg", "a"),
        ("pictures/b.jpg", "b"),
        (
            "data.jsonl",
            "\u{feff}{\"file\": \"a.jpg\", \"text\": \"one\"}\n\n\
             {\"file\": \"b.jpg\", \"text\": [\"two\", \"three\"]}\n\
             {\"file\": \"./a.jpg\", \"text\": \"four\", \"more\": 1}",
        ),
    ]);
    let config = SourceConfig {
        images: Some(dir.path().join("pictures")),
        image_column: "file".into(),
        caption_column: "text".into(),
        ..SourceConfig::new(dir.path().join("data.jsonl").to_string_lossy())
    };
    let dataset = open(&config).unwrap();
    assert_eq!(keys(&dataset), ["a.jpg", "b.jpg"]);
    assert_eq!(captions(&dataset, "a.jpg"), ["one", "four"]);
    assert_eq!(captions(&dataset, "b.jpg"), ["two", "three"]);
}

#[test]
fn csv_and_tsv_merge_rows_of_one_picture() {
    for (name, delimiter) in [("data.csv", ","), ("data.tsv", "\t")] {
        let table = "id,caption,image\n1,\"a cat, asleep\",a.jpg\n2,a dog,b.jpg\n3,a tabby,a.jpg\n";
        // Only the delimiters: the comma in the quoted caption stays.
        let table = table.replace(",", delimiter).replace(&format!("cat{delimiter} "), "cat, ");
        let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b"), (name, &table)]);
        let dataset = open(&SourceConfig::new(dir.path().join(name).to_string_lossy())).unwrap();
        assert_eq!(keys(&dataset), ["a.jpg", "b.jpg"]);
        assert_eq!(captions(&dataset, "a.jpg"), ["a cat, asleep", "a tabby"]);
    }
}

#[test]
fn tables_take_a_key_column() {
    let dir = folder(&[
        ("a.jpg", "a"),
        ("data.csv", "key,image,caption\nx,a.jpg,one\ny,a.jpg,two\nx,a.jpg,three\n"),
    ]);
    let dataset = open_lenient(dir.path().join("data.csv"));
    assert_eq!(keys(&dataset), ["x"]);
    assert_eq!(captions(&dataset, "x"), ["one", "two", "three"]);
}

/// As tables of COCO's captions have it: in two records its picture could be trained on and tested on.
#[test]
fn a_key_for_each_caption_does_not_take_a_picture_apart() {
    let table = "key,image,caption\n1,a.jpg,one\n2,b.jpg,two\n3,a.jpg,three\n,b.jpg,four\n,c.jpg,five\n4,c.jpg,six\n";
    let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b"), ("c.jpg", "c"), ("d.csv", table)]);
    let dataset = open(&SourceConfig::new(dir.path().join("d.csv").to_string_lossy())).unwrap();
    assert_eq!(keys(&dataset), ["1", "2", "c.jpg"]);
    assert_eq!(captions(&dataset, "1"), ["one", "three"]);
    assert_eq!(captions(&dataset, "2"), ["two", "four"]);
    // Its first row has no key.
    assert_eq!(captions(&dataset, "c.jpg"), ["five", "six"]);
}

#[test]
fn a_key_of_two_pictures_is_named() {
    let table =
        "key,image,caption\nx,a.jpg,one\ny,b.jpg,two\nx,b.jpg,three\nz,a.jpg,four\nz,c.jpg,five\n";
    let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b"), ("c.jpg", "c"), ("d.csv", table)]);
    let dataset = open_lenient(dir.path().join("d.csv"));
    assert_eq!(keys(&dataset), ["x", "y"]);
    assert_eq!(captions(&dataset, "x"), ["one", "four"]);
    assert_eq!(captions(&dataset, "y"), ["two"]);
    assert_eq!(dataset.ledger.count(Cause::DuplicateKey), 2);
    names(
        &dataset.ledger.to_string(),
        &[
            "d.csv:4: \"x\" is the key of a.jpg already, and b.jpg has the key \"y\"",
            "d.csv:6: \"z\" is the key of a.jpg already",
        ],
    );
}

proptest! {
    #[test]
    fn each_picture_is_one_record_and_no_row_is_lost(
        // A key may be the name of a picture, and not of its own.
        rows in prop::collection::vec((0usize..5, "|[a-f]|[0-4]\\.jpg"), 1..30),
    ) {
        let names: Vec<String> = (0..5).map(|picture| format!("{picture}.jpg")).collect();
        let mut table = "key,image,caption\n".to_string();
        for (at, (picture, key)) in rows.iter().enumerate() {
            table += &format!("{key},{},{at}\n", names[*picture]);
        }
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "p")).collect();
        files.push(("d.csv", &table));
        let dir = folder(&files);
        let dataset = open_lenient(dir.path().join("d.csv"));
        let records = records(&dataset);
        let pictures: HashSet<String> = records.iter().map(|r| r.picture.origin()).collect();
        let keys: HashSet<&str> = records.iter().map(|r| r.key.as_str()).collect();
        prop_assert_eq!((pictures.len(), keys.len()), (records.len(), records.len()));
        let kept: usize = records.iter().map(|r| r.captions.len()).sum();
        prop_assert_eq!(kept + dataset.ledger.count(Cause::DuplicateKey), rows.len());
        for record in records {
            let file = record.picture.origin();
            for caption in &record.captions {
                let (picture, _) = &rows[caption.parse::<usize>().unwrap()];
                prop_assert!(file.ends_with(&names[*picture]), "{} in {}", caption, file);
            }
        }
    }
}
