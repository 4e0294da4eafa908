//! ViLT: one transformer over words and patches, without encoders of their own (Kim et al. 2021).

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use weft_nn::index::indices;
use weft_nn::init::normal;
use weft_nn::{AttentionMask, NormPosition, Pooler, TransformerConfig};
use weft_text::{Positions, TextEmbeddings, TextEmbeddingsConfig, TextInput};
use weft_vision::positions::resample;
use weft_vision::{Grid, Resampling, Vit, VitConfig};

use super::Published;
use super::checkpoint::{Checkpoint, Dialect};
use super::config::Config;
use super::error::PublishedError;
use super::io::{Inputs, Outputs, numbers, wrong};
use super::names::{Names, Patch};
use super::text::embeddings;
use super::vision::{check, image_size, patch_size, pictures, vit_block};

pub(super) const DIALECT: Dialect = Dialect {
    prefixes: &["", "vilt."],
    spellings: &[],
    ignored: &["text_embeddings.position_ids", "text_embeddings.token_type_ids"],
};

/// A tensor that every model of this kind has.
pub(super) const PROBE: &str = "embeddings.cls_token";

/// A ViT that is given words as well.
#[derive(Module, Debug)]
pub struct Vilt {
    pub text: TextEmbeddings,
    /// Its transformer is the only one.
    pub vision: Vit,
    /// Added to words (row 0) and patches (row 1; row 2 for a second picture), `[2 or 3, width]`.
    pub modality: Param<Tensor<2>>,
    pub pooler: Option<Pooler>,
    #[module(skip)]
    sizes: Sizes,
}

#[derive(Debug, Clone)]
struct Sizes {
    vision: VitConfig,
    vocab_size: usize,
    positions: usize,
    types: usize,
    modalities: usize,
    /// Patches that are kept; all of the largest picture where absent.
    most_patches: Option<usize>,
}

