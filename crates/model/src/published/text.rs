//! BERT, RoBERTa and XLM-R, and BLIP's text encoder with cross-attention to the picture (ALBEF's is
//! the same).

use burn::module::Module;
use burn::tensor::Device;
use weft_nn::{Memory, NormPosition, Pooler, TransformerConfig};
use weft_text::{Positions, TextEncoder, TextEncoderConfig, TextInput};

use super::Published;
use super::checkpoint::{Checkpoint, Dialect};
use super::config::Config;
use super::error::PublishedError;
use super::io::{Inputs, Outputs, wrong};
use super::names::Names;

pub(super) const DIALECT: Dialect = Dialect {
    prefixes: &["", "bert.", "roberta.", "text_encoder."],
    spellings: &[(".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias")],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids"],
};

/// A tensor that every encoder of this kind has.
pub(super) const PROBE: &str = "embeddings.word_embeddings.weight";

/// The kinds of text encoder that differ in nothing but their configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    Bert,
    Roberta,
    XlmRoberta,
    Blip,
    BridgeTower,
}

/// What the reference takes where `config.json` does not say.
struct Defaults {
    vocab_size: usize,
    positions: usize,
    types: usize,
    heads: usize,
    epsilon: f64,
    padding: usize,
}

impl TextKind {
    fn defaults(self) -> Defaults {
        let bert = Defaults {
            vocab_size: 30522,
            positions: 512,
            types: 2,
            heads: 12,
            epsilon: 1e-12,
            padding: 0,
        };
        match self {
            TextKind::Bert => bert,
            TextKind::Roberta => Defaults { vocab_size: 50265, padding: 1, ..bert },
            TextKind::XlmRoberta => Defaults { padding: 1, ..bert },
            TextKind::Blip => Defaults { vocab_size: 30524, heads: 8, types: 0, ..bert },
            TextKind::BridgeTower => Defaults {
                vocab_size: 50265,
                positions: 514,
                types: 1,
                epsilon: 1e-5,
                padding: 1,
                ..bert
            },
        }
    }

    fn positions(self) -> Positions {
        match self {
            TextKind::Bert | TextKind::Blip => Positions::Absolute,
            TextKind::Roberta | TextKind::XlmRoberta | TextKind::BridgeTower => {
                Positions::AfterPadding
            }
        }
    }
}

/// Sizes of a text encoder from its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSizes {
    pub encoder: TextEncoderConfig,
    pub vocab_size: usize,
    /// Whether the reference leaves out the mask of what cross-attention attends to.
    pub(super) ignores_memory_mask: bool,
}

/// The reference passes BLIP's `encoder_attention_mask` on to cross-attention, which reads another
/// argument, from this version to at least 5.23. BLIP itself masks, and so did versions before it; a
/// checkpoint that names its version gets what that version computes. (A picture has no padding, so
/// that in practice the mask is all ones.)
const MASK_IGNORED_SINCE: (u64, u64) = (4, 54);

impl TextSizes {
    /// Reads the sizes, with the reference's defaults.
    pub fn read(kind: TextKind, config: &Config) -> Result<Self, PublishedError> {
        let position_type = config.text("position_embedding_type", "absolute")?;
        if position_type != "absolute" {
            let detail = format!("{position_type} is not supported, absolute is");
            return Err(config.wrong("position_embedding_type", detail));
        }
        let width = config.number("hidden_size", 768)?;
        let defaults = kind.defaults();
        let decoder = config.flag("is_decoder", kind == TextKind::Blip)?;
        let cross = match kind {
            TextKind::Blip => decoder,
            _ => config.flag("add_cross_attention", false)?,
        };
        let memory_width = match kind {
            TextKind::Blip => config.number("encoder_hidden_size", 768)?,
            _ => width,
        };
        let mlp = config.number("intermediate_size", 3072)?;
        let transformer = TransformerConfig {
            mlp_ratio: mlp as f64 / width as f64,
            activation: config.activation("hidden_act", "gelu")?,
            memory_width: cross.then_some(memory_width),
            norm_epsilon: config.float("layer_norm_eps", defaults.epsilon)?,
            ..TransformerConfig::new(
                width,
                config.number("num_hidden_layers", 12)?,
                config.number("num_attention_heads", defaults.heads)?,
                NormPosition::Post,
            )
        };
        let encoder = TextEncoderConfig {
            token_types: match kind {
                TextKind::Blip => 0,
                _ => config.number("type_vocab_size", defaults.types)?,
            },
            positions: kind.positions(),
            padding_id: config.optional("pad_token_id", Some(defaults.padding))?,
            // BLIP's is a switch of its forward pass.
            causal: decoder && kind != TextKind::Blip,
            ..TextEncoderConfig::new(
                config.number("max_position_embeddings", defaults.positions)?,
                transformer,
            )
        };
        encoder
            .validate()
            .map_err(|source| PublishedError::Sizes { path: config.path().into(), source })?;
        let ignores_memory_mask = kind == TextKind::Blip
            && config.version()?.is_some_and(|version| version >= MASK_IGNORED_SINCE);
        let vocab_size = config.number("vocab_size", defaults.vocab_size)?;
        Ok(Self { ignores_memory_mask, ..Self::new(encoder, vocab_size) })
    }

    /// An encoder of these sizes.
    pub(super) fn new(encoder: TextEncoderConfig, vocab_size: usize) -> Self {
        Self { encoder, vocab_size, ignores_memory_mask: false }
    }

