//! Parts of a model that start from published encoders.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use weft_fusion::{JointFusion, JointFusionConfig};
use weft_nn::TransformerConfig;
use weft_text::{TextEncoder, TextEncoderConfig};
use weft_vision::positions::resample;
use weft_vision::{Grid, Resampling, Vit, VitConfig};
use weft_weights::{Array, Data, Weights};

use super::checkpoint::{Checkpoint, Coverage, Values};
use super::config::Config;
use super::error::PublishedError;
use super::names::best;
use super::text::{self, TextKind, TextSizes};
use super::vision::{self, VisionKind};
use super::{clip, parameters};

const POSITIONS: &str = "position_embedding";
const BLOCKS: &str = "stack.blocks.";

/// `vit` with the weights of the published image encoder in `folder`: a ViT, DeiT, DINOv2 or CLIP, of
/// which the first layers are taken where `sizes` has fewer. Positions are resampled to the grid of
/// `sizes`; DeiT's distillation token stays out.
///
/// # Errors
///
/// Where the folder cannot be read, its encoder computes something else than `sizes` does, or a tensor
/// is missing.
pub fn start_vision(
    vit: Vit,
    sizes: &VitConfig,
    folder: &Path,
    device: &Device,
) -> Result<(Vit, Coverage), PublishedError> {
    let config = Config::read(folder)?;
    let (kind, config) = vision_kind(&config)?;
    let mut theirs = match kind {
        Some(kind) => kind.sizes(&config)?,
        None => clip::vision_sizes(&config)?,
    };
    let mut agreement = Agreement::new("model.vision");
    agreement.check("patch_size", sizes.patch_size, theirs.patch_size);
    agreement.check("patch_bias", sizes.patch_bias, theirs.patch_bias);
    agreement.check("embedding_norm", sizes.embedding_norm, theirs.embedding_norm);
    agreement.transformers(&sizes.transformer, &theirs.transformer);
    agreement.finish(&config)?;
    theirs.transformer.depth = sizes.transformer.depth;

    let weights = Weights::open(folder)?;
    let (dialect, probe) = match kind {
        Some(kind) => (kind.dialect(), vision::PROBE),
        None => (&clip::DIALECT, clip::VISION_PROBE),
    };
    let checkpoint = Checkpoint::new(&weights, dialect, probe);
    let names = match kind {
        Some(kind) => kind.names(&theirs, checkpoint.has(vision::MASK_TOKEN)),
        None => vec![clip::vision_names(&theirs)],
    };
    let names = best(&names, |name| checkpoint.has(name));
    let shapes = parameters::shapes(&theirs.init(device));
    let (mut values, mut coverage) = checkpoint.read(names, &shapes)?;
    coverage.complete(weights.path(), &[])?;
    values.remove("distillation_token");
    resample_positions(&mut values, &theirs, sizes, &mut coverage, device);
    Ok((parameters::assign(vit, values), coverage))
}

/// The kind of an image encoder and its table in the configuration; none for CLIP's.
fn vision_kind(config: &Config) -> Result<(Option<VisionKind>, Config), PublishedError> {
    let kind = config.text("model_type", "")?;
    Ok(match kind.as_str() {
        "vit" => (Some(VisionKind::Vit), config.clone()),
        "deit" => (Some(VisionKind::Deit), config.clone()),
        "dinov2" => (Some(VisionKind::Dino), config.clone()),
        "clip_vision_model" => (None, config.clone()),
        "clip" => (None, clip::tower(config, "vision_config")?),
        other => {
            let detail =
                format!("\"{other}\": expected vit, deit, dinov2, clip_vision_model or clip");
            return Err(config.wrong("model_type", detail));
        }
    })
}

fn resample_positions(
    values: &mut Values,
    theirs: &VitConfig,
    ours: &VitConfig,
    coverage: &mut Coverage,
    device: &Device,
) {
    let Some(Array { data: Data::Float(table), .. }) = values.get(POSITIONS) else {
        return;
    };
    let (from, to, width) = (theirs.grid(), ours.grid(), theirs.transformer.width);
    // The class token's position, and those of the patches behind all special tokens.
    let mut positions = table[..width].to_vec();
    let patches = table[theirs.special_tokens() * width..].to_vec();
    if from == to {
        positions.extend(patches);
    } else {
        let device = device.clone().without_autodiff();
        let data = TensorData::new(patches, [from.patches(), width]);
        let resampled = resample(Tensor::from_data(data, &device), from, to, Resampling::Bicubic);
        positions.extend(resampled.into_data().iter::<f32>());
        let grid = |grid: Grid| format!("{} x {}", grid.rows, grid.columns);
        coverage.reshaped.push(format!("positions of {} patches to {}", grid(from), grid(to)));
    }
    let shape = vec![1, 1 + to.patches(), width];
    values.insert(POSITIONS.into(), Array { shape, data: Data::Float(positions) });
}

