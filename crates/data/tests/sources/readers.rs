//! Good input of every kind, and the splits of it.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use weft_data::dataset::{SourceConfig, open};
use weft_data::regions::{self, RegionShape};
use weft_data::shards::expand;

use super::*;

#[test]
fn folder_is_read_in_depth_and_each_line_is_a_caption() {
    let dir = folder(&[
        ("b.JPG", "b"),
        ("b.txt", "first\n\n  second  \n"),
        ("deep/er/a.webp", "a"),
        ("deep/er/a.TXT", "one"),
        ("c.v2.png", "c"),
        ("c.v2.txt", "three"),
        ("notes.md", "no data"),
        (".hidden.jpg", "h"),
    ]);
    let dataset = open_lenient(&dir);
    assert_eq!(keys(&dataset), ["b", "c.v2", "deep/er/a"]);
    assert_eq!(captions(&dataset, "b"), ["first", "second"]);
    assert_eq!(dataset.ledger.total(), 0);
    assert_eq!(records(&dataset)[2].picture.read().unwrap(), b"a");
}

#[test]
fn shards_give_the_bytes_of_their_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let first = tar(&[
        ("set/0.jpg", b"zero"),
        ("set/0.txt", b"a zero\nnothing\n"),
        ("set/1.json", br#"{"caption": ["a one", "unity"], "width": 3}"#),
        ("set/1.seg.png", b"not the picture"),
        ("set/1.png", b"one"),
    ]);
    let second = tar(&[("./2.gif", b"two"), ("./2.json", br#"{"caption": "a two"}"#)]);
    write(dir.path(), "s-00.tar", &first);
    write(dir.path(), "s-01.tar", &second);
    let pattern = dir.path().join("s-{00..01}.tar");
    let dataset = open_lenient(&pattern);
    assert_eq!(keys(&dataset), ["2", "set/0", "set/1"]);
    assert_eq!(captions(&dataset, "set/0"), ["a zero", "nothing"]);
    assert_eq!(captions(&dataset, "set/1"), ["a one", "unity"]);
    let pictures: Vec<_> = records(&dataset).iter().map(|r| r.picture.read().unwrap()).collect();
    assert_eq!(pictures, [b"two".to_vec(), b"zero".to_vec(), b"one".to_vec()]);
    assert_eq!(dataset.ledger.total(), 0);

    let list = format!("{0}/s-00.tar,{0}/s-01.tar", dir.path().display());
    assert_eq!(open_lenient(list).total(), 3);
    assert_eq!(open_lenient(dir.path().join("s-01.tar")).total(), 1);
}

#[test]
fn karpathy_files_bring_their_splits() {
    let dir = folder(&[
        ("val2014/a.jpg", "a"),
        ("b.jpg", "b"),
        ("c.jpg", "c"),
        ("d.jpg", "d"),
        (
            "dataset.json",
            r#"{"dataset": "coco", "images": [
              {"filepath": "val2014", "filename": "a.jpg", "split": "restval", "cocoid": 7,
               "sentences": [{"raw": "one", "tokens": ["one"]}, {"raw": "two"}]},
              {"filepath": "gone", "filename": "b.jpg", "split": "train",
               "sentences": [{"raw": "b"}]},
              {"filename": "c.jpg", "split": "val", "imgid": 3, "sentences": [{"raw": "c"}]},
              {"filename": "d.jpg", "split": "test", "sentences": [{"raw": "d"}]}]}"#,
        ),
    ]);
    let dataset = open(&SourceConfig::new(dir.path().join("dataset.json").to_string_lossy()));
    let dataset = dataset.unwrap();
    let names = |split| -> Vec<&str> {
        dataset.split(split).unwrap().iter().map(|record| record.key.as_str()).collect()
    };
    assert_eq!(names("train"), ["a.jpg", "b.jpg"]);
    assert_eq!((names("val"), names("test")), (vec!["c.jpg"], vec!["d.jpg"]));
    assert_eq!(captions(&dataset, "a.jpg"), ["one", "two"]);
    assert_eq!(records(&dataset)[0].annotations["image_id"], "7");
}

#[test]
fn a_file_of_a_test_set_is_no_training_set() {
    let image = |name: &str| {
        format!(r#"{{"filename": "{name}.jpg", "split": "test", "sentences": [{{"raw": "x"}}]}}"#)
    };
    let json = format!(r#"{{"images": [{}, {}]}}"#, image("a"), image("b"));
    let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b"), ("test.json", &json)]);
    let dataset = open_lenient(dir.path().join("test.json"));
    assert_eq!(dataset.filled_split("test").unwrap().len(), 2);
    assert_eq!(dataset.split("train").unwrap().len(), 0);
    assert!(dataset.summary().contains("train, which is empty"), "{}", dataset.summary());
    let message = dataset.filled_split("train").unwrap_err().to_string();
    for part in ["\"train\"", "test.json", "test: 2"] {
        assert!(message.contains(part), "no {part} in {message}");
    }
}

/// What a record is tagged with.
fn tags<'a>(dataset: &'a Dataset, key: &str) -> Option<&'a str> {
    let record = records(dataset).into_iter().find(|record| record.key == key).unwrap();
    record.annotations.get("tags").map(String::as_str)
}

#[test]
fn tags_come_from_columns_of_tables_and_fields_of_shards() {
    let jsonl = "{\"image\": \"a.jpg\", \"caption\": \"one\", \"names\": [\"cat\", \"mat\"]}\n\
                 {\"image\": \"a.jpg\", \"caption\": \"more\", \"names\": \"mat, hat\"}\n\
                 {\"image\": \"b.jpg\", \"caption\": \"two\"}\n\
                 {\"image\": \"c.jpg\", \"caption\": \"three\", \"names\": 3}";
    let shard = tar(&[
        ("a.jpg", b"a"),
        ("a.txt", b"one"),
        ("a.json", br#"{"names": [{"class": "cat"}, {"class": "mat"}]}"#),
        ("b.jpg", b"b"),
        ("b.json", br#"{"caption": "two"}"#),
    ]);
    let dir = folder(&[
        ("a.jpg", "a"),
        ("b.jpg", "b"),
        ("c.jpg", "c"),
        ("data.jsonl", jsonl),
        ("data.csv", "image,caption,names\na.jpg,one,\na.jpg,one,\"cat, mat\"\nb.jpg,two,\n"),
    ]);
    write(dir.path(), "data.tar", &shard);
    for (name, a, expected, bad) in [
        ("data.jsonl", "a.jpg", "cat, mat, hat", 1),
        ("data.csv", "a.jpg", "cat, mat", 0),
        ("data.tar", "a", "cat, mat", 0),
    ] {
        let of = |column: &str| SourceConfig {
            tags_column: Some(column.into()),
            ..lenient(dir.path().join(name))
        };
        let dataset = open(&of("names")).unwrap();
        assert_eq!(tags(&dataset, a), Some(expected), "{name}");
        assert_eq!(tags(&dataset, &a.replace('a', "b")).unwrap_or_default(), "", "{name}");
        assert_eq!(dataset.ledger.total(), bad, "{name}");
        // Who has no such column has no tags; training with tags asks for some.
        assert_eq!(tags(&open(&of("nmaes")).unwrap(), a), None, "{name}");
    }
}

#[test]
fn tags_and_regions_come_from_tables_beside_the_data() {
    let bytes: Vec<u8> = [0.5f32, 1.0, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let row = format!("a\t2\t{}\n", STANDARD.encode(bytes));
    let dir = folder(&[
        ("data/a.png", "a"),
        ("data/a.txt", "one"),
        ("data/b.png", "b"),
        ("data/b.txt", "two"),
        ("regions.tsv", &row),
        ("tags.tsv", "a\t{\"objects\": [{\"class\": \"cat\"}]}\nb\t[1]\n"),
    ]);
    let config = SourceConfig {
        tags: Some(dir.path().join("tags.tsv")),
        regions: Some(dir.path().join("regions.tsv")),
        ..lenient(dir.path().join("data"))
    };
    let dataset = open(&config).unwrap();
    assert_eq!((tags(&dataset, "a"), tags(&dataset, "b")), (Some("cat"), None));
    assert!(dataset.ledger.to_string().contains("tags.tsv:2"), "{}", dataset.ledger);
    assert_eq!(dataset.notes["pictures with a row in data.tags"], 2);
    assert_eq!(dataset.notes["pictures with a row in data.regions"], 1);
    let shape = RegionShape { features: 2, most: 3 };
    let of = |at: usize| regions::of(&records(&dataset)[at].picture, "picture b", shape);
    assert_eq!(of(0).unwrap(), [0.5, 1.0, 2.0, 3.0, 0.0, 0.0]);
    let message = of(1).unwrap_err().to_string();
    assert!(message.contains("picture b") && message.contains("data.regions"), "{message}");
    // Of more regions than a model takes, the first.
    let first = regions::of(&records(&dataset)[0].picture, "", RegionShape { most: 1, ..shape });
    assert_eq!(first.unwrap(), [0.5, 1.0]);
    assert_eq!(records(&dataset)[0].picture.read().unwrap(), b"a");

    // A table of other pictures is no table of these.
    write(dir.path(), "regions.tsv", row.replacen('a', "c", 1).as_bytes());
    let message = error(&config);
    assert!(message.contains("data.regions") && message.contains("regions.tsv"), "{message}");
    // Two pictures of one name are not taken for one.
    write(dir.path(), "regions.tsv", row.as_bytes());
    write(dir.path(), "data/deep/a.png", b"a");
    write(dir.path(), "data/deep/a.txt", b"another");
    let message = error(&config);
    assert!(message.contains("deep/a.png"), "{message}");
}

#[test]
fn splits_depend_on_seed_and_key_alone() {
    let names: Vec<String> = (0..400).map(|index| format!("{index:03}")).collect();
    let make = |names: &[String]| {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            write(dir.path(), &format!("{name}.png"), b"x");
            write(dir.path(), &format!("{name}.txt"), b"x");
        }
        dir
    };
    let reversed: Vec<String> = names.iter().rev().cloned().collect();
    let (dir, other) = (make(&names), make(&reversed));
    let listing = |path: &std::path::Path, seed| {
        let config = SourceConfig { split_seed: seed, ..lenient(path) };
        open(&config).unwrap().split_listing()
    };
    let first = listing(dir.path(), 0);
    assert_eq!(first, listing(dir.path(), 0));
    assert_eq!(first, listing(other.path(), 0), "the order of creation must not matter");
    assert_ne!(first, listing(dir.path(), 1));
    for split in ["val", "test"] {
        assert!((8..=35).contains(&first[split].len()), "{split}: {}", first[split].len());
    }
    // A record stays in its split when another one goes.
    fs::remove_file(dir.path().join("000.png")).unwrap();
    fs::remove_file(dir.path().join("000.txt")).unwrap();
    let after = listing(dir.path(), 0);
    for (split, keys) in &first {
        let left: Vec<&String> = keys.iter().filter(|key| *key != "000").collect();
        assert_eq!(after[split].iter().collect::<Vec<_>>(), left);
    }
}

#[test]
fn tiny_data_is_all_trained_on() {
    let dir = folder(&[("a.jpg", "a"), ("a.txt", "a cat")]);
    for seed in 0..30 {
        let config = SourceConfig {
            val_fraction: 0.4,
            test_fraction: 0.4,
            split_seed: seed,
            ..lenient(dir.path())
        };
        let dataset = open(&config).unwrap();
        assert_eq!(dataset.split("train").unwrap().len(), 1);
        assert!(dataset.summary().contains("val, which is empty"), "{}", dataset.summary());
    }
}

#[test]
fn config_reads_what_it_writes_and_refuses_unknown_fields() {
    let config = SourceConfig { split_seed: 3, ..SourceConfig::new("data.csv") };
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<SourceConfig>(&text).unwrap(), config);
    assert_eq!(toml::from_str::<SourceConfig>("").unwrap(), SourceConfig::default());
    assert!(toml::from_str::<SourceConfig>("sauce = 1").unwrap_err().to_string().contains("sauce"));
}

#[test]
fn braces_stand_for_ranges_and_lists() {
    let names = |pattern: &str| -> Vec<String> {
        expand(pattern).unwrap().iter().map(|path| path.display().to_string()).collect()
    };
    assert_eq!(names("s-{008..010}.tar"), ["s-008.tar", "s-009.tar", "s-010.tar"]);
    assert_eq!(names("s-{9..10}.tar"), ["s-9.tar", "s-10.tar"]);
    assert_eq!(names("s-{09..100}.tar")[0], "s-009.tar");
    assert_eq!(names("{a,b}{0..1}.tar"), ["a0.tar", "a1.tar", "b0.tar", "b1.tar"]);
    assert_eq!(names("s{1..2,7}.tar, t.tar"), ["s1.tar", "s2.tar", "s7.tar", "t.tar"]);
    for (pattern, problem) in [
        ("s-{3..1}.tar", "backwards"),
        ("s-{a..b}.tar", "\"a\" in {a..b} is no number"),
        ("s-{0..1.tar", "{ without }"),
        ("s-0}.tar", "} without {"),
        ("s-{0..99999999}.tar", "more than"),
        ("{0..9999}{0..9999}.tar", "more than"),
        ("{{a}}", "braces inside braces"),
    ] {
        let error = expand(pattern).unwrap_err().to_string();
        assert!(error.contains(problem) && error.contains(pattern), "{error}");
    }
}

proptest! {
    #[test]
    fn a_range_has_each_number_once_in_order(
        low in 0u64..2000,
        count in 1u64..300,
        width in 1usize..8,
        prefix in "[a-z/.-]{0,8}",
    ) {
        let high = low + count - 1;
        let pattern = format!("{prefix}{{{low:0width$}..{high:0width$}}}.tar");
        let paths = expand(&pattern).unwrap();
        // As the shell does: {00..100} is 000, 001, ..., 100.
        let padded = width > low.to_string().len();
        let digits_wanted = if padded { width.max(high.to_string().len()) } else { 0 };
        prop_assert_eq!(paths.len() as u64, count);
        for (number, path) in (low..).zip(&paths) {
            let path = path.display().to_string();
            let digits = path.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".tar"));
            let digits = digits.unwrap();
            prop_assert_eq!(digits.parse::<u64>().unwrap(), number);
            prop_assert_eq!(digits, format!("{number:0digits_wanted$}"));
        }
    }
}
