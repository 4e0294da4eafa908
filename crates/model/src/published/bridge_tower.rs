//! BridgeTower with its heads (Xu et al. 2023), and METER's wiring of the same parts.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use weft_fusion::{
    CoAttentionConfig, CoAttentionFusion, ConnectionConfig, ConnectionKind, Streams,
};
use weft_kernels::{cross_entropy, l2_normalize};
use weft_nn::index::indices;
use weft_nn::init::{linear, normal};
use weft_nn::{Activation, AttentionMask, Linear, NormPosition, TransformerConfig, first_token};
use weft_text::TextEncoder;
use weft_vision::{Vit, VitConfig};

use super::Published;
use super::checkpoint::{Checkpoint, Dialect};
use super::clip::vision_embeddings;
use super::config::Config;
use super::error::PublishedError;
use super::io::{Inputs, Outputs, required, wrong};
use super::names::Names;
use super::text::{TextKind, TextSizes, block, cross_attention};
use super::vision::{check, image_size, patch_size, pictures};
use crate::heads::{MlmHead, MlmHeadConfig};

pub(super) const DIALECT: Dialect = Dialect {
    prefixes: &["", "bridgetower."],
    spellings: &[],
    // The text encoder's own pooler and a norm per image layer are never read.
    ignored: &[
        "embeddings.position_ids",
        "embeddings.token_type_ids",
        "text_model.pooler.",
        "visual.ln_separate.",
    ],
};

/// A tensor that every model of this kind has.
pub(super) const PROBE: &str = "text_model.embeddings.word_embeddings.weight";

/// Heads have 64 columns in the image encoder.
const VISION_HEAD_WIDTH: usize = 64;

/// What stands on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    None,
    Matching,
    MaskedWords,
    Contrast,
}

/// Encoders, co-attention and a head.
#[derive(Module, Debug)]
pub struct BridgeTower {
    pub text: TextEncoder,
    pub vision: Vit,
    pub fusion: CoAttentionFusion,
    pub itm: Option<Linear>,
    pub mlm: Option<MaskedWords>,
    pub itc: Option<Contrast>,
    bridged: bool,
    vocab_size: usize,
    positions: usize,
    padding: Option<usize>,
    patch_size: usize,
}

/// The head of masked words.
#[derive(Module, Debug)]
pub struct MaskedWords {
    pub head: MlmHead,
    /// Output weights, `[vocab_size, width]`; the word embeddings themselves where absent.
    pub decoder: Option<Param<Tensor<2>>>,
}

/// The heads of the contrastive objective.
#[derive(Module, Debug)]
pub struct Contrast {
    pub text: Linear,
    pub image: Linear,
    pub cross: Linear,
    /// Logarithm of the similarities' factor, `[1]`.
    pub scale: Param<Tensor<1>>,
}

struct Sizes {
    text: TextSizes,
    vision: VitConfig,
    fusion: CoAttentionConfig,
}

impl Sizes {
    fn read(config: &Config, bridged: bool) -> Result<Self, PublishedError> {
        let (text_config, vision_config) =
            (config.table("text_config")?, config.table("vision_config")?);
        let mut text = TextSizes::read(TextKind::BridgeTower, &text_config)?;
        // The reference calls the layers themselves, without the mask of a decoder.
        text.encoder.causal = false;
        let vision = vision(&vision_config)?;
        let width = config.number("hidden_size", 768)?;
        let text_width = text.encoder.transformer.width;
        if width != text_width {
            let detail = format!("{width}, but text_config.hidden_size is {text_width}");
            return Err(config.wrong("hidden_size", detail));
        }
        let depth = config.number("num_hidden_layers", 6)?;
        let fusion = CoAttentionConfig {
            connection: if bridged { bridge(config)? } else { ConnectionConfig::default() },
            share_projections: config.flag("share_cross_modal_transformer_layers", true)?,
            norm_epsilon: config.float("layer_norm_eps", 1e-5)?,
            transformer: TransformerConfig {
                depth,
                memory_width: Some(width),
                ..text.encoder.transformer.clone()
            },
        };
        let enough = |layers: usize| !bridged || layers >= depth;
        let (layers, blocks) = (text.encoder.transformer.depth, vision.transformer.depth);
        // One fusion layer reads the last of the image encoder, several read those beside the text's.
        if !enough(layers) || (bridged && depth > 1 && blocks < layers) {
            let detail = format!("{depth} layers over {layers} of text and {blocks} of image");
            return Err(config.wrong("num_hidden_layers", detail));
        }
        fusion
            .validate()
            .map_err(|source| PublishedError::Sizes { path: config.path().into(), source })?;
        Ok(Self { text, vision, fusion })
    }
}

