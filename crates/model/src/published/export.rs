//! Encoders of ours as folders that the reference library loads.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, Param};
use serde_json::{Value, json};
use weft_nn::{ConfigError, NormPosition, TransformerConfig};
use weft_text::{Positions, TextEncoder, TextEncoderConfig};
use weft_vision::{ImageSize, Vit, VitConfig};

use super::config::activation_name;
use super::error::PublishedError;
use super::names::Names;
use super::text::TextSizes;
use super::vision::{VisionKind, dino_hidden};
use super::{clip, named, parameters};

/// Writes the image encoder as a ViT, as DINOv2 where it has layer scale, or as CLIP's where its
/// embeddings are normalised: `config.json` and `model.safetensors`. ViT and CLIP have no mask token,
/// so it stays out of those.
///
/// # Errors
///
/// Where the reference has no such encoder, or a file cannot be written.
pub fn export_vision(vit: &Vit, sizes: &VitConfig, folder: &Path) -> Result<(), PublishedError> {
    let transformer = &sizes.transformer;
    let fail = |problem: &str| Err(unknown("model.vision", problem, folder));
    if sizes.regions.is_some() {
        return fail("no published image encoder of this kind sees a detector's regions");
    }
    if transformer.norm != NormPosition::Pre {
        return fail("no published image encoder normalises behind its blocks");
    }
    let (names, config) = match (transformer.layer_scale, sizes.embedding_norm) {
        (Some(_), true) => return fail("layer scale and a norm of the embeddings"),
        (Some(scale), false) if sizes.patch_bias => {
            let Some(ratio) = dino_ratio(transformer) else {
                return fail("DINOv2's hidden width is a whole number of widths");
            };
            // Of several spellings the first is the published one.
            (VisionKind::Dino.names(sizes, true).remove(0), dino_config(sizes, scale, ratio))
        }
        (None, true) if !sizes.patch_bias => (clip::vision_names(sizes), clip_config(sizes)),
        (None, false) if sizes.patch_bias && !transformer.gated => {
            let kind = if sizes.distillation_token { VisionKind::Deit } else { VisionKind::Vit };
            (kind.names(sizes, false).remove(0), vit_config(sizes, kind))
        }
        _ => {
            return fail("no published image encoder has this patch bias and this kind of network");
        }
    };
    write(vit, &names, config, folder)
}

/// Writes the text encoder as BERT, or as RoBERTa where its positions follow padding: `config.json`
/// and `model.safetensors`.
///
/// # Errors
///
/// Where the reference has no such encoder, or a file cannot be written.
pub fn export_text(
    text: &TextEncoder,
    sizes: &TextEncoderConfig,
    vocab_size: usize,
    folder: &Path,
) -> Result<(), PublishedError> {
    let transformer = &sizes.transformer;
    let plain = transformer.norm == NormPosition::Post
        && sizes.embedding_norm
        && sizes.token_types > 0
        && transformer.qkv_bias
        && !transformer.gated
        && !sizes.causal
        && transformer.layer_scale.is_none()
        && transformer.memory_width.is_none();
    if !plain {
        let problem = "it is not BERT's: norms behind the blocks and the embeddings, segments, \
                       biases, no gates, no causal mask";
        return Err(unknown("model.text", problem, folder));
    }
    let names = TextSizes::new(sizes.clone(), vocab_size).names();
    // The rows of phrases stand behind those of the words, and the reference has none.
    let table = text.embeddings.word.weight.val();
    let [rows, width] = table.dims();
    let mut text = text.clone();
    if rows > vocab_size {
        text.embeddings.word.weight = Param::from_tensor(table.slice([0..vocab_size, 0..width]));
    }
    write(&text, &names, text_config(sizes, vocab_size), folder)
}

fn unknown(part: &str, problem: &str, folder: &Path) -> PublishedError {
    PublishedError::Sizes { path: folder.into(), source: ConfigError::new(part, problem) }
}

