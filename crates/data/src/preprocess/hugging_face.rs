//! The `preprocessor_config.json` of a model published at Hugging Face.
//!
//! A setting that would change the pixels and that weft does not have is an error, never a guess:
//! a model that sees its pictures a little wrongly does not fail, it is only a little worse.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Interpolation, Preprocess, Rounding};
use crate::error::DataError;

/// The file's name, in errors.
const ORIGIN: &str = "preprocessor_config.json";

/// The filters that weft has, in the order of [`code`].
const FILTERS: [Interpolation; 4] = [
    Interpolation::Nearest,
    Interpolation::Lanczos,
    Interpolation::Bilinear,
    Interpolation::Bicubic,
];

/// Pillow's number for a filter.
fn code(filter: Interpolation) -> u64 {
    match filter {
        Interpolation::Nearest => 0,
        Interpolation::Lanczos => 1,
        Interpolation::Bilinear => 2,
        Interpolation::Bicubic => 3,
    }
}

/// Keys that say nothing of the pixels.
const HARMLESS: [&str; 11] = [
    "_valid_processor_keys",
    "auto_map",
    "data_format",
    "device",
    "disable_grouping",
    // The decoder gives RGB whatever the picture is.
    "do_convert_rgb",
    "feature_extractor_type",
    "image_processor_type",
    "input_data_format",
    "processor_class",
    "return_tensors",
];

impl Preprocess {
    /// Reads a `preprocessor_config.json`, or a `processor_config.json` with one in it.
    ///
    /// # Errors
    /// Names the key that is missing, malformed or not supported, and what was expected of it.
    pub fn from_hf(json: &str) -> Result<Self, DataError> {
        let mut config = Config::parse(json)?;
        for step in ["do_resize", "do_rescale"] {
            if !config.flag(step)?.unwrap_or(true) {
                return Err(refused(step, "false", "true"));
            }
        }
        if let Some(factor) = config.take("rescale_factor")
            && !factor.as_f64().is_some_and(|factor| (factor * 255.0 - 1.0).abs() < 1e-4)
        {
            return Err(refused("rescale_factor", factor, "1/255"));
        }
        let interpolation = config.interpolation()?;
        let crop_size = config.take("crop_size");
        let cuts = config.flag("do_center_crop")?.unwrap_or(crop_size.is_some());
        let (resize, crop) = config.size(cuts)?;
        let size = match crop_size {
            Some(crop_size) if cuts => square("crop_size", &crop_size)?,
            None if cuts => return Err(missing("crop_size", "the side of the square to cut out")),
            _ if crop => {
                let found = "the short side alone, without do_center_crop";
                return Err(refused("size", found, "a square picture"));
            }
            _ => resize,
        };
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        let normalises = config.flag("do_normalize")?.unwrap_or(true);
        for (key, values) in [("image_mean", &mut mean), ("image_std", &mut std)] {
            let given = config.take(key);
            if normalises {
                *values = channels(key, given)?;
            }
        }
        config.finish()?;
        let resize = Some(resize).filter(|&resize| resize != size);
        let rounding = if cuts { Rounding::Transformers } else { Rounding::default() };
        let spec = Preprocess { size, resize, crop, rounding, interpolation, mean, std };
        spec.check().map_err(|error| malformed(error.to_string()))?;
        Ok(spec)
    }

    /// The settings as a `preprocessor_config.json` for transformers' `CLIPImageProcessor`. It has
    /// no word for the rounding, which is [`Rounding::Transformers`] for whoever reads it.
    pub fn to_hf(&self) -> Result<String, DataError> {
        let resize = self.resized();
        let size = if self.crop {
            Size::Short { shortest_edge: resize }
        } else {
            Size::Both { height: resize, width: resize }
        };
        let written = Written {
            image_processor_type: "CLIPImageProcessor",
            do_convert_rgb: true,
            do_resize: true,
            size,
            resample: code(self.interpolation),
            do_center_crop: self.crop || resize != self.size,
            crop_size: Size::Both { height: self.size, width: self.size },
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: self.mean,
            image_std: self.std,
        };
        serde_json::to_string_pretty(&written).map_err(|error| malformed(error.to_string()))
    }
}

