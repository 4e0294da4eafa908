//! CLIP's image and text encoders with their projections (Radford et al. 2021).

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use weft_nn::init::linear_without_bias;
use weft_nn::{Linear, NormPosition, TransformerConfig, first_token};
use weft_text::{TextEncoder, TextEncoderConfig, TextInput};
use weft_vision::{Vit, VitConfig};

use super::Published;
use super::checkpoint::{Checkpoint, Dialect};
use super::config::Config;
use super::error::PublishedError;
use super::io::{Inputs, Outputs, required};
use super::names::{Names, Patch};
use super::text::TextSizes;
use super::vision::{check, image_size, patch_size, pictures};

pub(super) const DIALECT: Dialect =
    Dialect { prefixes: &[""], spellings: &[], ignored: &["embeddings.position_ids"] };

/// Tensors that every encoder of this kind has.
pub(super) const VISION_PROBE: &str = "vision_model.embeddings.class_embedding";
pub(super) const TEXT_PROBE: &str = "text_model.embeddings.token_embedding.weight";

/// The configuration of one encoder: a table of CLIP's, or the file itself where the encoder stands
/// alone.
pub(super) fn tower(config: &Config, table: &str) -> Result<Config, PublishedError> {
    match config.text("model_type", "")?.as_str() {
        "clip" => config.table(table),
        _ => Ok(config.clone()),
    }
}

/// What both encoders have.
fn transformer(
    config: &Config,
    default_width: usize,
    heads: usize,
) -> Result<TransformerConfig, PublishedError> {
    let width = config.number("hidden_size", default_width)?;
    let mlp = config.number("intermediate_size", 4 * default_width)?;
    Ok(TransformerConfig {
        mlp_ratio: mlp as f64 / width as f64,
        activation: config.activation("hidden_act", "quick_gelu")?,
        norm_epsilon: config.float("layer_norm_eps", 1e-5)?,
        ..TransformerConfig::new(
            width,
            config.number("num_hidden_layers", 12)?,
            config.number("num_attention_heads", heads)?,
            NormPosition::Pre,
        )
    })
}

/// Sizes of the image encoder from `config.json`, with the reference's defaults.
pub fn vision_sizes(config: &Config) -> Result<VitConfig, PublishedError> {
    let patch_size = patch_size(config, 32)?;
    let sizes = VitConfig {
        image_size: image_size(config, 224, patch_size)?,
        patch_bias: false,
        embedding_norm: true,
        ..VitConfig::new(patch_size, patch_size, transformer(config, 768, 12)?)
    };
    check(&sizes, config)?;
    Ok(sizes)
}

/// Sizes of the text encoder from `config.json`, with the reference's defaults.
pub fn text_sizes(config: &Config) -> Result<TextSizes, PublishedError> {
    let encoder = TextEncoderConfig {
        token_types: 0,
        embedding_norm: false,
        causal: true,
        ..TextEncoderConfig::new(
            config.number("max_position_embeddings", 77)?,
            transformer(config, 512, 8)?,
        )
    };
    let fail = |source| PublishedError::Sizes { path: config.path().into(), source };
    encoder.validate().map_err(fail)?;
    let vocab_size = config.number("vocab_size", 49408)?;
    Ok(TextSizes::new(encoder, vocab_size))
}

fn block(names: &mut Names, theirs: &str, ours: &str) {
    names.norm(&format!("{theirs}.layer_norm1"), &format!("{ours}.attention_norm"));
    let parts = [("q", "query"), ("k", "key"), ("v", "value"), ("out", "output")];
    for (from, to) in parts {
        names.linear(
            &format!("{theirs}.self_attn.{from}_proj"),
            &format!("{ours}.attention.{to}"),
            true,
        );
    }
    names.norm(&format!("{theirs}.layer_norm2"), &format!("{ours}.feed_forward_norm"));
    names.linear(&format!("{theirs}.mlp.fc1"), &format!("{ours}.feed_forward.expand"), true);
    names.linear(&format!("{theirs}.mlp.fc2"), &format!("{ours}.feed_forward.contract"), true);
}

/// Names of the parameters that stand in front of the layers of the image encoder, here and in
/// BridgeTower.
pub(super) fn vision_embeddings(names: &mut Names, theirs: &str, sizes: &VitConfig) {
    let width = sizes.transformer.width;
    names.reshaped(&format!("{theirs}.class_embedding"), "class_token", &[width]);
    let patch = Patch { width, size: sizes.patch_size, bias: false };
    names.patches(&format!("{theirs}.patch_embedding"), "patch_embedding.projection", &patch);
    names.reshaped(
        &format!("{theirs}.position_embedding.weight"),
        "position_embedding",
        &[1 + sizes.grid().patches(), width],
    );
}

/// Names of the image encoder's parameters.
pub(super) fn vision_names(sizes: &VitConfig) -> Names {
    let mut names = Names::default();
    vision_embeddings(&mut names, "vision_model.embeddings", sizes);
    names.norm("vision_model.pre_layrnorm", "embedding_norm");
    for layer in 0..sizes.transformer.depth {
        let theirs = format!("vision_model.encoder.layers.{layer}");
        block(&mut names, &theirs, &format!("stack.blocks.{layer}"));
    }
    names.norm("vision_model.post_layernorm", "stack.norm");
    names
}

