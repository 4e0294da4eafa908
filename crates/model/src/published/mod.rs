//! Models as others publish them: by their `config.json`, their weights and their names.
//!
//! [`open`] reads a Hugging Face folder of any class in [`CLASSES`] into weft's own modules, which
//! compute what the reference computes (`tests/parity` holds them to it, forward and backward).

mod bridge_tower;
mod checkpoint;
mod clip;
mod config;
mod error;
mod export;
mod io;
mod layout;
mod names;
mod parameters;
mod start;
mod text;
mod vilt;
mod vision;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Gradients};
use weft_weights::{Array, Weights};

pub use bridge_tower::BridgeTower;
pub use checkpoint::Coverage;
pub use clip::{ClipText, ClipVision};
pub use config::Config;
pub use error::PublishedError;
pub use export::{export_text, export_vision};
pub use io::{Inputs, Output, Outputs};
pub use start::{StartedText, start_text, start_vision};
pub use text::{TextKind, TextModel, TextSizes};
pub use vilt::Vilt;
pub use vision::{VisionKind, VisionModel};

use bridge_tower::Head;
use checkpoint::{Checkpoint, Dialect, canonical};
use layout::to_theirs;
use names::{Entry, Names, best};

/// The classes of the reference that [`open`] knows. METER's is not the reference's own: its wiring
/// is BridgeTower's without bridges.
pub const CLASSES: [&str; 15] = [
    "BertModel",
    "RobertaModel",
    "XLMRobertaModel",
    "BlipTextModel",
    "CLIPTextModelWithProjection",
    "ViTModel",
    "DeiTModel",
    "Dinov2Model",
    "CLIPVisionModelWithProjection",
    "ViltModel",
    "BridgeTowerModel",
    "BridgeTowerForImageAndTextRetrieval",
    "BridgeTowerForMaskedLM",
    "BridgeTowerForContrastiveLearning",
    "MeterModel",
];

/// The forward pass of a published model.
pub trait Published {
    /// Computes every field of the reference's output that weft knows.
    ///
    /// # Errors
    ///
    /// Where an input is missing or does not fit the model.
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError>;
}

/// A published model, whatever its class.
pub trait PublishedModel {
    /// As [`Published::run`]; an input that the model does not take is an error, too.
    ///
    /// # Errors
    ///
    /// Where an input is missing, unknown or does not fit the model.
    fn forward(&self, inputs: &Inputs) -> Result<Outputs, PublishedError>;

    /// The gradient of each parameter that has one, named and laid out as the reference's.
    /// Versions of the reference spell some differently: `like` are names in the wanted spelling, as
    /// [`canonical`](Self::canonical) gives them.
    fn gradients(&self, gradients: &Gradients, like: &[String]) -> BTreeMap<String, Array>;

    /// Each parameter, named and laid out as the reference's, spelt as `like`.
    fn tensors(&self, like: &[String]) -> BTreeMap<String, Array>;

    /// A parameter's name as [`gradients`](Self::gradients) and [`tensors`](Self::tensors) spell it;
    /// versions of the reference differ.
    fn canonical(&self, name: &str) -> String;
}

/// A module with the names of its parameters, in each spelling.
struct Named<M> {
    module: M,
    names: Vec<Names>,
    dialect: &'static Dialect,
}

impl<M: Module + Published> PublishedModel for Named<M> {
    fn forward(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let outputs = self.module.run(inputs)?;
        inputs.check_all_used()?;
        Ok(outputs)
    }

    fn gradients(&self, gradients: &Gradients, like: &[String]) -> BTreeMap<String, Array> {
        named(spelt(&self.names, like), &parameters::gradients(&self.module, gradients))
    }

    fn tensors(&self, like: &[String]) -> BTreeMap<String, Array> {
        named(spelt(&self.names, like), &parameters::values(&self.module))
    }

    fn canonical(&self, name: &str) -> String {
        let found = self.dialect.prefixes.iter().rev().find_map(|prefix| name.strip_prefix(prefix));
        canonical(found.unwrap_or(name), self.dialect.spellings)
    }
}

fn spelt<'a>(names: &'a [Names], like: &[String]) -> &'a Names {
    best(names, |name| like.iter().any(|wanted| wanted == name))
}

/// `values`, by our paths, under the reference's names. A tensor of which only some parts are there is
/// left out.
fn named(names: &Names, values: &BTreeMap<String, Array>) -> BTreeMap<String, Array> {
    let mut groups: BTreeMap<&str, Vec<(&Entry, &Array)>> = BTreeMap::new();
    for entry in &names.entries {
        if let Some(value) = values.get(&entry.ours) {
            groups.entry(&entry.theirs).or_default().push((entry, value));
        }
    }
    groups.retain(|_, group| group.len() == group[0].0.part.map_or(1, |(_, parts)| parts));
    groups.into_iter().map(|(name, group)| (name.to_string(), to_theirs(&group))).collect()
}

