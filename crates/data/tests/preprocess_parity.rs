//! Preprocessing against torchvision and Pillow, on the pictures of `tests/parity/preprocess`; the
//! program that wrote them stands beside that folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};
use proptest::prelude::*;
use serde::Deserialize;
use weft_data::decode::decode;
use weft_data::preprocess::{Interpolation, Preprocess, Rounding};

/// What `expected.json` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    cases: Vec<Case>,
    /// What each of `configs/` asks for, by name.
    configs: BTreeMap<String, Preprocess>,
}

/// One way to preprocess, and the pictures it was tried on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    spec: Preprocess,
    /// File names, in the order in which the results stand below each other in the picture
    /// `expected/<name>.png`.
    pictures: Vec<String>,
    /// Channel, row, column and value of a few normalised numbers, by picture.
    samples: BTreeMap<String, Vec<(usize, usize, usize, f32)>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/preprocess")
}

fn expected() -> Expected {
    let json = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn picture(path: &str) -> RgbImage {
    decode(&std::fs::read(folder().join(path)).unwrap(), path).unwrap()
}

/// Each case with its pictures and what the reference made of them.
fn for_each_picture(mut check: impl FnMut(&Case, &str, &RgbImage, &RgbImage)) {
    let cases = expected().cases;
    assert!(cases.len() >= 9, "{} cases", cases.len());
    for case in cases {
        let results = picture(&format!("expected/{}.png", case.name));
        let side = case.spec.size as u32;
        assert_eq!(results.dimensions(), (side, side * case.pictures.len() as u32));
        for (row, name) in case.pictures.iter().enumerate() {
            let result = imageops::crop_imm(&results, 0, row as u32 * side, side, side).to_image();
            check(&case, name, &picture(&format!("pictures/{name}")), &result);
        }
    }
}

/// No tolerance: the arithmetic is Pillow's own, in whole numbers.
#[test]
fn the_pixels_are_those_of_the_reference() {
    let mut pictures = std::collections::BTreeSet::new();
    for_each_picture(|case, name, picture, expected| {
        let found = case.spec.pixels(picture);
        let differences = || found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b));
        let worst = differences().max().unwrap();
        let mean = differences().map(f64::from).sum::<f64>() / differences().count() as f64;
        assert!(
            worst == 0,
            "{} of {name}: {worst} levels at most, {mean:.4} on average",
            case.name
        );
        pictures.insert(name.to_owned());
    });
    assert!(pictures.len() >= 20, "{} pictures", pictures.len());
}

#[test]
fn the_normalised_numbers_are_those_of_the_reference() {
    let mut compared = 0;
    for_each_picture(|case, name, picture, _| {
        let size = case.spec.size;
        let found = case.spec.apply(picture);
        assert_eq!(found.len(), 3 * size * size);
        for &(channel, row, column, value) in &case.samples[name] {
            let found = found[(channel * size + row) * size + column];
            // Of two 32 bit numbers up to 3, from the same operations in the same order.
            assert!(
                (found - value).abs() < 1e-6,
                "{} of {name}: {found} is not {value}",
                case.name
            );
            compared += 1;
        }
    });
    assert!(compared >= 9 * 8 * 20, "{compared} numbers");
}

