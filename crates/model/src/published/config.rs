//! `config.json` of a published model.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_nn::Activation;

use super::error::PublishedError;

/// A `config.json`, or a table in one.
#[derive(Debug, Clone)]
pub struct Config {
    path: PathBuf,
    /// Name of the table, with a dot behind it; empty for the file itself.
    table: String,
    value: Value,
}

impl Config {
    /// Reads `config.json` of a folder.
    ///
    /// # Errors
    ///
    /// Where it is missing or no JSON object.
    pub fn read(folder: &Path) -> Result<Self, PublishedError> {
        let path = folder.join("config.json");
        let fail = |detail: String| PublishedError::File { path: path.clone(), detail };
        let text = std::fs::read_to_string(&path).map_err(|error| fail(error.to_string()))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        if !value.is_object() {
            return Err(fail("expected an object".into()));
        }
        Ok(Self { path, table: String::new(), value })
    }

    /// The model's class, as the reference names it: the first of `architectures`; without one, what
    /// `model_type` stands for.
    ///
    /// # Errors
    ///
    /// Where neither is there.
    pub fn class(&self) -> Result<String, PublishedError> {
        if let Some(class) = self.value["architectures"][0].as_str() {
            return Ok(class.to_string());
        }
        self.base_class()
    }

    /// The class of the encoder or model itself, without a head, by `model_type`.
    ///
    /// # Errors
    ///
    /// Where there is no `model_type`, or weft does not know it.
    pub fn base_class(&self) -> Result<String, PublishedError> {
        let class = match self.text("model_type", "")?.as_str() {
            "bert" => "BertModel",
            "roberta" => "RobertaModel",
            "xlm-roberta" => "XLMRobertaModel",
            "vit" => "ViTModel",
            "deit" => "DeiTModel",
            "dinov2" => "Dinov2Model",
            "clip" => "CLIPModel",
            "clip_vision_model" => "CLIPVisionModelWithProjection",
            "clip_text_model" => "CLIPTextModelWithProjection",
            "blip_text_model" => "BlipTextModel",
            "vilt" => "ViltModel",
            "bridgetower" => "BridgeTowerModel",
            "" => return Err(self.wrong("architectures", "missing, and so is model_type")),
            other => return Err(self.wrong("model_type", format!("unknown: {other}"))),
        };
        Ok(class.to_string())
    }

    /// A table of this one.
    pub fn table(&self, key: &str) -> Result<Self, PublishedError> {
        let value = self.value[key].clone();
        if !value.is_object() {
            return Err(self.wrong(key, "expected a table"));
        }
        Ok(Self { path: self.path.clone(), table: format!("{}{key}.", self.table), value })
    }

    /// A whole number.
    pub fn number(&self, key: &str, default: usize) -> Result<usize, PublishedError> {
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        self.get(key, number, "a whole number").map(|found| found.unwrap_or(default))
    }

    /// A whole number that may be absent or null.
    pub fn optional(
        &self,
        key: &str,
        default: Option<usize>,
    ) -> Result<Option<usize>, PublishedError> {
        if self.value.get(key).is_some_and(Value::is_null) {
            return Ok(None);
        }
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        Ok(self.get(key, number, "a whole number")?.or(default))
    }

    /// A number.
    pub fn float(&self, key: &str, default: f64) -> Result<f64, PublishedError> {
        self.get(key, Value::as_f64, "a number").map(|found| found.unwrap_or(default))
    }

    /// True or false.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, PublishedError> {
        self.get(key, Value::as_bool, "true or false").map(|found| found.unwrap_or(default))
    }

    /// A string.
    pub fn text(&self, key: &str, default: &str) -> Result<String, PublishedError> {
        let text = |value: &Value| value.as_str().map(str::to_string);
        self.get(key, text, "a string").map(|found| found.unwrap_or_else(|| default.into()))
    }

    /// A side in pixels: a number, or height and width.
    pub fn sides(&self, key: &str, default: usize) -> Result<[usize; 2], PublishedError> {
        let side = |value: &Value| value.as_u64().map(|number| number as usize);
        let sides = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([height, width]) => Some([side(height)?, side(width)?]),
            Some(_) => None,
            None => side(value).map(|side| [side, side]),
        };
        let found = self.get(key, sides, "a number, or height and width")?;
        Ok(found.unwrap_or([default, default]))
    }

    /// An activation function by the reference's name.
    pub fn activation(&self, key: &str, default: &str) -> Result<Activation, PublishedError> {
        let name = self.text(key, default)?;
        activation(&name).ok_or_else(|| self.wrong(key, format!("unknown activation {name}")))
    }

    /// Major and minor version of the reference that wrote the file, where it says so.
    pub(super) fn version(&self) -> Result<Option<(u64, u64)>, PublishedError> {
        let version = self.text("transformers_version", "")?;
        let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
        Ok(parts.next().flatten().zip(parts.next().flatten()))
    }

    /// An error about a key.
    pub fn wrong(&self, key: &str, detail: impl Into<String>) -> PublishedError {
        PublishedError::Config {
            path: self.path.clone(),
            key: format!("{}{key}", self.table),
            detail: detail.into(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn get<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, PublishedError> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(found) => Ok(Some(found)),
                None => Err(self.wrong(key, format!("expected {expected}, found {value}"))),
            },
        }
    }
}

/// The reference's names of [`Activation`]s. Those that compute the same have several.
const ACTIVATIONS: [(&str, Activation); 12] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
];

fn activation(name: &str) -> Option<Activation> {
    ACTIVATIONS.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
}

/// The reference's name of an activation.
pub(super) fn activation_name(activation: Activation) -> &'static str {
    let found = ACTIVATIONS.iter().find(|(_, known)| *known == activation);
    found.map(|(name, _)| *name).expect("every activation stands in the table")
}