fn write<M: Module>(
    module: &M,
    names: &Names,
    config: Value,
    folder: &Path,
) -> Result<(), PublishedError> {
    let file = |path: &Path, error: std::io::Error| PublishedError::File {
        path: path.into(),
        detail: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(|error| file(folder, error))?;
    let tensors = named(names, &parameters::values(module));
    weft_weights::write(folder.join("model.safetensors"), &tensors, &BTreeMap::new())?;
    let path = folder.join("config.json");
    std::fs::write(&path, format!("{config:#}\n")).map_err(|error| file(&path, error))
}

/// What all of the reference's transformers have.
fn common(class: &str, kind: &str, transformer: &TransformerConfig) -> Value {
    json!({
        "architectures": [class],
        "model_type": kind,
        "dtype": "float32",
        "hidden_size": transformer.width,
        "num_hidden_layers": transformer.depth,
        "num_attention_heads": transformer.heads,
        "hidden_act": activation_name(transformer.activation),
        "layer_norm_eps": transformer.norm_epsilon,
    })
}

fn with(mut config: Value, more: Value) -> Value {
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    config
}

fn image_size(size: ImageSize) -> Value {
    match size.side() {
        Some(side) => json!(side),
        None => json!([size.height, size.width]),
    }
}

fn vit_config(sizes: &VitConfig, kind: VisionKind) -> Value {
    let (class, name) = match kind {
        VisionKind::Deit => ("DeiTModel", "deit"),
        _ => ("ViTModel", "vit"),
    };
    with(
        common(class, name, &sizes.transformer),
        json!({
            "image_size": image_size(sizes.image_size),
            "patch_size": sizes.patch_size,
            "num_channels": 3,
            "intermediate_size": sizes.transformer.hidden(),
            "qkv_bias": sizes.transformer.qkv_bias,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }),
    )
}

fn dino_config(sizes: &VitConfig, scale: f64, ratio: usize) -> Value {
    with(
        common("Dinov2Model", "dinov2", &sizes.transformer),
        json!({
            "image_size": image_size(sizes.image_size),
            "patch_size": sizes.patch_size,
            "num_channels": 3,
            "mlp_ratio": ratio,
            "use_swiglu_ffn": sizes.transformer.gated,
            "qkv_bias": sizes.transformer.qkv_bias,
            "layerscale_value": scale,
            "use_mask_token": true,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }),
    )
}

/// The whole number that the reference's configuration holds, where there is one.
fn dino_ratio(transformer: &TransformerConfig) -> Option<usize> {
    let TransformerConfig { width, gated, .. } = *transformer;
    let most = 2 * transformer.hidden() / width + 1;
    (1..=most).find(|ratio| dino_hidden(width, *ratio as f64, gated) == transformer.hidden())
}

fn clip_config(sizes: &VitConfig) -> Value {
    with(
        common("CLIPVisionModel", "clip_vision_model", &sizes.transformer),
        json!({
            "image_size": image_size(sizes.image_size),
            "patch_size": sizes.patch_size,
            "num_channels": 3,
            "intermediate_size": sizes.transformer.hidden(),
            "attention_dropout": 0.0,
        }),
    )
}

fn text_config(sizes: &TextEncoderConfig, vocab_size: usize) -> Value {
    let (class, name) = match sizes.positions {
        Positions::Absolute => ("BertModel", "bert"),
        Positions::AfterPadding => ("RobertaModel", "roberta"),
    };
    with(
        common(class, name, &sizes.transformer),
        json!({
            "vocab_size": vocab_size,
            "max_position_embeddings": sizes.max_tokens,
            "type_vocab_size": sizes.token_types,
            "pad_token_id": sizes.padding_id.unwrap_or(0),
            "intermediate_size": sizes.transformer.hidden(),
            "hidden_dropout_prob": sizes.transformer.dropout,
            "attention_probs_dropout_prob": 0.0,
        }),
    )
}
