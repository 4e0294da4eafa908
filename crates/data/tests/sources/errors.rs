//! Bad input: what is counted and left out, what ends the reading, and what the messages name.

use weft_data::dataset::{SourceConfig, open};
use weft_data::error::Cause;

use super::*;

#[test]
fn bad_records_of_a_folder() {
    let dir = folder(&[
        ("good.jpg", "g"),
        ("good.txt", "fine"),
        ("alone.jpg", "a"),
        ("text.txt", "no picture"),
        ("empty.jpg", "e"),
        ("empty.txt", " \n\n"),
        ("twice.jpg", "t"),
        ("twice.png", "t"),
        ("twice.txt", "two pictures"),
        ("bytes.jpg", "b"),
    ]);
    write(dir.path(), "bytes.txt", b"caf\xe9");
    let dataset = open_lenient(&dir);
    assert_eq!(keys(&dataset), ["good", "twice"]);
    let counts = [
        (Cause::MissingFile, 2),
        (Cause::EmptyCaption, 1),
        (Cause::DuplicateKey, 1),
        (Cause::InvalidUtf8, 1),
    ];
    for (cause, count) in counts {
        assert_eq!(dataset.ledger.count(cause), count, "{cause}");
    }
    names(
        &dataset.ledger.to_string(),
        &["alone.jpg", "expected alone.txt", "text.txt", "empty.txt", "twice.png", "byte 3"],
    );
    names(&dataset.summary(), &["left out 5", "alone.jpg"]);
    names(&error(&SourceConfig::new(dir.path().to_string_lossy())), &["5 of 7", "data.bad_budget"]);
}

#[test]
fn bad_rows_of_jsonl() {
    let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b")]);
    let lines: &[&[u8]] = &[
        br#"{"image": "a.jpg", "caption": ["fine", " "], "key": "k"}"#,
        br#"{"image": "gone.jpg", "caption": "x"}"#,
        br#"{"image": "b.jpg", "caption": ""}"#,
        br#"{"image": "b.jpg", "#,
        b"{\"image\": \"b.jpg\", \"caption\": \"caf\xe9\"}",
        br#"{"image": "b.jpg", "caption": 3}"#,
        br#"{"image": "b.jpg", "caption": "y", "key": "k"}"#,
        br#"{"caption": "y"}"#,
    ];
    write(dir.path(), "d.jsonl", &lines.join(&b'\n'));
    let dataset = open_lenient(dir.path().join("d.jsonl"));
    assert_eq!(keys(&dataset), ["k"]);
    assert_eq!(captions(&dataset, "k"), ["fine"]);
    let counts = [
        (Cause::EmptyCaption, 2),
        (Cause::MissingFile, 1),
        (Cause::MalformedRecord, 3),
        (Cause::InvalidUtf8, 1),
        (Cause::DuplicateKey, 1),
    ];
    for (cause, count) in counts {
        assert_eq!(dataset.ledger.count(cause), count, "{cause}");
    }
    names(
        &dataset.ledger.to_string(),
        &[
            "d.jsonl:1 (others kept)",
            "d.jsonl:2: the picture",
            "gone.jpg does not exist",
            "d.jsonl:4: expected one JSON object",
            "d.jsonl:5: expected UTF-8",
            "a text or a list of texts, found 3",
            "d.jsonl:7: \"k\" is the key of a.jpg already",
            "d.jsonl:8: \"image\" should be the path of a picture, found nothing",
        ],
    );
}

#[test]
fn bad_rows_of_csv() {
    let dir = folder(&[("a.jpg", "a")]);
    let table = b"image,caption\na.jpg,fine\na.jpg\ngone.jpg,x\na.jpg,\na.jpg,caf\xe9\n";
    write(dir.path(), "d.csv", table);
    let dataset = open_lenient(dir.path().join("d.csv"));
    assert_eq!(captions(&dataset, "a.jpg"), ["fine"]);
    names(
        &dataset.ledger.to_string(),
        &[
            "d.csv:3: expected 2 fields as in the header, found 1",
            "d.csv:4",
            "gone.jpg",
            "d.csv:5: no caption for a.jpg",
            "d.csv:6: expected UTF-8; field 2",
        ],
    );
}