/// What [`Preprocess::to_hf`] writes.
#[derive(Serialize)]
struct Written {
    image_processor_type: &'static str,
    do_convert_rgb: bool,
    do_resize: bool,
    size: Size,
    resample: u64,
    do_center_crop: bool,
    crop_size: Size,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Size {
    Short { shortest_edge: usize },
    Both { height: usize, width: usize },
}

/// The keys of a configuration that have not been read yet.
struct Config(Map<String, Value>);

impl Config {
    fn parse(json: &str) -> Result<Self, DataError> {
        let value: Value =
            serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
        let Value::Object(mut keys) = value else {
            return Err(malformed("expected an object".into()));
        };
        match keys.remove("image_processor") {
            Some(Value::Object(inner)) => Ok(Config(inner)),
            Some(other) => Err(refused("image_processor", other, "an object")),
            None => Ok(Config(keys)),
        }
    }

    /// Removes `key`; a null is no value.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, DataError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(refused(key, other, "true or false")),
        }
    }

    fn interpolation(&mut self) -> Result<Interpolation, DataError> {
        let expected = "0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)";
        // The default depends on the processor: 3 for CLIP's, 2 for ViT's.
        let resample = self.take("resample").ok_or_else(|| missing("resample", expected))?;
        let filter = FILTERS.into_iter().find(|filter| resample.as_u64() == Some(code(*filter)));
        filter.ok_or_else(|| refused("resample", resample, expected))
    }

    /// What `size` asks for: a length, and whether it is that of the short side alone.
    fn size(&mut self, cuts: bool) -> Result<(usize, bool), DataError> {
        let to_square = self.flag("default_to_square")?;
        let expected = "a whole number, shortest_edge, or height and width";
        let size = self.take("size").ok_or_else(|| missing("size", expected))?;
        if size.is_number() {
            let squeezed = to_square.or_else(|| self.squeezes_numbers(cuts)).ok_or_else(|| {
                refused("size", &size, "shortest_edge or height and width, to tell them apart")
            })?;
            return Ok((square("size", &size)?, !squeezed));
        }
        match size.get("shortest_edge") {
            Some(short) if size.as_object().is_some_and(|keys| keys.len() == 1) => {
                Ok((length("size.shortest_edge", short)?, true))
            }
            Some(_) => Err(refused("size", size, "shortest_edge alone")),
            None => Ok((square("size", &size)?, false)),
        }
    }

    /// Whether a plain number as `size` is a square's side, which old files leave to their class.
    fn squeezes_numbers(&self, cuts: bool) -> Option<bool> {
        let class = ["image_processor_type", "feature_extractor_type"]
            .iter()
            .find_map(|key| self.0.get(*key)?.as_str())
            .unwrap_or_default();
        if class.contains("CLIP") {
            return Some(false);
        }
        // Without a crop, only a square gives pictures of one shape.
        (!cuts || class.starts_with("DeiT") || class.starts_with("Beit")).then_some(true)
    }

    /// An error for a key that is left and that may say something of the pixels.
    fn finish(self) -> Result<(), DataError> {
        let off = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
        let mut keys = self.0.into_iter();
        match keys.find(|(key, value)| !HARMLESS.contains(&key.as_str()) && !off(value)) {
            Some((key, value)) => Err(refused(&key, value, "no such setting: weft has none")),
            None => Ok(()),
        }
    }
}

/// The side of a square: a number, or a height and a width that are the same.
fn square(key: &str, value: &Value) -> Result<usize, DataError> {
    let Value::Object(sides) = value else {
        return length(key, value);
    };
    match (sides.get("height"), sides.get("width")) {
        (Some(height), Some(width)) if height == width && sides.len() == 2 => length(key, height),
        _ => Err(refused(key, value, "height and width of a square")),
    }
}

fn length(key: &str, value: &Value) -> Result<usize, DataError> {
    /// Beyond any encoder, and small enough that no product of lengths overflows.
    const LONGEST: u64 = 1 << 16;
    match value.as_u64() {
        Some(length @ 1..=LONGEST) => Ok(length as usize),
        _ => Err(refused(key, value, "a length in pixels")),
    }
}

fn channels(key: &str, value: Option<Value>) -> Result<[f32; 3], DataError> {
    let expected = "three numbers";
    let value = value.ok_or_else(|| missing(key, expected))?;
    let numbers: Option<Vec<f32>> = value
        .as_array()
        .and_then(|values| values.iter().map(|value| Some(value.as_f64()? as f32)).collect());
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| refused(key, value, expected))
}

fn missing(key: &str, expected: &str) -> DataError {
    malformed(format!("`{key}` is missing: expected {expected}"))
}

fn refused(key: &str, found: impl std::fmt::Display, expected: &str) -> DataError {
    malformed(format!("`{key}` is {found}: expected {expected}"))
}

fn malformed(detail: String) -> DataError {
    DataError::Malformed { origin: ORIGIN.into(), detail }
}