#[test]
fn published_configurations_are_read() {
    let configs = expected().configs;
    assert!(configs.len() >= 5);
    for (name, mut expected) in configs {
        let path = folder().join(format!("configs/{name}.json"));
        let json = std::fs::read_to_string(path).unwrap();
        expected.resize = expected.resize.filter(|&resize| resize != expected.size);
        assert_eq!(Preprocess::from_hf(&json).unwrap(), expected, "{name}");
        let nested = format!(r#"{{"processor_class": "P", "image_processor": {json}}}"#);
        assert_eq!(Preprocess::from_hf(&nested).unwrap(), expected, "{name}");
    }
}

/// The CLIP configuration with some keys replaced; a null stands for a key that is not there.
fn config(replaced: serde_json::Value) -> Result<Preprocess, String> {
    let json = std::fs::read_to_string(folder().join("configs/clip.json")).unwrap();
    let mut keys: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (key, value) in replaced.as_object().unwrap() {
        keys[key] = value.clone();
    }
    Preprocess::from_hf(&keys.to_string()).map_err(|error| error.to_string())
}

#[test]
fn sizes_are_read_in_all_their_spellings() {
    use serde_json::json;
    let shape = |replaced| {
        let spec = config(replaced).unwrap();
        (spec.size, spec.resize, spec.crop)
    };
    assert_eq!(shape(json!({"size": 256})), (224, Some(256), true));
    assert_eq!(shape(json!({"size": 224, "crop_size": 224})), (224, None, true));
    assert_eq!(shape(json!({"size": 256, "default_to_square": true})), (224, Some(256), false));
    let deit = json!({"size": 256, "image_processor_type": "DeiTFeatureExtractor"});
    assert_eq!(shape(deit), (224, Some(256), false));
    let vit = json!({"size": 384, "image_processor_type": "ViTFeatureExtractor",
        "do_center_crop": null, "crop_size": null});
    assert_eq!(shape(vit), (384, None, false));
    let blip = json!({"size": {"height": 384, "width": 384}, "do_center_crop": false});
    assert_eq!(shape(blip), (384, None, false));
    // As the oldest files have it: whether to cut is told by whether there is something to cut.
    assert_eq!(shape(json!({"do_center_crop": null})), (224, None, true));
}

#[test]
fn what_weft_cannot_do_is_refused_by_its_key() {
    use serde_json::json;
    let refused = [
        (json!({"resample": 4}), "resample"),
        (json!({"resample": "bicubic"}), "resample"),
        (json!({"resample": null}), "resample"),
        (json!({"do_resize": false}), "do_resize"),
        (json!({"do_rescale": false}), "do_rescale"),
        (json!({"rescale_factor": 0.5}), "rescale_factor"),
        (json!({"do_normalize": "yes"}), "do_normalize"),
        (json!({"image_mean": null}), "image_mean"),
        (json!({"image_mean": [0.5, 0.5]}), "image_mean"),
        (json!({"image_std": [0.5, 0.5, "a"]}), "image_std"),
        (json!({"image_std": [0.5, 0.5, 0.0]}), "std"),
        (json!({"size": null}), "size"),
        (json!({"size": 0}), "size"),
        (json!({"size": -3}), "size"),
        (json!({"size": {"height": 224, "width": 336}}), "size"),
        (json!({"size": {"shortest_edge": 224, "longest_edge": 500}}), "size"),
        (json!({"size": 224, "image_processor_type": "LevitImageProcessor"}), "size"),
        // Pictures of many shapes.
        (json!({"do_center_crop": false}), "size"),
        (json!({"crop_size": null}), "crop_size"),
        (json!({"crop_size": {"height": 224, "width": 112}}), "crop_size"),
        // The reference would put a black frame around it.
        (json!({"size": {"shortest_edge": 200}}), "resize 200"),
        (json!({"crop_pct": 0.875}), "crop_pct"),
        (json!({"size_divisor": 32}), "size_divisor"),
        (json!({"do_flip_channel_order": true}), "do_flip_channel_order"),
    ];
    for (replaced, key) in refused {
        let error = config(replaced.clone()).unwrap_err();
        assert!(error.contains(key), "{replaced}: {error}");
        assert!(error.starts_with("preprocessor_config.json: "), "{error}");
    }
    for json in ["", "[]", "{", r#"{"image_processor": 3}"#] {
        assert!(Preprocess::from_hf(json).is_err(), "{json}");
    }
    // What is off, empty or about something else changes nothing.
    let clip = config(json!({})).unwrap();
    let harmless = json!({"do_pad": false, "pad_size": null, "processor_class": "CLIPProcessor"});
    assert_eq!(config(harmless).unwrap(), clip);
    let plain = config(json!({"do_normalize": false})).unwrap();
    assert_eq!((plain.mean, plain.std), ([0.0; 3], [1.0; 3]));
}

#[test]
fn older_files_of_weft_mean_what_they_meant() {
    let old = r#"{"size": 72, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop": true}"#;
    let spec: Preprocess = serde_json::from_str(old).unwrap();
    assert_eq!((spec.size, spec.resize, spec.crop), (72, None, true));
    assert_eq!(spec.interpolation, Interpolation::Bicubic);
    assert_eq!(spec.rounding, Rounding::Torchvision);
    let toml = "size = 72\nresize = 84\ninterpolation = \"lanczos\"";
    let spec: Preprocess = toml::from_str(toml).unwrap();
    assert_eq!((spec.resize, spec.interpolation), (Some(84), Interpolation::Lanczos));
    assert!(toml::from_str::<Preprocess>("interpolation = \"cubic\"").is_err());
}

#[test]
fn settings_that_cannot_work_are_named() {
    let spec = Preprocess::default();
    assert!(spec.check().is_ok());
    for (spec, name) in [
        (Preprocess { size: 0, ..spec.clone() }, "size"),
        (Preprocess { resize: Some(223), ..spec.clone() }, "resize"),
        (Preprocess { std: [1.0, 0.0, 1.0], ..spec.clone() }, "std"),
        (Preprocess { mean: [f32::NAN; 3], ..spec.clone() }, "mean"),
    ] {
        assert!(spec.check().unwrap_err().to_string().starts_with(name));
    }
}

fn any_spec() -> impl Strategy<Value = Preprocess> {
    let interpolation = prop::sample::select(vec![
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
    ]);
    let channels = || prop::array::uniform3(0.01_f32..1.0);
    let shape = (1_usize..40, 0_usize..9, any::<bool>());
    (shape, interpolation, channels(), channels()).prop_map(
        |((size, margin, crop), interpolation, mean, std)| {
            let resize = Some(size + margin).filter(|_| margin > 0);
            // As a file of transformers implies it: it matters where something is cut off.
            let rounding = match (crop, resize) {
                (false, None) => Rounding::Torchvision,
                _ => Rounding::Transformers,
            };
            Preprocess { size, resize, crop, rounding, interpolation, mean, std }
        },
    )
}

proptest! {
    #[test]
    fn a_spec_survives_writing_and_reading(spec in any_spec()) {
        prop_assert_eq!(Preprocess::from_hf(&spec.to_hf().unwrap()).unwrap(), spec.clone());
        let json = serde_json::to_string(&spec).unwrap();
        prop_assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), spec);
    }

    /// A resize keeps what a picture of one colour is, whatever its shape and the filter.
    #[test]
    fn one_colour_stays_one_colour(
        spec in any_spec(), width in 0_u32..70, height in 1_u32..70, colour: [u8; 3],
    ) {
        let pixels = spec.pixels(&RgbImage::from_pixel(width, height, image::Rgb(colour)));
        prop_assert_eq!(pixels.width() as usize, spec.size);
        let expected = if width == 0 { [0; 3] } else { colour };
        prop_assert!(pixels.pixels().all(|pixel| pixel.0 == expected));
    }

    #[test]
    fn text_is_no_configuration(text in r#"[\{\}\[\]":,a-z_0-9 .]{0,40}"#) {
        prop_assert!(Preprocess::from_hf(&text).is_err());
        for key in ["size", "crop_size", "resample", "do_center_crop", "image_std", "rescale_factor"] {
            let error = config(serde_json::json!({ key: text })).unwrap_err();
            prop_assert!(error.contains(key), "{}", error);
        }
    }
}
