//! Pictures show what the facts say, the same on every number of threads.

use image::RgbImage;
use weft_data::decode::decode;
use weft_data::scenes::render::Stage;
use weft_data::scenes::split::Split;
use weft_data::scenes::world::{Background, Object, Rect, SIDE, Scene};
use weft_data::scenes::{Scenes, ScenesConfig, open};

use crate::{scenes, small};

fn plain(objects: Vec<Object>) -> Scene {
    Scene { background: Background::Plain([240, 241, 242]), objects }
}

/// First and last column and row that differ from the background; the last ones exclusive.
fn drawn(picture: &RgbImage) -> [f32; 4] {
    let mut bounds = [f32::MAX, f32::MAX, 0.0f32, 0.0f32];
    for (x, y, pixel) in picture.enumerate_pixels() {
        if pixel.0 != [240, 241, 242] {
            let (x, y) = (x as f32, y as f32);
            bounds = [
                bounds[0].min(x),
                bounds[1].min(y),
                bounds[2].max(x + 1.0),
                bounds[3].max(y + 1.0),
            ];
        }
    }
    bounds
}

#[test]
fn boxes_hold_what_is_drawn() {
    let scenes = scenes(0);
    for size in [64, 128, 200, 256] {
        let stage = Stage::new(&scenes.lexicon.sprites, size);
        for index in 0..150 {
            for object in scenes.scene(Split::TestObjects, index).objects {
                for bare in [false, true] {
                    let around = object.around.filter(|_| !bare);
                    let object = Object { around, ..object.clone() };
                    let rect = if bare { object.rect() } else { object.footprint() };
                    let [left, top, width, height] = rect.in_pixels(size);
                    let picture = stage.draw(&plain(vec![object.clone()]), vec![]);
                    let found = drawn(&picture);
                    let expected = [left, top, left + width, top + height];
                    // Where the box ends within a pixel, that pixel is drawn in part.
                    let fraction = if size % SIDE as u32 == 0 { 0.0 } else { 1.0 };
                    for side in 0..4 {
                        let out = (expected[side] - found[side]) * [1.0, 1.0, -1.0, -1.0][side];
                        assert!(out <= fraction, "{size} px, {object:?}: {found:?} {expected:?}");
                        // The tip of a triangle and the rim of a circle fade.
                        let slack = 3.0 * size as f32 / SIDE as f32;
                        assert!(out >= -slack, "{size} px, {object:?}: {found:?} {expected:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_overlaps_or_leaves_the_picture() {
    let scenes = scenes(3);
    for &split in Split::ALL {
        for index in 0..500 {
            let scene = scenes.scene(split, index);
            let [fewest, most] = split.objects();
            assert!((fewest..=most).contains(&scene.objects.len()));
            for (at, object) in scene.objects.iter().enumerate() {
                let Rect { left, top, right, bottom } = object.footprint();
                assert!(left >= 0 && top >= 0 && right <= SIDE && bottom <= SIDE, "{scene:?}");
                for other in &scene.objects[at + 1..] {
                    assert!(object.footprint().is_apart(&other.footprint(), 1), "{scene:?}");
                }
            }
        }
    }
}

/// What a sentence may speak of changes the picture.
#[test]
fn every_attribute_is_seen() {
    let scenes = scenes(0);
    for index in 0..100 {
        let scene = scenes.scene(Split::Train, index);
        let object = &scene.objects[0];
        let other = scenes.scene(Split::Train, index + 1).objects[0].clone();
        let sprite = &scenes.lexicon.sprites[object.sprite];
        let changed = [
            Object { sprite: other.sprite, upside_down: false, ..object.clone() },
            Object { colour: other.colour, ..object.clone() },
            Object { shape: other.shape, ..object.clone() },
            Object { upside_down: sprite.has_top != object.upside_down, ..object.clone() },
            Object { around: other.around, ..object.clone() },
        ];
        let draw = |object: &Object| scenes.stage.draw(&plain(vec![object.clone()]), vec![]);
        let picture = draw(object);
        for changed in changed.iter().filter(|changed| *changed != object) {
            let other = draw(changed);
            let differ = other.pixels().zip(picture.pixels()).filter(|(a, b)| a != b);
            assert!(differ.count() > 20, "{object:?} {changed:?}");
        }
    }
}

#[test]
fn a_record_is_the_same_on_any_number_of_threads() {
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let dataset = pool.install(|| open(&small(7)).unwrap());
        let mut listed = String::new();
        let mut pixels = vec![];
        for record in dataset.splits.values().flatten() {
            listed += &format!("{} {:?} {:?}\n", record.key, record.captions, record.annotations);
            // Memory of the picture before, to be used again.
            let memory = std::mem::take(&mut pixels);
            let picture = record.picture.decode("", memory).unwrap();
            listed += &format!("{:?}\n", crc(picture.as_raw()));
            pixels = picture.into_raw();
        }
        listed
    };
    assert_eq!(all(1), all(5));
}

/// A sum over all bytes and their places.
fn crc(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, &byte| {
        (sum.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95)
    })
}

#[test]
fn the_png_has_the_same_pixels() {
    let scenes = scenes(0);
    let picture = scenes.record(Split::Val, 3).picture;
    let png = picture.read().unwrap();
    assert_eq!(decode(&png, "").unwrap(), picture.decode("", vec![1, 2, 3]).unwrap());
}

#[test]
fn scenes_are_a_function_of_seed_split_and_number() {
    let [first, again, other] = [1, 1, 2].map(scenes);
    for &split in Split::ALL {
        for index in [0, 5, 1_000_000] {
            assert_eq!(first.scene(split, index), again.scene(split, index));
            assert_ne!(first.scene(split, index), other.scene(split, index));
            assert_ne!(first.scene(split, index), first.scene(split, index + 1));
        }
    }
    // Neither the number of scenes nor their size decides what they are.
    let more = ScenesConfig { train: 9999, size: 64, ..small(1) };
    let more = Scenes::new(&more).unwrap();
    assert_eq!(more.scene(Split::Train, 5), first.scene(Split::Train, 5));
}
