//! Boxes are annotated in pixels as they are stored: pictures with an EXIF orientation must fit them.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};
use weft_data::decode::decode;
use weft_data::record::Picture;
use weft_data::regions::{self, RegionShape};
use weft_data::tasks::{open_contrasts, open_expressions};

use super::*;

const REFS: &str = r#"[{"ref_id": 1, "ann_id": 11, "image_id": 7, "split": "val",
    "sentences": [{"sent_id": 1, "sent": "a part of it"}]}]"#;

const NAME: &str = "COCO_train2014_000000000007.jpg";

fn instances(width: u32, height: u32) -> String {
    format!(
        r#"{{"images": [{{"id": 7, "file_name": "{NAME}", "width": {width}, "height": {height}}}],
            "annotations": [{{"id": 11, "image_id": 7, "bbox": [8, 0, 8, 16]}}]}}"#
    )
}

/// 32 x 16 pixels, red on the left, blue on the right, and a note that it is to be turned clockwise.
fn turned_jpeg() -> Vec<u8> {
    let mut plain = Cursor::new(vec![]);
    let picture =
        RgbImage::from_fn(32, 16, |x, _| if x < 16 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    picture.write_to(&mut plain, ImageFormat::Jpeg).unwrap();
    let plain = plain.into_inner();
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    // One entry: tag 0x0112 (orientation), type 3 (short), one value, 6; no further directory.
    exif.extend([1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xFF, 0xE1], &length, &exif, &plain[2..]].concat()
}

fn is_blue(pixel: &Rgb<u8>) -> bool {
    pixel[0] < 40 && pixel[2] > 215
}

fn with_size(width: u32, height: u32) -> TempDir {
    let dir = folder(&[("refs(unc).json", REFS), ("instances.json", &instances(width, height))]);
    write(dir.path(), &format!("train2014/{NAME}"), &turned_jpeg());
    dir
}

#[test]
fn a_turned_picture_of_refcoco_fits_its_boxes() {
    let dir = with_size(32, 16);
    let data = open_expressions(&strict(&dir)).unwrap();
    let phrase = &data.splits["val"][0];
    let picture = phrase.picture.decode("", Vec::new()).unwrap();
    assert_eq!((picture.dimensions(), phrase.size), ((32, 16), [32, 16]));
    assert!(is_blue(picture.get_pixel(24, 8)) && !is_blue(picture.get_pixel(8, 8)));
    // Who shows the file shows the same.
    let shown = decode(&phrase.picture.read().unwrap(), "").unwrap();
    assert_eq!(shown, picture);
    // Other data have it upright.
    let file = Picture::File(dir.path().join("train2014").join(NAME));
    assert_eq!(file.decode("", Vec::new()).unwrap().dimensions(), (16, 32));
    assert_eq!(phrase.picture.origin(), file.origin());
}

#[test]
fn a_picture_of_another_size_than_its_annotations_say_is_bad() {
    let dir = with_size(16, 32);
    let data = open_expressions(&strict(&dir)).unwrap();
    let phrase = &data.splits["val"][0];
    let bad = phrase.picture.decode("here.jpg", Vec::new()).unwrap_err();
    assert_eq!(bad.cause, Cause::BadRegion);
    names(&bad.to_string(), &["here.jpg", "expected 16 x 32 pixels", "found 32 x 16"]);
}

#[test]
fn a_picture_as_it_is_stored_keeps_its_regions_and_its_bytes() {
    let dir = with_size(32, 16);
    let mut plain = Cursor::new(vec![]);
    RgbImage::new(32, 16).write_to(&mut plain, ImageFormat::Png).unwrap();
    let plain = plain.into_inner();
    write(dir.path(), &format!("train2014/{NAME}"), &plain);
    let numbers: Vec<u8> = [0.5f32, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    write(dir.path(), "r.tsv", format!("7\t1\t{}\n", STANDARD.encode(numbers)).as_bytes());
    let source = TaskSource { regions: Some(dir.path().join("r.tsv")), ..strict(&dir) };
    let data = open_expressions(&source).unwrap();
    let picture = &data.splits["val"][0].picture;
    let shape = RegionShape { features: 2, most: 1 };
    assert_eq!(regions::of(picture, "", shape).unwrap(), [0.5, 1.0]);
    assert_eq!(picture.read().unwrap(), plain);
}

#[test]
fn a_turned_picture_of_aro_is_cut_where_its_box_is() {
    let entry = r#"[{"image_path": "1.jpg", "bbox_x": 18, "bbox_y": 0, "bbox_w": 12, "bbox_h": 16,
        "relation_name": "on", "true_caption": "a on b", "false_caption": "b on a"}]"#;
    let dir = folder(&[("visual_genome_relation.json", entry)]);
    write(dir.path(), "images/1.jpg", &turned_jpeg());
    let data = open_contrasts(&strict(&dir)).unwrap();
    let cut = data.splits["test"][0].picture.decode("", Vec::new()).unwrap();
    assert_eq!(cut.dimensions(), (12, 16));
    assert!(cut.pixels().all(is_blue));
}