    /// The padding token behind whose id positions begin, where they do.
    pub(super) fn padding(&self) -> Option<usize> {
        self.encoder.padding_id.filter(|_| self.encoder.positions == Positions::AfterPadding)
    }

    /// Names of the encoder's parameters.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        embeddings(&mut names, "embeddings", "embeddings", self.encoder.token_types > 0);
        for layer in 0..self.encoder.transformer.depth {
            let theirs = format!("encoder.layer.{layer}");
            block(&mut names, &theirs, &format!("stack.blocks.{layer}"));
            if self.encoder.transformer.memory_width.is_some() {
                cross_attention(&mut names, &theirs, &format!("stack.blocks.{layer}"));
            }
        }
        names
    }
}

/// BERT's embeddings.
pub(super) fn embeddings(names: &mut Names, theirs: &str, ours: &str, types: bool) {
    names.same(&format!("{theirs}.word_embeddings.weight"), &format!("{ours}.word.weight"));
    names.same(&format!("{theirs}.position_embeddings.weight"), &format!("{ours}.position"));
    if types {
        names
            .same(&format!("{theirs}.token_type_embeddings.weight"), &format!("{ours}.token_type"));
    }
    names.norm(&format!("{theirs}.LayerNorm"), &format!("{ours}.norm"));
}

/// BERT's layer.
pub(super) fn block(names: &mut Names, theirs: &str, ours: &str) {
    attention(names, &format!("{theirs}.attention"), &format!("{ours}.attention"));
    let norm = format!("{ours}.attention_norm");
    names.norm(&format!("{theirs}.attention.output.LayerNorm"), &norm);
    names.linear(
        &format!("{theirs}.intermediate.dense"),
        &format!("{ours}.feed_forward.expand"),
        true,
    );
    names.linear(&format!("{theirs}.output.dense"), &format!("{ours}.feed_forward.contract"), true);
    names.norm(&format!("{theirs}.output.LayerNorm"), &format!("{ours}.feed_forward_norm"));
}

/// The cross-attention of BERT's layer where it is a decoder's.
pub(super) fn cross_attention(names: &mut Names, theirs: &str, ours: &str) {
    let (theirs, ours) = (format!("{theirs}.crossattention"), format!("{ours}.cross_attention"));
    attention(names, &theirs, &format!("{ours}.attention"));
    names.norm(&format!("{theirs}.output.LayerNorm"), &format!("{ours}.norm"));
}

fn attention(names: &mut Names, theirs: &str, ours: &str) {
    for part in ["query", "key", "value"] {
        names.linear(&format!("{theirs}.self.{part}"), &format!("{ours}.{part}"), true);
    }
    names.linear(&format!("{theirs}.output.dense"), &format!("{ours}.output"), true);
}

/// A text encoder with the pooler that may follow it.
#[derive(Module, Debug)]
pub struct TextModel {
    pub encoder: TextEncoder,
    pub pooler: Option<Pooler>,
    vocab_size: usize,
    types: usize,
    positions: usize,
    /// The padding token behind whose id positions begin, where they do.
    padding: Option<usize>,
    ignores_memory_mask: bool,
}

impl TextModel {
    /// Initial weights; `checkpoint` says whether there is a pooler.
    pub(super) fn new(
        sizes: &TextSizes,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> (Self, Names) {
        let mut names = Names::default();
        names.nest("", "encoder.", sizes.names());
        let pooler = checkpoint.has("pooler.dense.weight");
        if pooler {
            names.linear("pooler.dense", "pooler.dense", true);
        }
        let width = sizes.encoder.transformer.width;
        let model = Self {
            encoder: sizes.encoder.init(sizes.vocab_size, device),
            pooler: pooler.then(|| Pooler::new(width, width, device)),
            vocab_size: sizes.vocab_size,
            types: sizes.encoder.token_types,
            positions: sizes.encoder.max_tokens,
            padding: sizes.padding(),
            ignores_memory_mask: sizes.ignores_memory_mask,
        };
        (model, names)
    }
}

impl Published for TextModel {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let input = TextInput {
            ids: inputs.texts(self.vocab_size, self.positions, self.padding)?,
            types: inputs.ids("token_type_ids", self.types)?,
            positions: inputs.ids("position_ids", self.positions)?,
        };
        let mut padding = inputs.mask("attention_mask")?;
        let [_, tokens] = input.ids.dims();
        if inputs.flag("is_decoder") {
            let causal = weft_nn::AttentionMask::causal(tokens, inputs.device());
            padding = Some(padding.map_or(causal.clone(), |padding| causal.and(&padding)));
        }
        let memory = match inputs.floats("encoder_hidden_states")? {
            Some(tokens) => {
                let mask = inputs.mask("encoder_attention_mask")?;
                Some(Memory { tokens, mask: mask.filter(|_| !self.ignores_memory_mask) })
            }
            None => {
                inputs.get("encoder_attention_mask");
                None
            }
        };
        let crosses = self.encoder.stack.blocks.iter().all(|block| block.cross_attention.is_some());
        if memory.is_some() && !crosses {
            return Err(wrong("encoder_hidden_states", "the model has no cross-attention".into()));
        }
        let states = self.encoder.states(&input, padding.as_ref(), memory.as_ref());
        let last = states[states.len() - 1].clone();
        let pooled = self.pooler.as_ref().map(|pooler| pooler.forward(last.clone()));
        Ok(Outputs::of_encoder(last, pooled, &states))
    }
}
