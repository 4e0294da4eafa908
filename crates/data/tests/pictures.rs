//! Decoding, preprocessing and augmentation, on pictures made here.

use std::io::Cursor;
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use weft_data::augment::Augment;
use weft_data::decode::decode;
use weft_data::error::Cause;
use weft_data::preprocess::{Interpolation, Preprocess, Rounding};
use weft_data::random::addressed;

fn encode(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Wider than high, and no two pixels alike.
fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 9) as u8, (y * 11) as u8, (x + y) as u8]))
}

fn cause(bytes: &[u8]) -> Cause {
    let bad = decode(bytes, "here.jpg").unwrap_err();
    assert_eq!(bad.origin, "here.jpg");
    bad.cause
}

fn near(pixel: &Rgb<u8>, expected: [u8; 3], tolerance: u8) {
    for (value, expected) in pixel.0.into_iter().zip(expected) {
        assert!(value.abs_diff(expected) <= tolerance, "{pixel:?} is not {expected:?}");
    }
}

#[test]
fn png_webp_and_gif_keep_their_pixels_and_jpeg_nearly() {
    let picture = gradient(20, 12);
    assert_eq!(decode(&encode(picture.clone(), ImageFormat::Png), "").unwrap(), picture);
    assert_eq!(decode(&encode(picture.clone(), ImageFormat::WebP), "").unwrap(), picture);

    let two =
        RgbImage::from_fn(8, 8, |x, _| if x < 4 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let opaque = DynamicImage::from(two.clone()).into_rgba8();
    assert_eq!(decode(&encode(opaque, ImageFormat::Gif), "").unwrap(), two);

    let flat = RgbImage::from_pixel(20, 12, Rgb([200, 100, 50]));
    let decoded = decode(&encode(flat, ImageFormat::Jpeg), "").unwrap();
    assert_eq!(decoded.dimensions(), (20, 12));
    near(decoded.get_pixel(10, 6), [200, 100, 50], 4);
}

#[test]
fn an_animated_gif_is_its_first_frame() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for colour in [[255, 0, 0, 255], [0, 255, 0, 255]] {
        encoder.encode_frame(image::Frame::new(RgbaImage::from_pixel(4, 4, Rgba(colour)))).unwrap();
    }
    drop(encoder);
    assert_eq!(decode(&bytes, "").unwrap().get_pixel(1, 1).0, [255, 0, 0]);
}

#[test]
fn grey_and_sixteen_bits_become_rgb() {
    let grey = image::GrayImage::from_pixel(4, 4, image::Luma([77]));
    assert_eq!(decode(&encode(grey, ImageFormat::Png), "").unwrap().get_pixel(0, 0).0, [77; 3]);
    let grey = image::GrayImage::from_pixel(8, 8, image::Luma([77]));
    near(decode(&encode(grey, ImageFormat::Jpeg), "").unwrap().get_pixel(0, 0), [77; 3], 2);
    let deep = image::ImageBuffer::from_pixel(4, 4, Rgb([0x8080_u16, 0xFFFF, 0]));
    let deep = decode(&encode(DynamicImage::ImageRgb16(deep), ImageFormat::Png), "").unwrap();
    assert_eq!(deep.get_pixel(0, 0).0, [128, 255, 0]);
}

#[test]
fn a_palette_with_transparency_is_composited_over_white() {
    // 2 x 1 pixels of 8 bits, palette: 0 = half transparent red, 1 = blue.
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    chunk(&mut png, b"PLTE", &[255, 0, 0, 0, 0, 255]);
    chunk(&mut png, b"tRNS", &[128]);
    // zlib, one stored block of 3 bytes: filter 0, indices 0 and 1.
    let data = [0x78, 0x01, 1, 3, 0, 0xFC, 0xFF, 0, 0, 1, 0, 5, 0, 2];
    chunk(&mut png, b"IDAT", &data);
    chunk(&mut png, b"IEND", &[]);
    let picture = decode(&png, "").unwrap();
    assert_eq!(picture.get_pixel(0, 0).0, [255, 127, 127]);
    assert_eq!(picture.get_pixel(1, 0).0, [0, 0, 255]);
}

