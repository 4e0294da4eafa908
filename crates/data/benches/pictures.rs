//! The way of a picture into a batch, step by step and as a whole, on one thread.
//!
//! The picture is made here, 640 x 480 at JPEG quality 90, and as detailed as a photograph: its file
//! has about 100 kB.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, criterion_group, criterion_main};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use weft_data::augment::{Augment, Operation};
use weft_data::decode::decode;
use weft_data::preprocess::{Interpolation, Preprocess};
use weft_data::random::addressed;
use weft_data::scenes::split::Split;
use weft_data::scenes::world::Scene;
use weft_data::scenes::{Scenes, ScenesConfig};

const SIZE: usize = 224;

/// Waves of several lengths and a little noise.
fn photograph() -> RgbImage {
    RgbImage::from_fn(640, 480, |x, y| {
        let noise = (x + 977 * y).wrapping_mul(2_654_435_761) >> 27;
        let (x, y) = (f64::from(x), f64::from(y));
        let wave = |length: f64| ((x + 0.4 * y) / length).sin() + ((y - 0.3 * x) / length).cos();
        let light = 120.0 + 25.0 * wave(60.0) + 15.0 * wave(13.0) + 8.0 * wave(3.0);
        image::Rgb([1.0, 0.8, 0.6].map(|tint| (light * tint) as u8 + noise as u8))
    })
}

fn pictures(criterion: &mut Criterion) {
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, 90).encode_image(&photograph()).unwrap();
    let file = file.into_inner();
    let preprocess = Preprocess { size: SIZE, ..Preprocess::default() };
    let (augment, crop) = (Augment::default(), Augment { rand_ops: 0, ..Augment::default() });
    let picture = decode(&file, "").unwrap();
    let small = preprocess.pixels(&picture);

    let mut group = criterion.benchmark_group("pictures");
    group.bench_function(format!("decode {} kB", file.len() / 1000), |bench| {
        bench.iter(|| decode(black_box(&file), "").unwrap());
    });
    group.bench_function("resize", |bench| bench.iter(|| preprocess.pixels(black_box(&picture))));
    // Another crop each time: the mean over all of them is what counts.
    let mut epoch = 0;
    let mut rng = || {
        epoch += 1;
        addressed(0, epoch, "picture", "augment")
    };
    group.bench_function("random crop", |bench| {
        bench.iter(|| crop.apply(black_box(&picture), SIZE, Interpolation::Bicubic, &mut rng()));
    });
    for operation in Operation::ALL {
        group.bench_function(format!("{operation:?}"), |bench| {
            bench.iter(|| operation.apply(black_box(&small).clone(), 7.0, false, [128; 3]));
        });
    }
    group.bench_function("normalise", |bench| {
        bench.iter(|| preprocess.normalise(black_box(&small)));
    });
    group.bench_function("all", |bench| {
        bench.iter(|| {
            let picture = decode(black_box(&file), "").unwrap();
            let seen = augment.apply(&picture, SIZE, Interpolation::Bicubic, &mut rng());
            preprocess.normalise(&seen)
        });
    });
}

/// A scene drawn at 128 px, beside an emoji's PNG of 72 px decoded.
fn scenes(criterion: &mut Criterion) {
    let emoji = weft_data::emoji::open(0).unwrap();
    let files: Vec<Vec<u8>> =
        emoji.splits["val"].iter().map(|r| r.picture.read().unwrap()).collect();
    let scenes = Scenes::new(&ScenesConfig::default()).unwrap();
    let drawn: Vec<Scene> = (0..100).map(|index| scenes.scene(Split::Train, index)).collect();
    let mut group = criterion.benchmark_group("scenes");
    let mut at = 0;
    group.bench_function("decode an emoji", |bench| {
        bench.iter(|| {
            at += 1;
            decode(black_box(&files[at % files.len()]), "").unwrap()
        });
    });
    let mut memory = vec![];
    group.bench_function("draw", |bench| {
        bench.iter(|| {
            at += 1;
            let picture = scenes.stage.draw(&drawn[at % drawn.len()], std::mem::take(&mut memory));
            memory = picture.into_raw();
        });
    });
    let mut index = 0;
    group.bench_function("compose and describe", |bench| {
        bench.iter(|| {
            index += 1;
            scenes.record(Split::Train, index)
        });
    });
    group.bench_function("open", |bench| {
        bench.iter(|| weft_data::scenes::open(&ScenesConfig::default()).unwrap());
    });
}

criterion_group!(benches, pictures, scenes);
criterion_main!(benches);
