//! Records and a pipeline that need no file.

use std::io::Cursor;
use std::sync::Arc;

use image::{ImageFormat, Rgb, RgbImage};
use weft_data::augment::Augment;
use weft_data::mask::MaskConfig;
use weft_data::pipeline::{PadTo, Pipeline};
use weft_data::preprocess::Preprocess;
use weft_data::record::{Picture, Record};
use weft_data::tokenizer::Tokenizer;

pub fn record(number: usize) -> Record {
    let picture = RgbImage::from_fn(40, 30, |x, y| {
        Rgb([(number * 37) as u8, (x * 6) as u8, (y * 8 + number as u32) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let captions = vec![
        format!("a picture with number {number}"),
        format!("number {number}, seen again"),
        format!("this is {number}"),
    ];
    let picture = Picture::Embedded(bytes.into_inner().leak());
    Record::new(format!("record-{number}"), captions, picture)
}

pub fn records(count: usize) -> Vec<Record> {
    (0..count).map(record).collect()
}

pub fn pipeline() -> Pipeline {
    let captions = records(30).into_iter().flat_map(|record| record.captions);
    Pipeline {
        tokenizer: Arc::new(Tokenizer::train(captions, 200).unwrap()),
        preprocess: Preprocess { size: 32, ..Preprocess::default() },
        augment: Some(Augment::default()),
        mask: MaskConfig::default(),
        patch_size: 8,
        regions: None,
        max_tokens: 12,
        pad_to: PadTo::Max,
        seed: 5,
        shuffle_pairs: false,
        share_pictures: false,
        tags: None,
    }
}