impl Vilt {
    pub(super) fn new(
        config: &Config,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<(Self, Names), PublishedError> {
        let width = config.number("hidden_size", 768)?;
        let transformer = TransformerConfig {
            mlp_ratio: config.number("intermediate_size", 3072)? as f64 / width as f64,
            activation: config.activation("hidden_act", "gelu")?,
            qkv_bias: config.flag("qkv_bias", true)?,
            norm_epsilon: config.float("layer_norm_eps", 1e-12)?,
            ..TransformerConfig::new(
                width,
                config.number("num_hidden_layers", 12)?,
                config.number("num_attention_heads", 12)?,
                NormPosition::Pre,
            )
        };
        let patch_size = patch_size(config, 32)?;
        let vision = VitConfig {
            image_size: image_size(config, 384, patch_size)?,
            ..VitConfig::new(patch_size, patch_size, transformer)
        };
        check(&vision, config)?;
        let text = TextEmbeddingsConfig {
            vocab_size: config.number("vocab_size", 30522)?,
            max_tokens: config.number("max_position_embeddings", 40)?,
            token_types: config.number("type_vocab_size", 2)?,
            positions: Positions::Absolute,
            padding_id: config.optional("pad_token_id", None)?,
            width,
            norm: true,
            dropout: 0.0,
            norm_epsilon: vision.transformer.norm_epsilon,
        };
        let modalities = config.number("modality_type_vocab_size", 2)?;
        let pooler = checkpoint.has("pooler.dense.weight");
        let names = names(&vision, pooler);
        let model = Self {
            text: text.init(device),
            vision: vision.init(device),
            modality: normal().init([modalities, width], device),
            pooler: pooler.then(|| Pooler::new(width, width, device)),
            sizes: Sizes {
                vision,
                vocab_size: text.vocab_size,
                positions: text.max_tokens,
                types: text.token_types,
                modalities,
                most_patches: most_patches(config)?,
            },
        };
        Ok((model, names))
    }

    /// The patches that are kept, with their positions, `[batch, 1 + kept, width]`.
    fn patches(&self, pictures: Tensor<4>, kept: &Kept) -> Tensor<3> {
        let device = pictures.device();
        let (batch, width) = (kept.pictures.len(), self.sizes.vision.transformer.width);
        let embedding = &self.vision.patch_embedding;
        let x = embedding.forward(embedding.patches(pictures));
        let [_, patches, _] = x.dims();
        let rows = kept.pictures.iter().enumerate().flat_map(|(index, picture)| {
            picture.patches.iter().map(move |patch| index * patches + patch)
        });
        let x = x.reshape([batch * patches, width]).select(0, indices(rows, &device));
        let positions = self.vision.position_embedding.val();
        let [_, count, _] = positions.dims();
        let grid = self.sizes.vision.grid();
        let table = positions.clone().narrow(1, 1, count - 1).reshape([count - 1, width]);
        let each = kept.pictures.iter().map(|picture| {
            let resampled =
                resample(table.clone(), grid, picture.grid, Resampling::BilinearCorners);
            // Patches outside the picture have no position: the row behind the last is zero.
            let none = Tensor::zeros([1, width], &device);
            let rows = picture.patches.iter().map(|patch| picture.position(*patch, kept.columns));
            Tensor::cat(vec![resampled, none], 0).select(0, indices(rows, &device))
        });
        let x = x + Tensor::cat(each.collect(), 0);
        let class = self.vision.class_token.val() + positions.narrow(1, 0, 1);
        let x = x.reshape([batch, kept.count(), width]);
        Tensor::cat(vec![class.expand([batch, 1, width]), x], 1)
    }

    fn modality(&self, row: usize) -> Tensor<3> {
        self.modality.val().narrow(0, row, 1).unsqueeze()
    }
}

fn names(vision: &VitConfig, pooler: bool) -> Names {
    let mut names = Names::default();
    embeddings(&mut names, "embeddings.text_embeddings", "text", true);
    names.same("embeddings.cls_token", "vision.class_token");
    names.same("embeddings.position_embeddings", "vision.position_embedding");
    let patch =
        Patch { width: vision.transformer.width, size: vision.patch_size, bias: vision.patch_bias };
    let projection = "vision.patch_embedding.projection";
    names.patches("embeddings.patch_embeddings.projection", projection, &patch);
    names.same("embeddings.token_type_embeddings.weight", "modality");
    for layer in 0..vision.transformer.depth {
        let ours = format!("vision.stack.blocks.{layer}");
        let bias = vision.transformer.qkv_bias;
        vit_block(&mut names, &format!("encoder.layer.{layer}"), &ours, bias);
    }
    names.norm("layernorm", "vision.stack.norm");
    if pooler {
        names.linear("pooler.dense", "pooler.dense", true);
    }
    names
}

/// `max_image_length`, where a negative number stands for no limit.
fn most_patches(config: &Config) -> Result<Option<usize>, PublishedError> {
    let limit = config.float("max_image_length", -1.0)?;
    Ok((limit >= 0.0).then_some(limit as usize))
}

/// Which patches of a batch go on.
struct Kept {
    pictures: Vec<Picture>,
    /// Patches beside one another in the padded pictures.
    columns: usize,
}

struct Picture {
    /// Patches of the picture itself.
    grid: Grid,
    /// Patches of the padded picture, in reading order, those of the picture first.
    patches: Vec<usize>,
    /// How many of them are the picture's.
    real: usize,
}

impl Picture {
    /// Row of a patch's position in the picture's own grid; the row behind it where it is padding.
    fn position(&self, patch: usize, columns: usize) -> usize {
        let (row, column) = (patch / columns, patch % columns);
        let inside = row < self.grid.rows && column < self.grid.columns;
        if inside { row * self.grid.columns + column } else { self.grid.patches() }
    }
}

impl Kept {
    /// From `mask`, one number per pixel or patch of the padded pictures, not 0 where there is a
    /// picture. The reference draws which patches it keeps and pads with at random; the first ones in
    /// reading order are our reading, and what its fixtures are made with.
    fn new(mask: &[f32], shape: [usize; 3], to: Grid, limit: Option<usize>) -> Self {
        let [_, height, width] = shape;
        let seen = |picture: &[f32]| -> Vec<bool> {
            let patches = (0..to.patches()).map(|patch| {
                let row = patch / to.columns * height / to.rows;
                let column = patch % to.columns * width / to.columns;
                picture[row * width + column] != 0.0
            });
            patches.collect()
        };
        let seen: Vec<Vec<bool>> = mask.chunks(height * width).map(seen).collect();
        let grids: Vec<Grid> = seen
            .iter()
            .map(|seen| Grid {
                rows: (0..to.rows).filter(|row| seen[row * to.columns]).count(),
                columns: (0..to.columns).filter(|column| seen[*column]).count(),
            })
            .collect();
        let largest = grids.iter().map(|grid| grid.patches()).max().unwrap_or(0);
        let count = limit.map_or(largest, |limit| limit.min(largest));
        let pictures = seen.iter().zip(grids).map(|(seen, grid)| {
            let which = |wanted| (0..seen.len()).filter(move |patch| seen[*patch] == wanted);
            let patches: Vec<usize> = which(true).chain(which(false)).take(count).collect();
            let real = patches.iter().filter(|patch| seen[**patch]).count();
            Picture { grid, patches, real }
        });
        Self { pictures: pictures.collect(), columns: to.columns }
    }

