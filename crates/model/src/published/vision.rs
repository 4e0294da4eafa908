//! ViT, DeiT and DINOv2.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use weft_nn::{NormPosition, Pooler, TransformerConfig, first_token};
use weft_vision::{ImageSize, Vit, VitConfig};

use super::Published;
use super::checkpoint::{Checkpoint, Dialect};
use super::config::Config;
use super::error::PublishedError;
use super::io::{Inputs, Outputs, numbers, required, wrong};
use super::names::{Names, Patch};

/// ViT's and DeiT's.
pub(super) const VIT_DIALECT: Dialect = Dialect {
    prefixes: &["", "vit.", "deit."],
    spellings: &[
        ("^layers.", "encoder.layer."),
        (".attention.q_proj.", ".attention.attention.query."),
        (".attention.k_proj.", ".attention.attention.key."),
        (".attention.v_proj.", ".attention.attention.value."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
    ],
    ignored: &[],
};

pub(super) const DINO_DIALECT: Dialect = Dialect {
    prefixes: &["", "dinov2.", "backbone."],
    spellings: &[
        (".attention.q_proj.", ".attention.attention.query."),
        (".attention.k_proj.", ".attention.attention.key."),
        (".attention.v_proj.", ".attention.attention.value."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".mlp.down_proj.", ".mlp.weights_out."),
    ],
    ignored: &[],
};

/// A tensor that every encoder of this kind has.
pub(super) const PROBE: &str = "embeddings.cls_token";

pub(super) const MASK_TOKEN: &str = "embeddings.mask_token";

/// The kinds of image encoder that differ in little but their configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisionKind {
    Vit,
    Deit,
    Dino,
}

impl VisionKind {
    pub(super) fn dialect(self) -> &'static Dialect {
        match self {
            VisionKind::Vit | VisionKind::Deit => &VIT_DIALECT,
            VisionKind::Dino => &DINO_DIALECT,
        }
    }

    /// Reads the sizes from `config.json`, with the reference's defaults.
    pub fn sizes(self, config: &Config) -> Result<VitConfig, PublishedError> {
        let width = config.number("hidden_size", 768)?;
        let dino = self == VisionKind::Dino;
        let gated = dino && config.flag("use_swiglu_ffn", false)?;
        let transformer = TransformerConfig {
            mlp_ratio: self.mlp_ratio(config, width, gated)?,
            gated,
            activation: match gated {
                true => weft_nn::Activation::Silu,
                false => config.activation("hidden_act", "gelu")?,
            },
            qkv_bias: config.flag("qkv_bias", true)?,
            layer_scale: match dino {
                true => Some(config.float("layerscale_value", 1.0)?),
                false => None,
            },
            norm_epsilon: config.float("layer_norm_eps", if dino { 1e-6 } else { 1e-12 })?,
            ..TransformerConfig::new(
                width,
                config.number("num_hidden_layers", 12)?,
                config.number("num_attention_heads", 12)?,
                NormPosition::Pre,
            )
        };
        let patch_size = patch_size(config, if dino { 14 } else { 16 })?;
        let sizes = VitConfig {
            image_size: image_size(config, 224, patch_size)?,
            distillation_token: self == VisionKind::Deit,
            ..VitConfig::new(patch_size, patch_size, transformer)
        };
        check(&sizes, config)?;
        Ok(sizes)
    }

    fn mlp_ratio(self, config: &Config, width: usize, gated: bool) -> Result<f64, PublishedError> {
        if self != VisionKind::Dino {
            return Ok(config.number("intermediate_size", 3072)? as f64 / width as f64);
        }
        Ok(dino_hidden(width, config.float("mlp_ratio", 4.0)?, gated) as f64 / width as f64)
    }

    /// Names of the encoder's parameters in each spelling: versions of the reference store the two
    /// halves of a gated network in one tensor or in two. Not every checkpoint has a mask token.
    pub(super) fn names(self, sizes: &VitConfig, mask_token: bool) -> Vec<Names> {
        let spellings: &[bool] = if sizes.transformer.gated { &[true, false] } else { &[false] };
        spellings.iter().map(|fused| self.spelling(sizes, mask_token, *fused)).collect()
    }

    fn spelling(self, sizes: &VitConfig, mask_token: bool, fused: bool) -> Names {
        let mut names = Names::default();
        let width = sizes.transformer.width;
        names.same("embeddings.cls_token", "class_token");
        if sizes.distillation_token {
            names.same("embeddings.distillation_token", "distillation_token");
        }
        if mask_token {
            match self {
                VisionKind::Dino => {
                    names.reshaped(MASK_TOKEN, "mask_token", &[1, width]);
                }
                _ => names.same(MASK_TOKEN, "mask_token"),
            }
        }
        names.same("embeddings.position_embeddings", "position_embedding");
        let patch = Patch { width, size: sizes.patch_size, bias: sizes.patch_bias };
        names.patches(
            "embeddings.patch_embeddings.projection",
            "patch_embedding.projection",
            &patch,
        );
        for layer in 0..sizes.transformer.depth {
            let (theirs, ours) =
                (format!("encoder.layer.{layer}"), format!("stack.blocks.{layer}"));
            match self {
                VisionKind::Dino => {
                    dino_block(&mut names, &theirs, &ours, &sizes.transformer, fused);
                }
                _ => vit_block(&mut names, &theirs, &ours, sizes.transformer.qkv_bias),
            }
        }
        names.norm("layernorm", "stack.norm");
        names
    }
}

