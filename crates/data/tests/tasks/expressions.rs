//! RefCOCO's files, references as JSON and as the pickle in which they are published.

use weft_data::dataset::{self, SourceConfig};
use weft_data::tasks::{Expression, Region, TaskData, open_expressions};

use super::*;

const INSTANCES: &str = r#"{"info": {}, "licenses": [], "categories": [{"id": 1, "name": "person"}],
    "images": [
        {"id": 7, "file_name": "COCO_train2014_000000000007.jpg", "width": 640, "height": 480, "license": 1},
        {"id": 8, "file_name": "COCO_train2014_000000000008.jpg", "width": 100, "height": 50}],
    "annotations": [
        {"id": 11, "image_id": 7, "bbox": [10.5, 20, 30, 40.25], "area": 900.5, "category_id": 1},
        {"id": 12, "image_id": 8, "bbox": [60, 0, 50, 10]},
        {"id": 13, "image_id": 8, "bbox": [60, 10, -20, 10]},
        {"id": 14, "image_id": 8, "bbox": [60, 10, 40.6, 40.9]}]}"#;

fn reference(id: u32, ann: u32, image: u32, split: &str, sentences: &[(u32, &str)]) -> String {
    let sentences = sentences.iter().map(|(id, text)| {
        format!(r#"{{"sent_id": {id}, "sent": "{text}", "raw": "RAW", "tokens": ["t"]}}"#)
    });
    format!(
        r#"{{"ref_id": {id}, "ann_id": {ann}, "image_id": {image}, "split": "{split}", "category_id": 1,
            "file_name": "COCO_train2014_000000000007_1.jpg", "sent_ids": [], "sentences": [{}]}}"#,
        sentences.collect::<Vec<_>>().join(", ")
    )
}

fn good() -> String {
    let one = reference(1, 11, 7, "testA", &[(100, "man in red"), (101, "left guy")]);
    let two = reference(2, 14, 8, "train", &[(102, "corner")]);
    format!("[{one}, {two}]")
}

const PICTURES: [(&str, &str); 2] = [
    ("train2014/COCO_train2014_000000000007.jpg", "p"),
    ("train2014/COCO_train2014_000000000008.jpg", "p"),
];

fn with(files: &[(&str, &str)]) -> TempDir {
    folder(&[&PICTURES, files].concat())
}

fn assert_good(data: &TaskData<Expression>) {
    assert_causes(&data.ledger, &[]);
    let [man, guy] = &data.splits["testA"][..] else { panic!("{:?}", data.splits) };
    assert_eq!((man.key.as_str(), man.text.as_str()), ("100", "man in red"));
    assert_eq!((guy.key.as_str(), guy.text.as_str()), ("101", "left guy"));
    assert_eq!(man.region, Region { x: 10.5, y: 20.0, width: 30.0, height: 40.25 });
    assert_eq!(man.size, [640, 480]);
    assert!(man.picture.origin().ends_with("COCO_train2014_000000000007.jpg"));
    // Reaches out by less than a pixel.
    assert_eq!(data.splits["train"][0].region.width, 40.6);
}

#[test]
fn references_as_json_with_proposals() {
    let dets = r#"{"7": [[1, 2, 3, 4], [5, 6, 7, 8, 0.9]], "8": []}"#;
    let dir =
        with(&[("refs(unc).json", &good()), ("instances.json", INSTANCES), ("dets.json", dets)]);
    let data = open_expressions(&strict(&dir)).unwrap();
    assert_good(&data);
    let proposals = &data.splits["testA"][1].proposals;
    assert_eq!(proposals[1], Region { x: 5.0, y: 6.0, width: 7.0, height: 8.0 });
    assert_eq!(proposals.len(), 2);
    assert!(data.splits["train"][0].proposals.is_empty());
}

/// For weakly supervised grounding: a picture's phrases are its captions, wherever in the file they stand.
#[test]
fn phrases_are_captions_of_their_pictures() {
    let references = [
        reference(1, 14, 8, "train", &[(100, "corner")]),
        reference(2, 11, 7, "train", &[(101, "man in red"), (102, "left guy")]),
        reference(3, 14, 8, "train", &[(103, "a dark corner")]),
        reference(4, 11, 7, "testA", &[(104, "the man")]),
    ];
    let references = format!("[{}]", references.join(", "));
    let dir = with(&[("refs(unc).json", &references), ("instances.json", INSTANCES)]);
    let config = SourceConfig { expressions: true, ..SourceConfig::new(strict(&dir).source) };
    let data = dataset::open(&config).unwrap();
    let [corner, man] = &data.splits["train"][..] else { panic!("{:?}", data.splits) };
    assert_eq!(corner.captions, ["corner", "a dark corner"]);
    assert_eq!(man.captions, ["man in red", "left guy"]);
    assert!(man.picture.origin().ends_with("COCO_train2014_000000000007.jpg"));
    assert_eq!((man.label.as_ref(), data.splits["testA"].len()), (None, 1));
    // Without the key they are no data set of captions.
    let plain = SourceConfig { expressions: false, ..config };
    assert!(dataset::open(&plain).is_err());
}

/// A value as pickle's protocol 0 writes it, with the byte texts of Python 2.
fn pickled(value: &serde_json::Value) -> String {
    use serde_json::Value::*;
    match value {
        Number(number) => format!("I{number}\n"),
        String(text) => format!("S'{text}'\n"),
        Array(items) => {
            let items: Vec<_> = items.iter().map(|item| pickled(item) + "a").collect();
            format!("(l{}", items.concat())
        }
        Object(entries) => {
            let entries =
                entries.iter().map(|(key, value)| format!("S'{key}'\n{}s", pickled(value)));
            format!("(d{}", entries.collect::<Vec<_>>().concat())
        }
        other => panic!("{other}"),
    }
}