#[test]
fn bad_samples_of_shards() {
    let dir = tempfile::tempdir().unwrap();
    let first = tar(&[
        ("a.jpg", b"a"),
        ("a.txt", b"fine"),
        ("b.jpg", b"b"),
        ("c.txt", b"no picture"),
        ("d.jpg", b"d"),
        ("d.txt", b"\xff"),
        ("e.jpg", b"e"),
        ("e.json", b"[]"),
        ("f.jpg", b"f"),
        ("f.txt", b"  "),
    ]);
    let second = tar(&[("a.jpg", b"again"), ("a.txt", b"again")]);
    write(dir.path(), "s-0.tar", &first);
    write(dir.path(), "s-1.tar", &second);
    let dataset = open_lenient(dir.path().join("s-{0..1}.tar"));
    assert_eq!(keys(&dataset), ["a"]);
    assert_eq!(captions(&dataset, "a"), ["fine"]);
    names(
        &dataset.ledger.to_string(),
        &[
            "s-0.tar:b: expected b.txt or b.json",
            "s-0.tar:c: expected a picture",
            "s-0.tar:d: expected UTF-8",
            "s-0.tar:e: expected a JSON object",
            "s-0.tar:f: expected at least one caption",
            "s-1.tar:a.jpg: the key a is that of",
        ],
    );
}

#[test]
fn truncated_shards_keep_what_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let picture = vec![7u8; 2000];
    let whole = tar(&[("a.jpg", b"a"), ("a.txt", b"fine"), ("b.jpg", &picture), ("b.txt", b"b")]);
    // Within the picture b.jpg, and within the header of b.txt.
    let picture_at = 4 * 512 + 512;
    for cut in [picture_at + 100, picture_at + 2048 + 100] {
        write(dir.path(), "s.tar", &whole[..cut]);
        let dataset = open_lenient(dir.path().join("s.tar"));
        assert_eq!(keys(&dataset), ["a"], "cut at {cut}");
        assert_eq!(dataset.ledger.count(Cause::TruncatedArchive), 1, "{}", dataset.ledger);
        names(&dataset.ledger.to_string(), &["s.tar:b"]);
    }
    // Between two samples, where the rest is missing without a trace but for the archive's end.
    write(dir.path(), "s.tar", &whole[..4 * 512]);
    let dataset = open_lenient(dir.path().join("s.tar"));
    assert_eq!(keys(&dataset), ["a"]);
    names(&dataset.ledger.to_string(), &["s.tar:a", "after 2 files", "block of zeros"]);
}

#[test]
fn a_quotation_mark_that_is_not_closed_takes_no_rows_with_it() {
    let table = "image\tcaption\na.jpg\ta cat\nb.jpg\t\"Mind the gap\nc.jpg\ta dog\n";
    let dir = folder(&[("a.jpg", "a"), ("b.jpg", "b"), ("c.jpg", "c"), ("t.tsv", table)]);
    let error = error(&lenient(dir.path().join("t.tsv")));
    names(&error, &["t.tsv:3", "quotation mark"]);
}

#[test]
fn bad_images_of_karpathy_files() {
    let json = r#"{"images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "fine"}, {"raw": " "}]},
        {"filename": "gone.jpg", "split": "train", "sentences": [{"raw": "x"}]},
        {"filename": "a.jpg", "split": "val", "sentences": [{"raw": "x"}]},
        {"filename": "a.jpg", "split": "dev", "sentences": [{"raw": "x"}]},
        {"filename": "a.jpg", "split": "val", "sentences": []},
        {"split": "val"}]}"#;
    let dir = folder(&[("a.jpg", "a"), ("k.json", json)]);
    let dataset = open_lenient(dir.path().join("k.json"));
    assert_eq!(keys(&dataset), ["a.jpg"]);
    names(
        &dataset.ledger.to_string(),
        &[
            "images[0] (others kept)",
            "images[1]: no picture",
            "images[2]: \"a.jpg\" stands",
            "images[3]: split of a.jpg",
            "found dev",
            "images[4]: no sentence for a.jpg",
            "images[5]: expected a \"filename\"",
        ],
    );
    for (content, part) in [("[1]", "Karpathy"), ("{\"image\": 1}\n{}", ".jsonl")] {
        write(dir.path(), "no.json", content.as_bytes());
        names(&error(&lenient(dir.path().join("no.json"))), &["no.json", part]);
    }
}