fn vision(config: &Config) -> Result<VitConfig, PublishedError> {
    let width = config.number("hidden_size", 768)?;
    let last = usize::from(config.flag("remove_last_layer", false)?);
    let transformer = TransformerConfig {
        activation: Activation::QuickGelu,
        norm_epsilon: config.float("layer_norm_eps", 1e-5)?,
        ..TransformerConfig::new(
            width,
            config.number("num_hidden_layers", 12)?.saturating_sub(last),
            width / VISION_HEAD_WIDTH,
            NormPosition::Pre,
        )
    };
    let patch_size = patch_size(config, 16)?;
    let sizes = VitConfig {
        image_size: image_size(config, 288, patch_size)?,
        patch_bias: false,
        embedding_norm: true,
        ..VitConfig::new(patch_size, patch_size, transformer)
    };
    check(&sizes, config)?;
    Ok(sizes)
}

fn bridge(config: &Config) -> Result<ConnectionConfig, PublishedError> {
    const SHARED: &str = "share_link_tower_layers";
    if config.flag(SHARED, false)? {
        return Err(config.wrong(SHARED, "not supported, nor by the reference's forward pass"));
    }
    match config.text("link_tower_type", "add")?.as_str() {
        "add" => Ok(ConnectionConfig::new(ConnectionKind::Add)),
        "scaled_add" => Ok(ConnectionConfig::new(ConnectionKind::ScaledAdd)),
        "interpolate" => Ok(ConnectionConfig::new(ConnectionKind::Interpolate)),
        other => Err(config.wrong("link_tower_type", format!("unknown: {other}"))),
    }
}

fn vision_names(sizes: &VitConfig) -> Names {
    let mut names = Names::default();
    vision_embeddings(&mut names, "embeddings", sizes);
    names.norm("ln_pre", "embedding_norm");
    for layer in 0..sizes.transformer.depth {
        let (theirs, ours) =
            (format!("transformer.resblocks.{layer}"), format!("stack.blocks.{layer}"));
        let parts = ["query", "key", "value"].map(|part| format!("{ours}.attention.{part}"));
        names.stacked(&format!("{theirs}.attn.in_proj_"), &parts);
        let output = format!("{ours}.attention.output");
        names.linear(&format!("{theirs}.attn.out_proj"), &output, true);
        names.norm(&format!("{theirs}.ln_1"), &format!("{ours}.attention_norm"));
        let feed = format!("{ours}.feed_forward");
        names.linear(&format!("{theirs}.mlp.c_fc"), &format!("{feed}.expand"), true);
        names.linear(&format!("{theirs}.mlp.c_proj"), &format!("{feed}.contract"), true);
        names.norm(&format!("{theirs}.ln_2"), &format!("{ours}.feed_forward_norm"));
    }
    names.norm("ln_post", "stack.norm");
    names
}

fn fusion_names(sizes: &CoAttentionConfig, checkpoint: &Checkpoint) -> Names {
    let mut names = Names::default();
    names.same("token_type_embeddings.weight", "modality");
    for stream in ["text", "image"] {
        let (theirs, ours) = (format!("cross_modal_{stream}"), format!("{stream}_projection"));
        match checkpoint.has(&format!("{theirs}_transform.weight")) {
            true => names.linear(&format!("{theirs}_transform"), &format!("{ours}.0"), true),
            false => (0..sizes.transformer.depth).for_each(|layer| {
                let theirs = format!("{theirs}_transform.{layer}");
                names.linear(&theirs, &format!("{ours}.{layer}"), true);
            }),
        }
        for layer in 0..sizes.transformer.depth {
            let (theirs, ours) =
                (format!("{theirs}_layers.{layer}"), format!("{stream}_blocks.{layer}"));
            block(&mut names, &theirs, &ours);
            cross_attention(&mut names, &theirs, &ours);
        }
        names.linear(&format!("{theirs}_pooler.dense"), &format!("{stream}_pooler.dense"), true);
        if !sizes.connection.is_bridge() {
            continue;
        }
        names.norm(&format!("{theirs}_layernorm"), &format!("{stream}_norm"));
        for layer in 0..sizes.transformer.depth - 1 {
            let (theirs, ours) =
                (format!("{theirs}_link_tower.{layer}"), format!("{stream}_links.bridges.{layer}"));
            let weight = format!("{ours}.weight");
            match sizes.connection.kind {
                ConnectionKind::ScaledAdd => {
                    names.reshaped(&format!("{theirs}.scaled_factor"), &weight, &[]);
                }
                ConnectionKind::Interpolate => {
                    names.reshaped(&format!("{theirs}.beta"), &weight, &[]);
                }
                _ => {}
            }
            names.norm(&format!("{theirs}.LayerNorm"), &format!("{ours}.norm"));
        }
    }
    names
}

