//! One record to one item.

mod common;

use common::{pipeline, record, records};
use weft_data::augment::Augment;
use weft_data::error::{BadRecord, Cause};
use weft_data::pipeline::{Item, PadTo, Pipeline, Pixels};
use weft_data::preprocess::Interpolation;
use weft_data::record::{Picture, Record};

/// An item and its picture.
fn draw(
    pipeline: &Pipeline,
    record: &Record,
    caption_of: &Record,
    epoch: u64,
) -> Result<(Item, Vec<f32>), BadRecord> {
    let mut pixels = Pixels::default();
    let item = pipeline.item(record, caption_of, epoch, &mut pixels)?;
    Ok((item, pixels.images))
}

#[test]
fn an_item_has_its_shapes_and_its_parts_agree() {
    let pipeline = pipeline();
    let record = record(3);
    let (item, image) = draw(&pipeline, &record, &record, 0).unwrap();
    assert_eq!(image.len(), 3 * 32 * 32);
    assert_eq!(item.image_mask.len(), 16);
    assert_eq!(item.image_mask.iter().filter(|&&masked| masked).count(), 12);
    assert!(record.captions.contains(&item.caption));

    let (ids, padding, tokens) = pipeline.texts(std::slice::from_ref(&item.caption)).unwrap();
    let length = item.ids.len();
    assert_eq!((tokens, ids.len(), padding.len()), (12, 12, 12));
    assert_eq!(item.ids, ids[..length]);
    assert_eq!((item.masked_ids.len(), item.text_mask.len()), (length, length));
    let tokenizer = &pipeline.tokenizer;
    assert!(item.text_mask.contains(&true));
    for at in 0..12 {
        assert_eq!(padding[at], at >= length);
        assert_eq!(padding[at], ids[at] == tokenizer.pad_id() as i32);
    }
    for at in 0..length {
        let expected = if item.text_mask[at] { tokenizer.mask_id() as i32 } else { item.ids[at] };
        assert_eq!(item.masked_ids[at], expected);
    }
}

#[test]
fn captions_are_filled_up_to_the_most_or_to_the_longest() {
    let records = records(3);
    for pad_to in [PadTo::Max, PadTo::Longest] {
        let pipeline = Pipeline { pad_to, ..pipeline() };
        let mut pixels = Pixels::default();
        let items: Vec<_> = records
            .iter()
            .map(|record| pipeline.item(record, record, 0, &mut pixels).unwrap())
            .collect();
        let lengths: Vec<_> = items.iter().map(|item| item.ids.len()).collect();
        let longest = *lengths.iter().max().unwrap();
        let captions: Vec<_> = items.iter().map(|item| item.caption.clone()).collect();
        let batch = pipeline.collate(items, pixels, 0, 0);
        let tokens = if pad_to == PadTo::Max { 12 } else { longest };
        assert_eq!(batch.tokens, tokens);
        assert_eq!((batch.masked_ids.len(), batch.text_mask.len()), (3 * tokens, 3 * tokens));
        let (ids, padding, texts) = pipeline.texts(&captions).unwrap();
        assert_eq!((batch.ids, batch.padding, texts), (ids, padding.clone(), tokens));
        for (row, length) in padding.chunks(tokens).zip(lengths) {
            assert_eq!(row.iter().filter(|hidden| !**hidden).count(), length);
        }
    }
}

#[test]
fn an_item_is_a_function_of_seed_epoch_and_key() {
    let pipeline = pipeline();
    let record = record(3);
    let item = |pipeline: &Pipeline, epoch| draw(pipeline, &record, &record, epoch).unwrap();
    assert_eq!(item(&pipeline, 4), item(&pipeline, 4));
    assert_ne!(item(&pipeline, 4).1, item(&pipeline, 5).1);
    let other = Pipeline { seed: 6, ..pipeline.clone() };
    assert_ne!(item(&pipeline, 4).1, item(&other, 4).1);
    let mut drawn: Vec<_> = (0..30).map(|epoch| item(&pipeline, epoch).0.caption).collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 3, "every caption has its turn");
}

