//! Winoground's, SugarCrepe's and ARO's files.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use weft_data::decode::decode;
use weft_data::tasks::open_contrasts;

use super::*;

fn example(id: u32, first: &str, second: &str) -> String {
    format!(
        r#"{{"id": {id}, "image_0": "ex_{id}_img_0", "image_1": "ex_{id}_img_1", "caption_0": "{first}", "caption_1": "{second}", "tag": "Adjective-Size", "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Object"}}"#
    )
}

#[test]
fn winoground() {
    let lines = [
        example(0, "an old person kisses a young person", "a young person kisses an old person"),
        example(1, "a", " "),
        example(2, "a", "b"),
        example(0, "a", "b"),
        "{}".to_owned(),
    ];
    let dir = folder(&[
        ("examples.jsonl", &lines.join("\n")),
        ("images/ex_0_img_0.png", "p"),
        ("ex_0_img_1.png", "p"),
        ("images/ex_1_img_0.png", "p"),
        ("images/ex_1_img_1.png", "p"),
        ("images/ex_2_img_0.png", "p"),
    ]);
    let data = open_contrasts(&lenient(&dir)).unwrap();
    let [good] = &data.splits["test"][..] else { panic!("{:?}", data.splits) };
    assert_eq!((good.key.as_str(), good.kind.as_str()), ("0", "Object"));
    assert!(good.captions[0].starts_with("an old") && good.captions[1].starts_with("a young"));
    assert!(good.picture.origin().ends_with("ex_0_img_0.png"));
    assert!(good.other.as_ref().unwrap().origin().ends_with("ex_0_img_1.png"));
    assert_causes(
        &data.ledger,
        &[
            (Cause::EmptyText, 1),
            (Cause::MissingFile, 1),
            (Cause::DuplicateKey, 1),
            (Cause::MalformedRecord, 1),
        ],
    );
    names(&data.ledger.to_string(), &["examples.jsonl:3", "images/ex_2_img_1.png"]);
}

#[test]
fn sugar_crepe() {
    let entry = |file: &str, caption: &str| {
        format!(r#"{{"filename": "{file}", "caption": "{caption}", "negative_caption": "A cat."}}"#)
    };
    let swap = format!(
        r#"{{"0": {}, "10": {}, "2": {}, "3": {}, "4": {}, "5": [1]}}"#,
        entry("1.jpg", "first"),
        entry("1.jpg", "third"),
        entry("1.jpg", "second"),
        entry("gone.jpg", "x"),
        entry("1.jpg", "")
    );
    let add = format!(r#"{{"0": {}}}"#, entry("2.jpg", "A dog."));
    let dir = folder(&[
        ("swap_att.json", &swap),
        ("add_obj.json", &add),
        ("other.json", "not read"),
        ("1.jpg", "p"),
        ("val2017/2.jpg", "p"),
    ]);
    let data = open_contrasts(&lenient(&dir)).unwrap();
    let keys: Vec<_> = data.splits["test"].iter().map(|contrast| contrast.key.as_str()).collect();
    assert_eq!(keys, ["add_obj/0", "swap_att/0", "swap_att/2", "swap_att/10"]);
    let good = &data.splits["test"][0];
    assert_eq!(
        (good.kind.as_str(), &good.captions),
        ("add_obj", &["A dog.", "A cat."].map(String::from))
    );
    assert!(good.other.is_none());
    assert_causes(
        &data.ledger,
        &[(Cause::MissingFile, 1), (Cause::EmptyText, 1), (Cause::MalformedRecord, 1)],
    );
    names(&data.ledger.to_string(), &["swap_att.json: 3", "gone.jpg"]);
}

fn relation(path: &str, bbox: [i32; 4], what: &str) -> String {
    let [x, y, w, h] = bbox;
    format!(
        r#"{{"image_id": "1", "image_path": "{path}", "bbox_x": {x}, "bbox_y": {y}, "bbox_w": {w}, "bbox_h": {h},
            {what}, "true_caption": "the dog is behind the tree", "false_caption": "the tree is behind the dog"}}"#
    )
}

/// A picture of which each pixel says where it is.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7]));
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn aro_is_cut_to_the_box() {
    let behind = r#""relation_name": "behind", "subject_name": "dog", "object1_name": "tree""#;
    let relations = [
        relation("1.png", [3, 5, 4, 2], behind),
        relation("1.png", [15, 5, 9, 2], behind),
        relation("1.png", [3, 5, 0, 2], behind),
        relation("1.png", [-3, 5, 4, 2], behind),
        relation("1.png", [-1, 5, 22, 6], behind),
        relation("gone.png", [3, 5, 4, 2], behind),
        relation("1.png", [3, 5, 4, 2], r#""x": 1"#),
        "3".to_owned(),
    ];
    let attributes = r#""attributes": ["old", "red"], "obj1_name": "door", "obj2_name": "car""#;
    let dir = folder(&[
        ("visual_genome_relation.json", &format!("[{}]", relations.join(","))),
        (
            "visual_genome_attribution.json",
            &format!("[{}]", relation("1.png", [0, 0, 1, 1], attributes)),
        ),
    ]);
    write(dir.path(), "images/1.png", &picture(20, 10));
    let data = open_contrasts(&lenient(&dir)).unwrap();
    let kinds: Vec<_> =
        data.splits["test"].iter().map(|c| (c.key.as_str(), c.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("attribution/0", "attribution/old_red"),
            ("relation/0", "relation/behind"),
            ("relation/1", "relation/behind"),
            ("relation/4", "relation/behind")
        ]
    );
    assert_causes(
        &data.ledger,
        &[(Cause::BadRegion, 2), (Cause::MissingFile, 1), (Cause::MalformedRecord, 2)],
    );
    let [_, good, outside, overhanging] = &data.splits["test"][..] else { unreachable!() };
    assert_eq!(good.captions[0], "the dog is behind the tree");
    let cut = decode(&good.picture.read().unwrap(), "cut").unwrap();
    assert_eq!(cut.dimensions(), (4, 2));
    for (x, y, pixel) in cut.enumerate_pixels() {
        assert_eq!(*pixel, Rgb([x as u8 + 3, y as u8 + 5, 7]));
    }
    // By a pixel on each side: what lies outside is cut off.
    let cut = overhanging.picture.decode("cut", Vec::new()).unwrap();
    assert_eq!((cut.dimensions(), cut.get_pixel(0, 0).0), ((20, 5), [0, 5, 7]));
    // That a box leaves its picture is seen when the picture is read.
    let bad = outside.picture.read().unwrap_err();
    assert_eq!(bad.cause, Cause::BadRegion);
    names(&bad.to_string(), &["1.png (9 x 2 at 15, 5)", "20 x 10 pixels"]);
}

#[test]
fn no_minimal_pairs() {
    let dir = folder(&[("a.json", "{}")]);
    let error = open_contrasts(&strict(&dir)).unwrap_err().to_string();
    names(&error, &["examples.jsonl", "swap_att.json", "visual_genome_relation.json", "a.json"]);
}