/// As [`pickled`], in protocol 2.
fn pickled_2(value: &serde_json::Value) -> Vec<u8> {
    use serde_json::Value::*;
    let text = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    match value {
        Number(number) => {
            let number = number.as_i64().unwrap() as i32;
            [&b"J"[..], &number.to_le_bytes()].concat()
        }
        String(string) => text(string),
        Array(items) => {
            let items: Vec<u8> = items.iter().flat_map(pickled_2).collect();
            [&b"]("[..], &items, b"e"].concat()
        }
        Object(entries) => {
            let entries =
                entries.iter().flat_map(|(key, value)| [text(key), pickled_2(value)].concat());
            [&b"}("[..], &entries.collect::<Vec<u8>>(), b"u"].concat()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn references_as_pickles_of_python_2() {
    let value: serde_json::Value = serde_json::from_str(&good()).unwrap();
    let protocol_0 = (pickled(&value) + ".").into_bytes();
    let protocol_2 = [&b"\x80\x02"[..], &pickled_2(&value), b"."].concat();
    for pickle in [protocol_0, protocol_2] {
        let dir = with(&[("instances.json", INSTANCES)]);
        write(dir.path(), "refs(unc).p", &pickle);
        assert_good(&open_expressions(&strict(&dir)).unwrap());
        for end in [0, 1, pickle.len() / 2, pickle.len() - 1] {
            write(dir.path(), "refs(unc).p", &pickle[..end]);
            names(
                &open_expressions(&strict(&dir)).unwrap_err().to_string(),
                &["refs(unc).p", "pickle"],
            );
        }
    }
}

/// A pickle that runs a program when Python reads it.
#[test]
fn a_pickle_that_calls_something_is_refused() {
    for pickle in ["cos\nsystem\n(S'true'\ntR.", "(lcos\nsystem\n(S'true'\ntRa."] {
        let dir = with(&[("instances.json", INSTANCES), ("refs(unc).p", pickle)]);
        names(
            &open_expressions(&strict(&dir)).unwrap_err().to_string(),
            &["refs(unc).p", "pickle"],
        );
    }
}

#[test]
fn bad_references_are_counted_by_cause_and_named() {
    let refs = [
        reference(1, 11, 7, "val", &[(1, "good")]),
        reference(2, 12, 8, "val", &[(2, "out of the picture")]),
        reference(3, 13, 8, "val", &[(3, "inverted")]),
        reference(4, 99, 8, "val", &[(4, "no annotation")]),
        reference(5, 11, 9, "val", &[(5, "no image")]),
        reference(6, 11, 8, "val", &[(6, "another image's")]),
        reference(7, 11, 7, "val", &[(1, "twice"), (7, " ")]),
        reference(8, 11, 7, "val", &[]),
        reference(9, 11, 7, "val", &[(9, "ann_id is a text")]).replace(": 11", ": \"11\""),
    ];
    let dets = r#"{"7": [[0, 0, 5], [0, 0, 5, 5], [0, 0, -5, 5], [630, 0, 20, 5], "x"], "70": [[0, 0, 5, 5]], "x": []}"#;
    let refs = format!("[{}]", refs.join(", "));
    let dir =
        with(&[("refs(unc).json", &refs), ("instances.json", INSTANCES), ("dets.json", dets)]);
    let data = open_expressions(&lenient(&dir)).unwrap();
    let [good] = &data.splits["val"][..] else { panic!("{:?}", data.splits) };
    assert_eq!(good.proposals, [Region { x: 0.0, y: 0.0, width: 5.0, height: 5.0 }]);
    assert_causes(
        &data.ledger,
        &[
            (Cause::BadRegion, 2 + 2),
            (Cause::UnknownReference, 3 + 2),
            (Cause::DuplicateKey, 1),
            (Cause::EmptyText, 2),
            (Cause::MalformedRecord, 1 + 2),
        ],
    );
    let ledger = data.ledger.to_string();
    names(&ledger, &["50 x 10 at 60, 0 in a picture of 100 x 50", "reaches out of the picture"]);
    names(&ledger, &["instances.json has no annotation 99", "no image 70 in instances.json"]);
}

#[test]
fn a_reference_to_a_box_of_another_picture_is_named() {
    let refs = format!("[{}]", reference(6, 11, 8, "val", &[(6, "another image's")]));
    let dir = with(&[("refs(unc).json", &refs), ("instances.json", INSTANCES)]);
    let error = open_expressions(&lenient(&dir)).unwrap_err().to_string();
    names(&error, &["annotation 11 belongs to image 7, the reference to 8", "none of which"]);
}

#[test]
fn files_that_are_missing_or_too_many() {
    let dir = with(&[("refs(unc).json", &good())]);
    names(
        &open_expressions(&strict(&dir)).unwrap_err().to_string(),
        &["instances.json", "refs(unc)"],
    );
    let dir = with(&[("instances.json", INSTANCES)]);
    names(&open_expressions(&strict(&dir)).unwrap_err().to_string(), &["refs(unc).p"]);
    let files =
        [("refs(unc).json", &good()[..]), ("refs(umd).json", "[]"), ("instances.json", INSTANCES)];
    let dir = with(&files);
    names(
        &open_expressions(&strict(&dir)).unwrap_err().to_string(),
        &["one of them as the source"],
    );
    assert_good(
        &open_expressions(&TaskSource {
            images: Some(dir.path().to_path_buf()),
            ..strict(dir.path().join("refs(unc).json"))
        })
        .unwrap(),
    );
}