#[test]
fn alpha_is_composited_over_white() {
    let mut picture = RgbaImage::from_pixel(3, 1, Rgba([10, 20, 30, 255]));
    picture.put_pixel(1, 0, Rgba([10, 20, 30, 0]));
    picture.put_pixel(2, 0, Rgba([0, 0, 0, 51]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let decoded = decode(&encode(picture.clone(), format), "").unwrap();
        assert_eq!(decoded.get_pixel(0, 0).0, [10, 20, 30]);
        assert_eq!(decoded.get_pixel(1, 0).0, [255; 3]);
        assert_eq!(decoded.get_pixel(2, 0).0, [204; 3]);
    }
}

#[test]
fn a_cmyk_jpeg_has_its_colours() {
    let picture = decode(include_bytes!("fixtures/cmyk.jpg"), "").unwrap();
    assert_eq!(picture.dimensions(), (16, 16));
    near(picture.get_pixel(3, 3), [255, 0, 0], 4);
    near(picture.get_pixel(12, 3), [0, 127, 127], 4);
}

#[test]
fn a_rotated_jpeg_comes_out_upright() {
    // Stored: red left, blue right. Orientation 6 turns it clockwise: red above, blue below.
    let stored =
        RgbImage::from_fn(32, 16, |x, _| if x < 16 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    let plain = encode(stored, ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    // One entry: tag 0x0112 (orientation), type 3 (short), one value, 6; no further directory.
    exif.extend([1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    let mut rotated = plain[..2].to_vec();
    rotated.extend([0xFF, 0xE1]);
    rotated.extend((exif.len() as u16 + 2).to_be_bytes());
    rotated.extend(exif);
    rotated.extend(&plain[2..]);

    assert_eq!(decode(&plain, "").unwrap().dimensions(), (32, 16));
    let upright = decode(&rotated, "").unwrap();
    assert_eq!(upright.dimensions(), (16, 32));
    near(upright.get_pixel(8, 4), [255, 0, 0], 8);
    near(upright.get_pixel(8, 28), [0, 0, 255], 8);
}

#[test]
fn what_is_no_picture_is_broken() {
    assert_eq!(cause(b""), Cause::BrokenPicture);
    assert_eq!(cause(b"a caption, not a picture"), Cause::BrokenPicture);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let bytes = encode(gradient(64, 48), format);
        for kept in [10, bytes.len() / 2, bytes.len() * 9 / 10] {
            assert_eq!(cause(&bytes[..kept]), Cause::BrokenPicture, "{format:?} cut to {kept}");
        }
    }
}

#[test]
fn a_huge_picture_is_refused_by_its_header() {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let side = 20_000_u32.to_be_bytes();
    chunk(&mut png, b"IHDR", &[&side[..], &side, &[8, 2, 0, 0, 0]].concat());
    chunk(&mut png, b"IDAT", &[0x78, 0x01]);
    let started = Instant::now();
    let bad = decode(&png, "huge.png").unwrap_err();
    assert_eq!(bad.cause, Cause::OversizedPicture);
    assert!(bad.detail.contains("20000 x 20000"), "{bad}");
    assert!(started.elapsed() < Duration::from_millis(100));
}

/// A PNG chunk with its checksum.
fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut crc = !0_u32;
    for &byte in kind.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend((!crc).to_be_bytes());
}

/// Normalised values are the pixels' own, from 0 to 1.
const UNIT: Preprocess = Preprocess {
    size: 32,
    resize: None,
    crop: false,
    rounding: Rounding::Torchvision,
    interpolation: Interpolation::Bicubic,
    mean: [0.0; 3],
    std: [1.0; 3],
};

#[test]
fn a_constant_picture_normalises_to_its_own_formula() {
    for crop in [false, true] {
        let preprocess = Preprocess { size: 16, crop, ..Preprocess::default() };
        let values = preprocess.apply(&RgbImage::from_pixel(40, 23, Rgb([255, 128, 0])));
        assert_eq!(values.len(), 3 * 16 * 16);
        for (channel, byte) in [255.0, 128.0, 0.0].into_iter().enumerate() {
            let expected = (byte / 255.0 - preprocess.mean[channel]) / preprocess.std[channel];
            for value in &values[channel * 256..(channel + 1) * 256] {
                assert!((value - expected).abs() < 1e-5, "{value} is not {expected}");
            }
        }
    }
}

#[test]
fn a_picture_of_the_right_size_keeps_its_pixels() {
    let picture = gradient(16, 16);
    for crop in [false, true] {
        let preprocess = Preprocess { size: 16, crop, ..Preprocess::default() };
        assert_eq!(preprocess.apply(&picture), preprocess.normalise(&picture));
    }
    let values = Preprocess { size: 16, ..Preprocess::default() }.normalise(&picture);
    let expected = (f32::from(picture.get_pixel(3, 5)[1]) / 255.0 - 0.457_827_5) / 0.261_302_6;
    assert!((values[256 + 5 * 16 + 3] - expected).abs() < 1e-6);
}

#[test]
fn a_crop_shows_the_middle_and_a_squeeze_shows_all() {
    // Red, green, blue thirds: the middle square is green.
    let picture = RgbImage::from_fn(96, 32, |x, _| {
        let mut colour = [0; 3];
        colour[x as usize / 32] = 255;
        Rgb(colour)
    });
    let unit = Preprocess { size: 32, crop: true, ..UNIT };
    let green = |values: &[f32]| values[1024..2048].iter().sum::<f32>() / 1024.0;
    assert!(green(&unit.apply(&picture)) > 0.97);
    let squeezed = Preprocess { crop: false, ..unit.clone() }.apply(&picture);
    assert!((green(&squeezed) - 1.0 / 3.0).abs() < 0.03);
    // Neither shape needs more than the picture's own memory.
    assert_eq!(unit.apply(&RgbImage::new(1, 60_000)).len(), 3 * 1024);
}

#[test]
fn halving_averages_and_does_not_alias() {
    let board = RgbImage::from_fn(64, 64, |x, y| Rgb([((x + y) % 2 * 255) as u8; 3]));
    let unit = Preprocess { size: 16, ..UNIT };
    for value in unit.apply(&board) {
        assert!((value - 0.5).abs() < 0.03, "{value}");
    }
}

const OFF: Augment = Augment {
    crop_scale: [1.0, 1.0],
    crop_ratio: [0.75, 4.0 / 3.0],
    flip: 0.0,
    rand_ops: 0,
    rand_magnitude: 7.0,
    fill: [128; 3],
};

#[test]
fn augmentation_that_is_off_is_a_plain_resize() {
    use Interpolation::{Bicubic, Bilinear, Lanczos, Nearest};
    for interpolation in [Nearest, Bilinear, Bicubic, Lanczos] {
        let preprocess = Preprocess { size: 24, interpolation, ..Preprocess::default() };
        for picture in [gradient(24, 24), gradient(61, 33)] {
            let mut rng = addressed(1, 0, "k", "augment");
            let augmented = OFF.apply(&picture, 24, interpolation, &mut rng);
            assert_eq!(preprocess.normalise(&augmented), preprocess.apply(&picture));
        }
    }
}

#[test]
fn a_flip_exchanges_left_and_right() {
    let flip = Augment { flip: 1.0, ..OFF };
    let mut rng = addressed(1, 0, "k", "augment");
    let flipped = flip.apply(&gradient(24, 24), 24, Interpolation::Bicubic, &mut rng);
    assert_eq!(flipped, image::imageops::flip_horizontal(&gradient(24, 24)));
}

#[test]
fn augmentation_is_a_function_of_its_address() {
    let augment = Augment::default();
    let draw = |key: &str, epoch| {
        let mut rng = addressed(1, epoch, key, "augment");
        augment.apply(&gradient(50, 40), 32, Interpolation::Bicubic, &mut rng)
    };
    assert_eq!(draw("a", 0), draw("a", 0));
    assert_ne!(draw("a", 0), draw("b", 0));
    assert_ne!(draw("a", 0), draw("a", 1));
}

#[test]
fn any_shape_of_picture_can_be_augmented() {
    for (width, height) in [(1, 1), (1, 500), (500, 1), (3, 2), (2, 90), (640, 480)] {
        for epoch in 0..20 {
            let mut rng = addressed(3, epoch, "k", "augment");
            let whole = gradient(width, height);
            let picture = Augment::default().apply(&whole, 17, Interpolation::Bicubic, &mut rng);
            assert_eq!(picture.dimensions(), (17, 17));
        }
    }
}

/// The pixels themselves, so that a machine or a version that computes others is noticed.
#[test]
fn augmented_pixels_are_the_same_everywhere() {
    let mut sums: Vec<u64> = Vec::new();
    for epoch in 0..8 {
        let mut rng = addressed(7, epoch, "k", "augment");
        let whole = gradient(50, 40);
        let picture = Augment::default().apply(&whole, 16, Interpolation::Bicubic, &mut rng);
        sums.push(
            picture.iter().enumerate().map(|(i, &v)| (i as u64 % 7 + 1) * u64::from(v)).sum(),
        );
    }
    assert_eq!(sums, [305960, 322551, 445922, 297507, 272944, 289225, 328807, 292189]);
}

#[test]
fn a_misspelt_setting_is_an_error() {
    assert!(toml::from_str::<Augment>("flip = 0.1").is_ok());
    assert!(toml::from_str::<Augment>("flipp = 0.1").is_err());
    assert!(toml::from_str::<Preprocess>("sise = 1").is_err());
}