#[test]
fn without_augmentation_training_sees_what_evaluation_sees() {
    let pipeline = Pipeline { augment: None, ..pipeline() };
    let record = record(1);
    let (_, image) = draw(&pipeline, &record, &record, 9).unwrap();
    assert_eq!(image, pipeline.picture(&record).unwrap());
}

#[test]
fn a_picture_stands_behind_the_others_whatever_was_decoded_before() {
    let pipeline = pipeline();
    let mut pixels = Pixels { memory: vec![9; 50_000], ..Pixels::default() };
    for (count, record) in records(4).iter().enumerate() {
        let item = pipeline.item(record, record, 2, &mut pixels).unwrap();
        let (alone, image) = draw(&pipeline, record, record, 2).unwrap();
        let alone = Item { picture: count, ..alone };
        assert_eq!((item, &pixels.images[count * image.len()..]), (alone, &image[..]));
        let mut broken = record.clone();
        broken.picture = Picture::Embedded(b"nothing");
        assert!(pipeline.item(&broken, record, 2, &mut pixels).is_err());
    }
}

#[test]
fn the_caption_can_come_from_another_record() {
    let records = records(2);
    let item = draw(&pipeline(), &records[0], &records[1], 0).unwrap().0;
    assert_eq!(item.key, "record-0");
    assert!(records[1].captions.contains(&item.caption));
}

#[test]
fn a_bad_record_says_what_is_bad() {
    let pipeline = pipeline();
    let mut broken = record(0);
    broken.picture = Picture::Embedded(b"nothing");
    let bad = draw(&pipeline, &broken, &broken, 0).unwrap_err();
    assert_eq!(bad.cause, Cause::BrokenPicture);
    assert!(bad.origin.contains("record-0"), "{bad}");

    let mut missing = record(0);
    missing.picture = Picture::File("no/such/file.png".into());
    assert_eq!(draw(&pipeline, &missing, &missing, 0).unwrap_err().cause, Cause::MissingFile);

    for captions in [vec![], vec![" \n".to_string()]] {
        let mut silent = record(0);
        silent.captions = captions;
        assert_eq!(draw(&pipeline, &silent, &silent, 0).unwrap_err().cause, Cause::EmptyCaption);
    }
}

#[test]
fn training_resizes_as_evaluation_does() {
    let off = Augment { crop_scale: [1.0, 1.0], flip: 0.0, rand_ops: 0, ..Augment::default() };
    let record = record(2);
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let mut pipeline = Pipeline { augment: Some(off.clone()), ..pipeline() };
        pipeline.preprocess.interpolation = interpolation;
        let (_, image) = draw(&pipeline, &record, &record, 0).unwrap();
        assert_eq!(image, pipeline.picture(&record).unwrap(), "{interpolation:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_named() {
    assert!(pipeline().check().is_ok());
    let problem = |change: fn(&mut Pipeline)| {
        let mut pipeline = pipeline();
        change(&mut pipeline);
        pipeline.check().unwrap_err().to_string()
    };
    assert!(problem(|p| p.patch_size = 5).contains("patch size 5"));
    assert!(problem(|p| p.patch_size = 0).contains("patch size 0"));
    assert!(problem(|p| p.preprocess.std[1] = 0.0).contains("std"));
    assert!(problem(|p| p.max_tokens = 2).contains("max_tokens"));
    assert!(problem(|p| p.mask.image_ratio = 1.5).contains("image_ratio"));
    assert!(problem(|p| p.mask.text_keep = f64::NAN).contains("text_keep"));
    let augment = |crop_scale| Some(Augment { crop_scale, ..Augment::default() });
    assert!(augment([0.5, 0.5]).is_some_and(|a| {
        let pipeline = Pipeline { augment: Some(a), ..pipeline() };
        pipeline.check().is_ok()
    }));
    let reversed = Pipeline { augment: augment([0.9, 0.2]), ..pipeline() };
    assert!(reversed.check().unwrap_err().to_string().contains("crop_scale"));
}
