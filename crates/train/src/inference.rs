//! A trained model that embeds, matches and explains.

mod gates;
mod grad_cam;
mod in_turn;
mod task;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_data::error::Ledger;
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;
use weft_fusion::{ClassToken, FusionKind, Levels, Part};
use weft_model::{Model, Tags};
use weft_nn::index::indices;
use weft_nn::{AttentionMask, first_token};
use weft_objectives::negatives::Hardness;

use crate::checkpoint::Checkpoint;
use crate::recipe::Recipe;

pub use gates::{Gates, WordGates};
pub use in_turn::PicturesInTurn;
pub use task::TaskOutputs;

/// A model off the tape, with the tokenizer and preprocessing that it was trained with.
pub struct Inference {
    pub recipe: Recipe,
    pub pipeline: Pipeline,
    model: Model,
    temperature: f32,
    device: Device,
}

/// Pictures as the encoder and the shared space have them.
pub struct Images {
    /// Each layer `[images, 1 + patches, width]`.
    features: Levels,
    /// `[images, projection_width]`, in host memory.
    pub embeddings: Vec<f32>,
}

/// Captions as the encoder and the shared space have them.
pub struct Texts {
    /// Each layer `[texts, tokens, width]`.
    features: Levels,
    /// `[texts, 1, 1, tokens]`
    padding: Tensor<4>,
    /// `[texts, projection_width]`, in host memory.
    pub embeddings: Vec<f32>,
}

/// What words attend to: for each token of a caption its text, its word's number and its weights
/// over the patches.
pub struct WordAttention {
    pub token: String,
    /// `None` for special tokens.
    pub word: Option<u32>,
    /// `[patches]`, of a row that sums to 1 over the class token, patches and words; in a co-attention encoder
    /// over the picture's tokens alone.
    pub weights: Vec<f32>,
}

impl Inference {
    /// `model` as it is.
    pub fn new(recipe: &Recipe, tokenizer: Arc<Tokenizer>, model: &Model, device: &Device) -> Self {
        recipe.choose_kernels();
        let pipeline = recipe.pipeline(tokenizer);
        let device = device.clone().without_autodiff();
        let model = model.valid();
        let temperature = model.temperature.val().into_scalar();
        Self { recipe: recipe.clone(), pipeline, model, temperature, device }
    }