/// What starts from a published text encoder.
pub struct StartedText {
    pub text: TextEncoder,
    /// Where one was given.
    pub fusion: Option<JointFusion>,
    pub coverage: Coverage,
    /// Where the fusion encoder starts: at which of their layers, or why it starts anew.
    pub fusion_from: Result<usize, String>,
}

/// `text` with the embeddings and the first layers of the published text encoder in `folder` (BERT,
/// RoBERTa, XLM-R), and the joint fusion encoder with its last layers, as ALBEF and MAMO start from
/// BERT. It starts anew where there are not enough layers for both, or its blocks compute something
/// else; other fusion encoders start anew.
///
/// # Errors
///
/// Where the folder cannot be read, its encoder computes something else than `sizes` does, its
/// vocabulary is another, or a tensor is missing.
pub fn start_text(
    (text, sizes): (TextEncoder, &TextEncoderConfig),
    joint: Option<(JointFusion, JointFusionConfig)>,
    vocab_size: usize,
    folder: &Path,
    device: &Device,
) -> Result<StartedText, PublishedError> {
    let config = Config::read(folder)?;
    let mut theirs = TextSizes::read(text_kind(&config)?, &config)?;
    text_agrees(sizes, vocab_size, &theirs, &config)?;

    let weights = Weights::open(folder)?;
    let checkpoint = Checkpoint::new(&weights, &text::DIALECT, text::PROBE);
    let fusion_from = match &joint {
        Some((_, fusion)) => fusion_start(sizes, fusion, &theirs.encoder.transformer),
        None => Err("it is not of one stream".into()),
    };
    if fusion_from.is_err() {
        // The layers behind the text encoder's are then of no use.
        theirs.encoder.transformer.depth = sizes.transformer.depth;
    }
    let shapes = parameters::shapes(&theirs.encoder.init(theirs.vocab_size, device));
    let (values, mut coverage) = checkpoint.read(&theirs.names(), &shapes)?;
    coverage.complete(weights.path(), &[])?;
    let (mut of_text, mut of_fusion) = (Values::new(), Values::new());
    for (name, value) in values {
        match layer(&name) {
            Some((layer, _)) if layer < sizes.transformer.depth => {
                of_text.insert(name, value);
            }
            Some((layer, inner)) => {
                if let Some(index) = fusion_from.as_ref().ok().and_then(|f| layer.checked_sub(*f)) {
                    of_fusion.insert(format!("{BLOCKS}{index}.{inner}"), value);
                }
            }
            None => {
                of_text.insert(name, value);
            }
        }
    }
    cut(&mut of_text, "embeddings.position", sizes.max_tokens, "positions", &mut coverage);
    cut(&mut of_text, "embeddings.token_type", sizes.token_types, "segment types", &mut coverage);
    lengthen(&mut of_text, "embeddings.word.weight", text.embeddings.word.weight.val());
    Ok(StartedText {
        text: parameters::assign(text, of_text),
        fusion: joint.map(|(fusion, _)| parameters::assign(fusion, of_fusion)),
        coverage,
        fusion_from,
    })
}

/// A block's number and the rest of the path of a parameter in a block.
fn layer(name: &str) -> Option<(usize, &str)> {
    let (layer, inner) = name.strip_prefix(BLOCKS)?.split_once('.')?;
    Some((layer.parse().ok()?, inner))
}

fn text_kind(config: &Config) -> Result<TextKind, PublishedError> {
    match config.text("model_type", "")?.as_str() {
        "bert" => Ok(TextKind::Bert),
        "roberta" => Ok(TextKind::Roberta),
        "xlm-roberta" => Ok(TextKind::XlmRoberta),
        other => {
            let detail = format!("\"{other}\": expected bert, roberta or xlm-roberta");
            Err(config.wrong("model_type", detail))
        }
    }
}