#[test]
fn wrong_paths_name_what_is_there() {
    let dir = folder(&[("flickr30k/a.jpg", "a"), ("coco/b.jpg", "b")]);
    let typo = error(&lenient(dir.path().join("flicker30k/images")));
    names(&typo, &["flicker30k/images", "2 entries", "nearest: flickr30k, coco"]);
    write(dir.path(), "data.parquet", b"x");
    names(&error(&lenient(dir.path().join("data.parquet"))), &[".jsonl", "data.parquet"]);
    names(&error(&lenient("emojy")), &["\"emojy\"", "\"emoji\""]);
}

#[test]
fn empty_data_says_what_was_looked_for() {
    let dir = folder(&[("a.mp4", ""), ("b.mp4", ""), ("c.txt", "x")]);
    names(&error(&lenient(dir.path())), &["jpeg", ".txt", "3 files: 2 .mp4, 1 .txt"]);
    let empty = tempfile::tempdir().unwrap();
    names(&error(&lenient(empty.path())), &["0 files"]);
    for name in ["e.jsonl", "e.csv"] {
        write(dir.path(), name, b"");
        names(&error(&lenient(dir.path().join(name))), &[name, "found 0 rows", "\"image\""]);
    }
    write(dir.path(), "e.json", b"{\"images\": []}");
    names(&error(&lenient(dir.path().join("e.json"))), &["e.json", "0 images"]);
    write(dir.path(), "e.tar", &tar(&[("a.cls", b"1")]));
    names(&error(&lenient(dir.path().join("e.tar"))), &["e.tar", "1 shards with 1 files"]);
    write(dir.path(), "bad.csv", b"image,caption\ngone.jpg,x\n");
    names(&error(&lenient(dir.path().join("bad.csv"))), &["none of it can be used", "gone.jpg"]);
}

#[test]
fn wrong_columns_name_the_right_ones() {
    let tarball = tar(&[("a.jpg", b"a"), ("a.json", br#"{"text": "x", "url": "y"}"#)]);
    let dir = folder(&[
        ("a.jpg", "a"),
        ("d.csv", "image,text\na.jpg,x\n"),
        ("d.jsonl", "{\"image\": \"a.jpg\", \"text\": \"x\"}"),
    ]);
    write(dir.path(), "d.tar", &tarball);
    for (file, column) in [("d.csv", "image"), ("d.jsonl", "image"), ("d.tar", "url")] {
        let message = error(&SourceConfig::new(dir.path().join(file).to_string_lossy()));
        names(&message, &[file, "no column \"caption\"", column, "text"]);
    }
}

#[test]
fn missing_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "s-1.tar", &tar(&[("a.jpg", b"a"), ("a.txt", b"x")]));
    let message = error(&lenient(dir.path().join("s-{0..2}.tar")));
    names(&message, &["3 shards", "2 of them missing", "s-0.tar", "s-2.tar"]);
}

#[test]
fn settings_out_of_range_and_unknown_splits() {
    let dir = folder(&[("a.jpg", "a"), ("a.txt", "x")]);
    let base = lenient(dir.path());
    names(
        &error(&SourceConfig { val_fraction: 1.5, ..base.clone() }),
        &["data.val_fraction", "1.5"],
    );
    names(&error(&SourceConfig { bad_budget: f64::NAN, ..base.clone() }), &["data.bad_budget"]);
    let both = SourceConfig { val_fraction: 0.5, test_fraction: 0.5, ..base.clone() };
    names(&error(&both), &["data.test_fraction"]);
    let unknown = open(&base).unwrap().split("dev").unwrap_err().to_string();
    names(&unknown, &["\"dev\"", "test, train, val"]);
}