impl BridgeTower {
    /// Without bridges it is METER.
    pub(super) fn new(
        config: &Config,
        head: Head,
        bridged: bool,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<(Self, Names), PublishedError> {
        let sizes = Sizes::read(config, bridged)?;
        let mut names = Names::default();
        names.nest("text_model.", "text.", sizes.text.names());
        names.nest("vision_model.visual.", "vision.", vision_names(&sizes.vision));
        names.nest("", "fusion.", fusion_names(&sizes.fusion, checkpoint));
        let width = sizes.fusion.transformer.width;
        let text = sizes.text.encoder.init(sizes.text.vocab_size, device);
        let vision_width = sizes.vision.transformer.width;
        let (itm, mlm, itc) = match head {
            Head::None => (None, None, None),
            Head::Matching => {
                names.linear("itm_score.fc", "itm", true);
                (Some(linear(2 * width, 2, device)), None, None)
            }
            Head::MaskedWords => {
                let mlm = masked_words(config, &sizes, &mut names, device)?;
                (None, Some(mlm), None)
            }
            Head::Contrast => {
                let output = checkpoint.rows("itc_text_head.fc.weight")?;
                (None, None, Some(contrast(width, output, &mut names, device)))
            }
        };
        let model = Self {
            text,
            vision: sizes.vision.init(device),
            fusion: sizes.fusion.init(vision_width, width, device),
            itm,
            mlm,
            itc,
            bridged,
            vocab_size: sizes.text.vocab_size,
            positions: sizes.text.encoder.max_tokens,
            padding: sizes.text.padding(),
            patch_size: sizes.vision.patch_size,
        };
        Ok((model, names))
    }

    /// Both streams after each fusion layer.
    fn fuse(
        &self,
        text: &[Tensor<3>],
        image: &[Tensor<3>],
        padding: Option<&AttentionMask>,
    ) -> Vec<Streams> {
        let normed = |x: &Tensor<3>| self.vision.stack.finish(x.clone());
        if !self.bridged {
            let last = [text[text.len() - 1].clone()];
            return self.fusion.forward(&last, &[normed(&image[image.len() - 1])], padding);
        }
        let depth = self.fusion.text_blocks.len();
        let image = &image[..read(text, image)];
        let image: Vec<Tensor<3>> = image[image.len() - depth..].iter().map(normed).collect();
        self.fusion.forward(&text[text.len() - depth..], &image, padding)
    }
}

impl BridgeTower {
    /// The cross-entropy of `labels`, where they are given.
    fn push_loss(
        &self,
        outputs: &mut Outputs,
        inputs: &Inputs,
        logits: Tensor<2>,
    ) -> Result<(), PublishedError> {
        let [items, classes] = logits.dims();
        let Some(labels) = inputs.classes("labels", classes)? else {
            return Ok(());
        };
        let given = required("labels", inputs.get("labels"))?;
        if given.shape.iter().product::<usize>() != items {
            return Err(wrong("labels", format!("{:?} for {items} items", given.shape)));
        }
        let logits = logits.select(0, labels.items);
        outputs.push_number("loss", cross_entropy(logits, labels.classes));
        Ok(())
    }
}

impl Contrast {
    /// The mean over the three pairs of views of the cross-entropy with which a view finds its own
    /// among the batch's. `embeds`: text, image, cross, `[batch, width]`.
    fn loss(&self, embeds: &[Tensor<2>; 3], device: &Device) -> Tensor<1> {
        let [batch, _] = embeds[0].dims();
        let own = indices(0..batch, device);
        let scale = self.scale.val().exp().unsqueeze::<2>();
        let losses = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| {
            let similarities = embeds[a].clone().matmul(embeds[b].clone().transpose());
            cross_entropy(similarities * scale.clone(), own.clone())
        });
        Tensor::cat(losses.to_vec(), 0).mean()
    }
}

/// How many states of the image encoder are read: no more than the text encoder has.
fn read(text: &[Tensor<3>], image: &[Tensor<3>]) -> usize {
    text.len().min(image.len())
}