fn text_agrees(
    ours: &TextEncoderConfig,
    vocab_size: usize,
    theirs: &TextSizes,
    config: &Config,
) -> Result<(), PublishedError> {
    let mut agreement = Agreement::new("model.text");
    agreement.check("positions", ours.positions, theirs.encoder.positions);
    agreement.check("causal", ours.causal, theirs.encoder.causal);
    agreement.check("embedding_norm", ours.embedding_norm, theirs.encoder.embedding_norm);
    agreement.check("vocab_size (the tokenizer's)", vocab_size, theirs.vocab_size);
    agreement.at_most("max_tokens", ours.max_tokens, theirs.encoder.max_tokens);
    agreement.at_most("token_types", ours.token_types, theirs.encoder.token_types);
    agreement.transformers(&ours.transformer, &theirs.encoder.transformer);
    agreement.finish(config)
}

/// The published layer from which the fusion encoder starts, or why it does not.
fn fusion_start(
    text: &TextEncoderConfig,
    fusion: &JointFusionConfig,
    theirs: &TransformerConfig,
) -> Result<usize, String> {
    let mut agreement = Agreement::new("model.fusion");
    agreement.transformers(&fusion.transformer, theirs);
    if !agreement.differences.is_empty() {
        return Err(agreement.differences.join("; "));
    }
    match theirs.depth.checked_sub(fusion.transformer.depth) {
        Some(first) if first >= text.transformer.depth => Ok(first),
        _ => Err(format!(
            "{} layers are not enough for {} of text and {} of fusion",
            theirs.depth, text.transformer.depth, fusion.transformer.depth
        )),
    }
}

/// Keeps the first rows of a table.
fn cut(values: &mut Values, name: &str, rows: usize, what: &str, coverage: &mut Coverage) {
    let Some(Array { shape, data: Data::Float(table) }) = values.get_mut(name) else {
        return;
    };
    if shape[0] > rows {
        coverage.reshaped.push(format!("{} {what} to the first {rows}", shape[0]));
        table.truncate(rows * shape[1]);
        shape[0] = rows;
    }
}

/// Puts the last rows of our own table, those of phrases, behind the published ones.
fn lengthen(values: &mut Values, name: &str, own: Tensor<2>) {
    let Some(Array { shape, data: Data::Float(table) }) = values.get_mut(name) else {
        return;
    };
    let [rows, width] = own.dims();
    if rows > shape[0] {
        let behind = own.narrow(0, shape[0], rows - shape[0]).into_data();
        table.extend(behind.iter::<f32>());
        *shape = vec![rows, width];
    }
}

/// Whether a recipe's part computes what a published one does.
struct Agreement {
    part: &'static str,
    differences: Vec<String>,
}

impl Agreement {
    fn new(part: &'static str) -> Self {
        Self { part, differences: vec![] }
    }

    fn check<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, ours: T, theirs: T) {
        if ours != theirs {
            let part = self.part;
            self.differences.push(format!("{part}.{key} is {ours:?}, the published {theirs:?}"));
        }
    }

    fn at_most(&mut self, key: &str, ours: usize, theirs: usize) {
        if ours > theirs {
            let part = self.part;
            self.differences
                .push(format!("{part}.{key} is {ours}, the published at most {theirs}"));
        }
    }

    fn transformers(&mut self, ours: &TransformerConfig, theirs: &TransformerConfig) {
        self.check("transformer.width", ours.width, theirs.width);
        self.check("transformer.heads", ours.heads, theirs.heads);
        self.check("transformer.norm", ours.norm, theirs.norm);
        self.check("transformer.activation", ours.activation, theirs.activation);
        self.check("transformer.gated", ours.gated, theirs.gated);
        self.check("transformer.qkv_bias", ours.qkv_bias, theirs.qkv_bias);
        self.check("transformer.memory_width", ours.memory_width, theirs.memory_width);
        self.check("transformer.norm_epsilon", ours.norm_epsilon, theirs.norm_epsilon);
        self.check("hidden width", ours.hidden(), theirs.hidden());
        self.check(
            "transformer.layer_scale",
            ours.layer_scale.is_some(),
            theirs.layer_scale.is_some(),
        );
        self.at_most("transformer.depth", ours.depth, theirs.depth);
    }

    fn finish(self, config: &Config) -> Result<(), PublishedError> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let (path, differences) = (config.path().into(), self.differences);
        Err(PublishedError::Disagrees { path, differences })
    }
}