    /// The model of a checkpoint, with the tokenizer and the preprocessing stored there.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let recipe = checkpoint.recipe()?;
        let tokenizer = Arc::new(checkpoint.tokenizer()?);
        let mut model = recipe.model.init(tokenizer.vocab_size(), recipe.seed, device)?;
        checkpoint.load_model(&mut model)?;
        let mut inference = Self::new(&recipe, tokenizer, &model, device);
        inference.pipeline.preprocess = checkpoint.preprocess()?;
        inference.pipeline.preprocess.check()?;
        Ok(inference)
    }

    /// Whether heat maps of words in `layer` can be anything but empty. In the last layer of a joint fusion encoder
    /// the match depends on the class token's attention alone, which is a word's where the class is one.
    pub fn has_heat_maps(&self, layer: usize) -> bool {
        let fusion = &self.recipe.model.fusion;
        fusion.kind != FusionKind::Joint
            || fusion.class_token == ClassToken::Text
            || layer + 1 < self.fusion_depth()
    }

    /// Whether the matching head was trained.
    pub fn matches_pairs(&self) -> bool {
        self.recipe.objectives.itm.is_some()
    }

    /// Encodes the pictures of `records`; those that cannot be read go into `ledger`. Returns the
    /// indices of the others, too; nothing where none can be read. The features stay on the device.
    pub fn images(
        &self,
        records: &[Record],
        ledger: &mut Ledger,
    ) -> Result<Option<(Images, Vec<usize>)>> {
        let mut features = Vec::new();
        let keep = |encoded| features.push(encoded);
        let (embeddings, readable) = self.each_image(records, ledger, keep)?;
        if readable.is_empty() {
            return Ok(None);
        }
        Ok(Some((Images { features: Levels::cat(features), embeddings }, readable)))
    }

    /// The picture of `record`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn image(&self, record: &Record) -> Result<Images> {
        let mut ledger = Ledger::default();
        let found = self.images(std::slice::from_ref(record), &mut ledger)?;
        Ok(found.with_context(|| format!("a picture that cannot be read:\n{ledger}"))?.0)
    }

    /// As [`images`](Self::images), the embeddings alone, `[images, projection_width]`; nothing where none can
    /// be read.
    pub fn image_embeddings(
        &self,
        records: &[Record],
        ledger: &mut Ledger,
    ) -> Result<(Vec<f32>, Vec<usize>)> {
        self.each_image(records, ledger, |_| {})
    }

    /// Encodes pictures, batch by batch, and gives each batch's features to `keep`.
    fn each_image(
        &self,
        records: &[Record],
        ledger: &mut Ledger,
        mut keep: impl FnMut(Levels),
    ) -> Result<(Vec<f32>, Vec<usize>)> {
        let [channels, height, width] = self.pipeline.picture_shape();
        let mut readable = Vec::with_capacity(records.len());
        let mut embeddings = Vec::new();
        let rows: Vec<usize> = (0..records.len()).collect();
        for rows in rows.chunks(self.recipe.eval.batch_size) {
            let (mut pixels, mut tags) = (Vec::new(), Vec::new());
            for row in rows {
                match self.pipeline.picture(&records[*row]) {
                    Ok(picture) => {
                        pixels.extend(picture);
                        readable.push(*row);
                        tags.push(self.tags_of(&records[*row]));
                    }
                    Err(bad) => {
                        ledger.record(bad);
                    }
                }
            }
            let count = pixels.len() / (channels * height * width);
            if count == 0 {
                continue;
            }
            let pixels = TensorData::new(pixels, [count, channels, height, width]);
            let pixels = Tensor::from_data(pixels, &self.device);
            let encoded = self.encode(pixels, &tags);
            let embedded = self.model.backbone.image_embedding(encoded.output());
            embeddings.extend(embedded.into_data().iter::<f32>());
            keep(encoded);
        }
        Ok((embeddings, readable))
    }

    /// The tags that the model is shown of a picture outside training.
    fn tags_of(&self, record: &Record) -> Vec<u32> {
        let tokenizer = &self.pipeline.tokenizer;
        let tags = self.recipe.tags_at_test();
        tags.map_or(Vec::new(), |tags| tags.all(record, |name| tokenizer.phrase_id(name)))
    }

    /// Encodes pictures, each beside its `tags`.
    fn encode(&self, pixels: Tensor<4>, tags: &[Vec<u32>]) -> Levels {
        let most = tags.iter().map(Vec::len).max().unwrap_or(0);
        if most == 0 {
            return self.model.backbone.encode_images(pixels, None);
        }
        let pad = self.pipeline.tokenizer.pad_id();
        let filled = |tags: &'_ Vec<u32>| -> Vec<Option<u32>> {
            (0..most).map(|at| tags.get(at).copied()).collect()
        };
        let places: Vec<Option<u32>> = tags.iter().flat_map(filled).collect();
        let shape = [tags.len(), most];
        let ids: Vec<i32> = places.iter().map(|tag| tag.unwrap_or(pad) as i32).collect();
        let none: Vec<bool> = places.iter().map(Option::is_none).collect();
        let none = Tensor::<2, Bool>::from_data(TensorData::new(none, shape), &self.device);
        let tags = Tags {
            ids: Tensor::from_data(TensorData::new(ids, shape), &self.device),
            padding: AttentionMask::padding(none),
        };
        self.model.backbone.encode_images_with_tags(pixels, &tags).0
    }

    /// Encodes captions.
    pub fn texts(&self, captions: &[String]) -> Result<Texts> {
        let (mut features, mut paddings) = (Vec::new(), Vec::new());
        let embeddings = self.each_text(captions, |encoded, padding| {
            features.push(encoded);
            paddings.push(padding.bias());
        })?;
        let (features, padding) = (Levels::cat(features), Tensor::cat(paddings, 0));
        Ok(Texts { features, padding, embeddings })
    }

    /// As [`texts`](Self::texts), the embeddings alone, `[texts, projection_width]`.
    pub fn text_embeddings(&self, captions: &[String]) -> Result<Vec<f32>> {
        self.each_text(captions, |_, _| {})
    }

    /// Encodes captions, batch by batch, and gives each batch's features and padding to `keep`.
    fn each_text(
        &self,
        captions: &[String],
        mut keep: impl FnMut(Levels, &AttentionMask),
    ) -> Result<Vec<f32>> {
        ensure!(!captions.is_empty(), "no caption");
        let (ids, padding, tokens) = self.pipeline.texts(captions)?;
        let mut embeddings = Vec::new();
        let chunk = self.recipe.eval.batch_size * tokens;
        for (ids, padding) in ids.chunks(chunk).zip(padding.chunks(chunk)) {
            let shape = [ids.len() / tokens, tokens];
            let ids = TensorData::new(ids.to_vec(), shape);
            let padding = TensorData::new(padding.to_vec(), shape);
            let ids = Tensor::<2, Int>::from_data(ids, &self.device);
            let padding =
                AttentionMask::padding(Tensor::<2, Bool>::from_data(padding, &self.device));
            let encoded = self.model.backbone.encode_texts(ids, &padding);
            let embedded = self.model.backbone.text_embedding(encoded.output());
            embeddings.extend(embedded.into_data().iter::<f32>());
            keep(encoded, &padding);
        }
        Ok(embeddings)
    }

    /// How well the matching head finds that each (picture, caption) of `pairs` fits, by their
    /// numbers in `images` and `texts`: the logarithm of the odds of "match".
    pub fn matches(
        &self,
        images: &Images,
        texts: &Texts,
        pairs: &[(usize, usize)],
    ) -> Result<Vec<f32>> {
        let (image, text): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
        let (image, text) = (indices(image, &self.device), indices(text, &self.device));
        let padding = AttentionMask::from_bias(texts.padding.clone().select(0, text.clone()));
        let (images, texts) = (images.features.select(&image), texts.features.select(&text));
        let class = self.model.backbone.fuse_part(&images, &texts, &padding, Part::Class);
        let logits = self.model.match_logits(first_token(class));
        let odds = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
        Ok(odds.into_data().iter::<f32>().collect())
    }

    /// What the candidates of a shortlist are ordered by, for (picture, caption) pairs: the log-odds
    /// of [`Self::matches`], and where its negatives were sampled by similarity, plus the dual encoders'
    /// similarity over the temperature.
    ///
    /// ALBEF, MAMO and MVP order by the odds alone; the sum is our reading. A head that learns against negatives
    /// drawn in proportion to the exponential of the similarity has the odds of the truth over the dual
    /// encoders' belief (noise-contrastive estimation, Gutmann and Hyvarinen 2010), and the truth is the
    /// product of the two. BLIP adds the similarity as well, without the temperature. Against negatives
    /// drawn at random the odds are the truth's already. So they nearly are against the hardest of a batch of
    /// `B`: a pair is that in proportion to `F^(B - 1)`, with `F` the share of pairs that are less
    /// alike, which is about 1 for all of a shortlist.
    pub fn pair_scores(
        &self,
        images: &Images,
        texts: &Texts,
        pairs: &[(usize, usize)],
    ) -> Result<Vec<f32>> {
        let matches = self.matches(images, texts, pairs)?;
        let itm = self.recipe.objectives.itm.as_ref();
        if itm.is_some_and(|itm| itm.negatives != Hardness::Sampled) {
            return Ok(matches);
        }
        let similarities = self.similarities(images, texts, pairs);
        Ok(matches.iter().zip(similarities).map(|(m, s)| m + s / self.temperature).collect())
    }

    /// The dual encoders' similarity of (picture, caption) pairs, by their numbers.
    pub fn similarities(
        &self,
        images: &Images,
        texts: &Texts,
        pairs: &[(usize, usize)],
    ) -> Vec<f32> {
        let width = self.recipe.model.projection_width;
        let similarity = |&(image, text): &(usize, usize)| -> f32 {
            let image = &images.embeddings[image * width..][..width];
            let text = &texts.embeddings[text * width..][..width];
            image.iter().zip(text).map(|(i, t)| i * t).sum()
        };
        pairs.iter().map(similarity).collect()
    }

    /// Which patches each token of `caption` attends to in the last layer of the fusion encoder,
    /// averaged over heads.
    pub fn attention(&self, record: &Record, caption: &str) -> Result<Vec<WordAttention>> {
        let images = self.image(record)?;
        let texts = self.texts(&[caption.to_string()])?;
        let padding = AttentionMask::from_bias(texts.padding);
        let (_, layers) =
            self.model.backbone.fuse_with_weights(&images.features, &texts.features, &padding);
        let last = layers.into_iter().next_back().context("a fusion encoder without layers")?;
        let [_, _, tokens, patches] = last.dims();
        let weights: Vec<f32> =
            last.mean_dim(1).reshape([tokens, patches]).into_data().iter::<f32>().collect();
        let encoding = self.pipeline.tokenizer.encode(caption, self.pipeline.max_tokens)?;
        let rows = weights.chunks(patches);
        Ok(encoding
            .tokens
            .into_iter()
            .zip(encoding.words)
            .zip(rows)
            .map(|((token, word), row)| WordAttention { token, word, weights: row.to_vec() })
            .collect())
    }
}