    /// Patches of each picture that go on.
    fn count(&self) -> usize {
        self.pictures.first().map_or(0, |picture| picture.patches.len())
    }

    /// True where a position is padding, the class token in front, `[batch, 1 + kept]`.
    fn padding(&self, device: &Device) -> Tensor<2, Bool> {
        let rows = self.pictures.iter().flat_map(|picture| {
            std::iter::once(false).chain((0..self.count()).map(|index| index >= picture.real))
        });
        let data = TensorData::new(rows.collect(), [self.pictures.len(), 1 + self.count()]);
        Tensor::from_data(data, device)
    }
}

impl Published for Vilt {
    fn run(&self, inputs: &Inputs) -> Result<Outputs, PublishedError> {
        let sizes = &self.sizes;
        let device = inputs.device();
        let ids = inputs.texts(sizes.vocab_size, sizes.positions, None)?;
        let [batch, tokens] = ids.dims();
        let types = inputs.ids("token_type_ids", sizes.types)?;
        let text = self.text.forward(&TextInput { ids, types, positions: None }) + self.modality(0);

        let pixels = pictures(inputs, sizes.vision.patch_size)?;
        let grid = self.vision.patch_embedding.grid(&pixels);
        let [_, _, height, width] = pixels.dims();
        let kept = match inputs.get("pixel_mask") {
            Some(mask) => {
                let fail = |_| wrong("pixel_mask", format!("unexpected {:?}", mask.shape));
                let shape = <[usize; 3]>::try_from(mask.shape.clone()).map_err(fail)?;
                Kept::new(&numbers(mask), shape, grid, sizes.most_patches)
            }
            None => {
                let mask = vec![1.0; batch * height * width];
                Kept::new(&mask, [batch, height, width], grid, sizes.most_patches)
            }
        };
        if kept.pictures.len() != batch {
            let detail = format!("{} pictures for {batch} texts", kept.pictures.len());
            return Err(wrong("pixel_mask", detail));
        }
        let second = inputs.get("image_token_type_idx").map_or(1, |row| numbers(row)[0] as usize);
        if second >= sizes.modalities {
            let detail = format!("{second} is not in 0..{}", sizes.modalities);
            return Err(wrong("image_token_type_idx", detail));
        }
        let image = self.patches(pixels, &kept) + self.modality(second);

        let none = || AttentionMask::from_bias(Tensor::zeros([batch, 1, 1, tokens], device));
        let words = inputs.mask("attention_mask")?.unwrap_or_else(none);
        let mask = words.before(&AttentionMask::padding(kept.padding(device)));
        let x = Tensor::cat(vec![text, image], 1);
        let states = self.vision.stack.states(x, Some(&mask), None);
        let last = self.vision.stack.finish(states[states.len() - 1].clone());
        let pooled = self.pooler.as_ref().map(|pooler| pooler.forward(last.clone()));
        Ok(Outputs::of_encoder(last, pooled, &states))
    }
}