fn text_names(sizes: &TextEncoderConfig) -> Names {
    let mut names = Names::default();
    names.same("text_model.embeddings.token_embedding.weight", "embeddings.word.weight");
    names.same("text_model.embeddings.position_embedding.weight", "embeddings.position");
    for layer in 0..sizes.transformer.depth {
        let theirs = format!("text_model.encoder.layers.{layer}");
        block(&mut names, &theirs, &format!("stack.blocks.{layer}"));
    }
    names.norm("text_model.final_layer_norm", "stack.norm");
    names
}

/// The image encoder with the projection that may follow it.
#[derive(Module, Debug)]
pub struct ClipVision {
    pub encoder: Vit,
    pub projection: Option<Linear>,
    patch_size: usize,
}

impl ClipVision {
    /// Initial weights; `checkpoint` says whether there is a projection.
    pub(super) fn new(
        sizes: &VitConfig,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<(Self, Names), PublishedError> {
        const PROJECTION: &str = "visual_projection.weight";
        let mut names = Names::default();
        names.nest("", "encoder.", vision_names(sizes));
        let projection = match checkpoint.has(PROJECTION) {
            true => {
                names.linear("visual_projection", "projection", false);
                let (width, output) = (sizes.transformer.width, checkpoint.rows(PROJECTION)?);
                Some(linear_without_bias(width, output, device))
            }
            false => None,
        };
        let (encoder, patch_size) = (sizes.init(device), sizes.patch_size);
        Ok((Self { encoder, projection, patch_size }, names))
    }
}

impl Published for ClipVision {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let states = self.encoder.states(pictures(inputs, self.patch_size)?, None, None);
        let last = states[states.len() - 1].clone();
        // Only what is projected is normalised.
        let [batch, _, width] = last.dims();
        let class = first_token(last.clone()).reshape([batch, 1, width]);
        let pooled = first_token(self.encoder.stack.finish(class));
        let mut outputs = Outputs::default();
        match &self.projection {
            Some(projection) => outputs.push("image_embeds", projection.forward(pooled)),
            None => outputs.push("pooler_output", pooled),
        }
        outputs.push("last_hidden_state", last);
        outputs.push_all("hidden_states", &states);
        Ok(outputs)
    }
}

/// The text encoder with its projection.
#[derive(Module, Debug)]
pub struct ClipText {
    pub encoder: TextEncoder,
    pub projection: Linear,
    vocab_size: usize,
    positions: usize,
    end: usize,
}

/// Configurations from before the reference knew the end token's id have this one in its place.
const LEGACY_END: usize = 2;

impl ClipText {
    pub(super) fn new(
        sizes: &TextSizes,
        output: usize,
        end: usize,
        device: &Device,
    ) -> (Self, Names) {
        let mut names = Names::default();
        names.nest("", "encoder.", text_names(&sizes.encoder));
        names.linear("text_projection", "projection", false);
        let width = sizes.encoder.transformer.width;
        let model = Self {
            encoder: sizes.encoder.init(sizes.vocab_size, device),
            projection: linear_without_bias(width, output, device),
            vocab_size: sizes.vocab_size,
            positions: sizes.encoder.max_tokens,
            end,
        };
        (model, names)
    }

    /// Position of the token whose state stands for the text: the first end token; by legacy
    /// configurations, the first of the largest id, which is the end token's in CLIP's vocabulary.
    fn end_of(&self, ids: &[i64]) -> usize {
        let wanted = match self.end {
            LEGACY_END => ids.iter().copied().max().unwrap_or(0),
            end => end as i64,
        };
        ids.iter().position(|id| *id == wanted).unwrap_or(0)
    }
}

impl Published for ClipText {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let ids = inputs.texts(self.vocab_size, self.positions, None)?;
        let [batch, tokens] = ids.dims();
        let host = required("input_ids", inputs.get("input_ids"))?.ints("input_ids")?;
        let rows =
            host.chunks(tokens).enumerate().map(|(row, ids)| row * tokens + self.end_of(ids));
        let rows = weft_nn::index::indices(rows, inputs.device());
        let positions = inputs.ids("position_ids", self.positions)?;
        let input = TextInput { ids, types: None, positions };
        let mask = inputs.mask("attention_mask")?;
        let states = self.encoder.states(&input, mask.as_ref(), None);
        let last = self.encoder.stack.finish(states[states.len() - 1].clone());
        let [_, _, width] = last.dims();
        let pooled: Tensor<2> = last.clone().reshape([batch * tokens, width]).select(0, rows);
        let mut outputs = Outputs::default();
        outputs.push("text_embeds", self.projection.forward(pooled));
        outputs.push("last_hidden_state", last);
        outputs.push_all("hidden_states", &states);
        Ok(outputs)
    }
}