/// Hidden width of DINOv2's feed-forward network. A gated one has two thirds of the plain one's,
/// rounded up to a multiple of eight.
pub(super) fn dino_hidden(width: usize, ratio: f64, gated: bool) -> usize {
    let hidden = (width as f64 * ratio) as usize;
    if gated { (hidden * 2 / 3).next_multiple_of(8) } else { hidden }
}

/// Sides of a picture, without what no whole patch covers.
pub(super) fn image_size(
    config: &Config,
    default: usize,
    patch_size: usize,
) -> Result<ImageSize, PublishedError> {
    let sides = config.sides("image_size", default)?;
    let [height, width] = sides.map(|side| side - side % patch_size.max(1));
    Ok(ImageSize { height, width })
}

/// Side of a patch.
pub(super) fn patch_size(config: &Config, default: usize) -> Result<usize, PublishedError> {
    let channels = config.number("num_channels", 3)?;
    if channels != 3 {
        return Err(config.wrong("num_channels", format!("expected 3, found {channels}")));
    }
    match config.sides("patch_size", default)? {
        [height, width] if height == width => Ok(height),
        sides => Err(config.wrong("patch_size", format!("expected a square, found {sides:?}"))),
    }
}

/// Sizes that an encoder can have.
pub(super) fn check(sizes: &VitConfig, config: &Config) -> Result<(), PublishedError> {
    let fail = |source| PublishedError::Sizes { path: config.path().into(), source };
    sizes.validate().map_err(fail)
}

fn attention(names: &mut Names, theirs: &str, ours: &str, bias: bool) {
    for part in ["query", "key", "value"] {
        let theirs = format!("{theirs}.attention.attention.{part}");
        names.linear(&theirs, &format!("{ours}.attention.{part}"), bias);
    }
    let output = format!("{ours}.attention.output");
    names.linear(&format!("{theirs}.attention.output.dense"), &output, true);
}

/// ViT's layer, and ViLT's.
pub(super) fn vit_block(names: &mut Names, theirs: &str, ours: &str, bias: bool) {
    names.norm(&format!("{theirs}.layernorm_before"), &format!("{ours}.attention_norm"));
    attention(names, theirs, ours, bias);
    names.norm(&format!("{theirs}.layernorm_after"), &format!("{ours}.feed_forward_norm"));
    let feed = format!("{ours}.feed_forward");
    names.linear(&format!("{theirs}.intermediate.dense"), &format!("{feed}.expand"), true);
    names.linear(&format!("{theirs}.output.dense"), &format!("{feed}.contract"), true);
}