fn masked_words(
    config: &Config,
    sizes: &Sizes,
    names: &mut Names,
    device: &Device,
) -> Result<MaskedWords, PublishedError> {
    let width = sizes.fusion.transformer.width;
    names.linear("mlm_score.transform.dense", "mlm.head.transform", true);
    names.norm("mlm_score.transform.LayerNorm", "mlm.head.norm");
    names.same("mlm_score.bias", "mlm.head.bias");
    let tied = config.flag("tie_word_embeddings", false)?;
    match tied {
        true => names.unused.push("mlm_score.decoder.weight".into()),
        false => names.same("mlm_score.decoder.weight", "mlm.decoder"),
    }
    let head = MlmHeadConfig {
        activation: config.activation("hidden_act", "gelu")?,
        norm_epsilon: config.float("layer_norm_eps", 1e-5)?,
        ..MlmHeadConfig::new(width, width, sizes.text.vocab_size)
    };
    Ok(MaskedWords {
        head: head.init(device),
        decoder: (!tied).then(|| normal().init([sizes.text.vocab_size, width], device)),
    })
}

fn contrast(width: usize, output: usize, names: &mut Names, device: &Device) -> Contrast {
    names.linear("itc_text_head.fc", "itc.text", true);
    names.linear("itc_image_head.fc", "itc.image", true);
    names.linear("itc_cross_modal_head.fc", "itc.cross", true);
    names.reshaped("logit_scale", "itc.scale", &[]);
    Contrast {
        text: linear(width, output, device),
        image: linear(width, output, device),
        cross: linear(2 * width, output, device),
        scale: Param::from_tensor(Tensor::from_floats([1.0], device)),
    }
}

impl Published for BridgeTower {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let ids = inputs.texts(self.vocab_size, self.positions, self.padding)?;
        let padding = inputs.mask("attention_mask")?;
        // The reference's forward pass takes these and makes no use of them.
        inputs.get("token_type_ids");
        inputs.get("pixel_mask");
        // Row 1 of two is the only one that the reference's pictures can have.
        inputs.get("image_token_type_idx");
        let pixels = pictures(inputs, self.patch_size)?;
        let text = self.text.states(&ids.into(), padding.as_ref(), None);
        let image = self.vision.states(pixels, None, None);
        let states = self.fuse(&text, &image, padding.as_ref());
        let last = &states[states.len() - 1];
        let pooled = self.fusion.pool(last);
        let mut outputs = Outputs::default();
        if let Some(itm) = &self.itm {
            let logits = itm.forward(pooled);
            self.push_loss(&mut outputs, inputs, logits.clone())?;
            outputs.push("logits", logits);
        } else if let Some(mlm) = &self.mlm {
            let [batch, tokens, width] = last.text.dims();
            let table = match &mlm.decoder {
                Some(decoder) => decoder.val(),
                None => self.text.embeddings.word.weight.val(),
            };
            let x = last.text.clone().reshape([batch * tokens, width]);
            let logits = mlm.head.forward(x, table);
            self.push_loss(&mut outputs, inputs, logits.clone())?;
            outputs.push("logits", logits.reshape([batch, tokens, self.vocab_size]));
        } else if let Some(itc) = &self.itc {
            let seen = self.vision.stack.finish(image[read(&text, &image) - 1].clone());
            let seen = first_token(self.fusion.project_image(seen, 0));
            let words = first_token(text[text.len() - 1].clone());
            let embeds = [
                l2_normalize(itc.text.forward(words)),
                l2_normalize(itc.image.forward(seen)),
                l2_normalize(itc.cross.forward(pooled)),
            ];
            outputs.push("logits", Tensor::stack::<3>(embeds.to_vec(), 1));
            if inputs.flag("return_loss") {
                outputs.push_number("loss", itc.loss(&embeds, inputs.device()));
            }
            for (name, embeds) in ["text_embeds", "image_embeds", "cross_embeds"].iter().zip(embeds)
            {
                outputs.push(*name, embeds);
            }
        } else {
            // Taken without use by the reference's model without a head.
            inputs.get("labels");
            outputs.push("text_features", last.text.clone());
            outputs.push("image_features", last.image.clone());
            outputs.push("pooler_output", pooled);
        }
        outputs.push_all("hidden_states.0", &text);
        // The reference keeps these with the tokens in front of the batch.
        for (index, state) in image.iter().take(text.len()).enumerate() {
            outputs.push(format!("hidden_states.1.{index}"), state.clone().swap_dims(0, 1));
        }
        for (index, Streams { text, image }) in states.iter().enumerate() {
            outputs.push(format!("hidden_states.2.{index}.0"), text.clone());
            outputs.push(format!("hidden_states.2.{index}.1"), image.clone());
        }
        Ok(outputs)
    }
}