/// Reads a model from a Hugging Face folder: `config.json` beside weights.
///
/// # Errors
///
/// Where the class is none of [`CLASSES`], the configuration or the weights cannot be read, or a
/// tensor has another shape. Missing tensors are none: they stand in the coverage.
pub fn open(
    folder: &Path,
    device: &Device,
) -> Result<(Box<dyn PublishedModel>, Coverage), PublishedError> {
    open_as(&Config::read(folder)?.class()?, folder, device)
}

/// As [`open`], for a class that `config.json` may not name: the encoder under another head, say.
///
/// # Errors
///
/// As [`open`].
pub fn open_as(
    class: &str,
    folder: &Path,
    device: &Device,
) -> Result<(Box<dyn PublishedModel>, Coverage), PublishedError> {
    let config = Config::read(folder)?;
    if !CLASSES.contains(&class) {
        let detail = format!("{class} is unknown; known are {}", CLASSES.join(", "));
        return Err(config.wrong("architectures", detail));
    }
    let weights = Weights::open(folder)?;
    let weights = &weights;
    match class {
        "BertModel" => text(TextKind::Bert, &config, weights, device),
        "RobertaModel" => text(TextKind::Roberta, &config, weights, device),
        "XLMRobertaModel" => text(TextKind::XlmRoberta, &config, weights, device),
        "BlipTextModel" => text(TextKind::Blip, &config, weights, device),
        "ViTModel" => vision(VisionKind::Vit, &config, weights, device),
        "DeiTModel" => vision(VisionKind::Deit, &config, weights, device),
        "Dinov2Model" => vision(VisionKind::Dino, &config, weights, device),
        "CLIPVisionModelWithProjection" => {
            let config = clip::tower(&config, "vision_config")?;
            let checkpoint = Checkpoint::new(weights, &clip::DIALECT, clip::VISION_PROBE);
            let (model, names) =
                ClipVision::new(&clip::vision_sizes(&config)?, &checkpoint, device)?;
            load(model, vec![names], &checkpoint, &clip::DIALECT)
        }
        "CLIPTextModelWithProjection" => {
            let config = clip::tower(&config, "text_config")?;
            let checkpoint = Checkpoint::new(weights, &clip::DIALECT, clip::TEXT_PROBE);
            let output = checkpoint.rows("text_projection.weight")?;
            let end = config.number("eos_token_id", 49407)?;
            let (model, names) = ClipText::new(&clip::text_sizes(&config)?, output, end, device);
            load(model, vec![names], &checkpoint, &clip::DIALECT)
        }
        "ViltModel" => {
            let checkpoint = Checkpoint::new(weights, &vilt::DIALECT, vilt::PROBE);
            let (model, names) = Vilt::new(&config, &checkpoint, device)?;
            load(model, vec![names], &checkpoint, &vilt::DIALECT)
        }
        "BridgeTowerModel" => bridge_tower(Head::None, true, &config, weights, device),
        "BridgeTowerForImageAndTextRetrieval" => {
            bridge_tower(Head::Matching, true, &config, weights, device)
        }
        "BridgeTowerForMaskedLM" => bridge_tower(Head::MaskedWords, true, &config, weights, device),
        "BridgeTowerForContrastiveLearning" => {
            bridge_tower(Head::Contrast, true, &config, weights, device)
        }
        "MeterModel" => bridge_tower(Head::None, false, &config, weights, device),
        other => unreachable!("{other} is none of CLASSES"),
    }
}

type Opened = Result<(Box<dyn PublishedModel>, Coverage), PublishedError>;

fn text(kind: TextKind, config: &Config, weights: &Weights, device: &Device) -> Opened {
    let checkpoint = Checkpoint::new(weights, &text::DIALECT, text::PROBE);
    let sizes = TextSizes::read(kind, config)?;
    let (model, names) = TextModel::new(&sizes, &checkpoint, device);
    load(model, vec![names], &checkpoint, &text::DIALECT)
}

fn vision(kind: VisionKind, config: &Config, weights: &Weights, device: &Device) -> Opened {
    let checkpoint = Checkpoint::new(weights, kind.dialect(), vision::PROBE);
    let (model, names) = VisionModel::new(kind, config, &checkpoint, device)?;
    load(model, names, &checkpoint, kind.dialect())
}

fn bridge_tower(
    head: Head,
    bridged: bool,
    config: &Config,
    weights: &Weights,
    device: &Device,
) -> Opened {
    let dialect = &bridge_tower::DIALECT;
    let checkpoint = Checkpoint::new(weights, dialect, bridge_tower::PROBE);
    let (model, names) = BridgeTower::new(config, head, bridged, &checkpoint, device)?;
    load(model, vec![names], &checkpoint, dialect)
}

fn load<M: Module + Published + 'static>(
    module: M,
    names: Vec<Names>,
    checkpoint: &Checkpoint,
    dialect: &'static Dialect,
) -> Opened {
    let spelling = best(&names, |name| checkpoint.has(name));
    let (values, coverage) = checkpoint.read(spelling, &parameters::shapes(&module))?;
    let module = parameters::assign(module, values);
    Ok((Box::new(Named { module, names, dialect }), coverage))
}