fn dino_block(names: &mut Names, theirs: &str, ours: &str, sizes: &TransformerConfig, fused: bool) {
    names.norm(&format!("{theirs}.norm1"), &format!("{ours}.attention_norm"));
    attention(names, theirs, ours, sizes.qkv_bias);
    names
        .same(&format!("{theirs}.layer_scale1.lambda1"), &format!("{ours}.attention_scale.factor"));
    names.norm(&format!("{theirs}.norm2"), &format!("{ours}.feed_forward_norm"));
    let (mlp, feed) = (format!("{theirs}.mlp"), format!("{ours}.feed_forward"));
    let [expand, gate, contract] = ["expand", "gate", "contract"].map(|x| format!("{feed}.{x}"));
    match (sizes.gated, fused) {
        (false, _) => {
            names.linear(&format!("{mlp}.fc1"), &expand, true);
            names.linear(&format!("{mlp}.fc2"), &contract, true);
        }
        (true, true) => {
            names.stacked(&format!("{mlp}.weights_in."), &[expand, gate]);
            names.linear(&format!("{mlp}.weights_out"), &contract, true);
        }
        (true, false) => {
            names.linear(&format!("{mlp}.gate_proj"), &expand, true);
            names.linear(&format!("{mlp}.up_proj"), &gate, true);
            names.linear(&format!("{mlp}.weights_out"), &contract, true);
        }
    }
    let scale = format!("{ours}.feed_forward_scale.factor");
    names.same(&format!("{theirs}.layer_scale2.lambda1"), &scale);
}

/// An image encoder with the pooler that may follow it.
#[derive(Module, Debug)]
pub struct VisionModel {
    pub encoder: Vit,
    pub pooler: Option<Pooler>,
    /// Whether the class token itself is the pooled output.
    class_is_pooled: bool,
    patch_size: usize,
}

impl VisionModel {
    /// Initial weights; `checkpoint` says what else there is.
    pub(super) fn new(
        kind: VisionKind,
        config: &Config,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<(Self, Vec<Names>), PublishedError> {
        let sizes = &kind.sizes(config)?;
        let pooler = match checkpoint.has("pooler.dense.weight") {
            true => {
                let output = checkpoint.rows("pooler.dense.weight")?;
                let pooler = Pooler::new(sizes.transformer.width, output, device);
                Some(pooler.with_activation(config.activation("pooler_act", "tanh")?))
            }
            false => None,
        };
        let names = kind.names(sizes, checkpoint.has(MASK_TOKEN)).into_iter().map(|encoder| {
            let mut names = Names::default();
            names.nest("", "encoder.", encoder);
            if pooler.is_some() {
                names.linear("pooler.dense", "pooler.dense", true);
            }
            names
        });
        let names = names.collect();
        let model = Self {
            encoder: sizes.init(device),
            pooler,
            class_is_pooled: kind == VisionKind::Dino,
            patch_size: sizes.patch_size,
        };
        Ok((model, names))
    }
}

/// Pictures without what no whole patch covers.
pub(super) fn pictures(inputs: &Inputs, patch_size: usize) -> Result<Tensor<4>, PublishedError> {
    let pictures = required("pixel_values", inputs.floats::<4>("pixel_values")?)?;
    // The switch says that positions may be resampled; ours are wherever they must.
    inputs.flag("interpolate_pos_encoding");
    let [_, channels, height, width] = pictures.dims();
    if channels != 3 || height < patch_size || width < patch_size {
        let found = [channels, height, width];
        let detail = format!("expected 3 channels of {patch_size} pixels or more, found {found:?}");
        return Err(wrong("pixel_values", detail));
    }
    let [rows, columns] = [height, width].map(|side| side - side % patch_size);
    Ok(pictures.narrow(2, 0, rows).narrow(3, 0, columns))
}

impl Published for VisionModel {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let pictures = pictures(inputs, self.patch_size)?;
        let masked = match inputs.get("bool_masked_pos") {
            Some(mask) => {
                let [batch, ..] = pictures.dims();
                let patches = self.encoder.patch_embedding.grid(&pictures).patches();
                let values = numbers(mask);
                // One row serves all pictures.
                let rows = if values.len() == patches { 1 } else { batch };
                if values.len() != rows * patches {
                    let detail = format!("{:?} for {batch} x {patches} patches", mask.shape);
                    return Err(wrong("bool_masked_pos", detail));
                }
                let data = TensorData::new(values, [rows, patches, 1]);
                Some(Tensor::from_data(data, inputs.device()))
            }
            None => None,
        };
        let mask = inputs.mask("attention_mask")?;
        let states = self.encoder.states(pictures, masked, mask.as_ref());
        let last = self.encoder.stack.finish(states[states.len() - 1].clone());
        let pooled = match &self.pooler {
            Some(pooler) => Some(pooler.forward(last.clone())),
            None => self.class_is_pooled.then(|| first_token(last.clone())),
        };
        Ok(Outputs::of_encoder(last, pooled, &states))
    }
}
