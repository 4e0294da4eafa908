//! Sizes of a whole model.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_fusion::FusionConfig;
use weft_nn::init::{linear, seeded};
use weft_nn::{Activation, ConfigError, FeedForward, FeedForwardConfig};
use weft_text::TextEncoderConfig;
use weft_vision::VitConfig;

use crate::backbone::Backbone;
use crate::heads::{Heads, MlmHeadConfig};
use crate::mim_head::MimHeadConfig;
use crate::model::{Model, TEMPERATURE_RANGE};
use crate::region_head::RegionHead;
use crate::tag_embeddings::TagEmbeddings;
use crate::task_head::TaskHeadConfig;

/// Sizes of a [`Model`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the space in which pictures and captions are compared.
    pub projection_width: usize,
    /// Where the learned temperature of that comparison starts (ALBEF: 0.07).
    pub temperature: f64,
    /// Standard deviation of initial weights. BERT and ViT have 0.02 at width 768; a narrow model
    /// needs more, or its outputs hardly depend on its input.
    #[serde(default = "published_std")]
    pub init_std: f64,
    pub vision: VitConfig,
    pub text: TextEncoderConfig,
    pub fusion: FusionConfig,
    /// Phrases and tags, where the model knows some; written by the trainer, who knows the corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concepts: Option<ConceptsConfig>,
    /// The head of a task; written by the trainer, who knows the task's classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskHeadConfig>,
    /// The head of MIM, where it is not an MLP to the image encoder's width; written by the recipe,
    /// which knows what is predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mim_head: Option<MimHeadConfig>,
}

/// What a model knows besides words (MVP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConceptsConfig {
    /// Rows of the embedding table behind those of the words.
    pub rows: usize,
    /// Whether the image encoder sees tags.
    pub tags: bool,
}

fn published_std() -> f64 {
    weft_nn::init::STD
}

impl ModelConfig {
    /// Checks that a model of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.projection_width == 0 {
            return Err(ConfigError::new("model", "projection_width must be at least 1"));
        }
        let (low, high) = TEMPERATURE_RANGE;
        if !(low..=high).contains(&self.temperature) {
            return Err(ConfigError::new(
                "model",
                format!("temperature {} is not in [{low}, {high}]", self.temperature),
            ));
        }
        if self.init_std <= 0.0 {
            return Err(ConfigError::new("model", "init_std must be above 0"));
        }
        self.vision.validate()?;
        self.text.validate()?;
        if self.text.causal {
            let problem = "causal: a caption is read at its first token, which sees no other then";
            return Err(ConfigError::new("model.text", problem));
        }
        self.fusion.validate()?;
        let layers = self.fusion.encoder_layers();
        for (part, depth) in [
            ("model.vision", self.vision.transformer.depth),
            ("model.text", self.text.transformer.depth),
        ] {
            if depth < layers {
                let problem = format!(
                    "{depth} layers, of which a fusion encoder with this connection reads {layers}"
                );
                return Err(ConfigError::new(part, problem));
            }
        }
        self.mim_head.map_or(Ok(()), |head| head.validate())?;
        self.task.map_or(Ok(()), |task| task.validate())
    }

    /// A new model for a vocabulary of `vocab_size` words. Its weights depend on `seed` and the sizes
    /// alone, not on the device.
    pub fn init(
        &self,
        vocab_size: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Model, ConfigError> {
        Ok(seeded(self.blank(vocab_size, device)?, seed, self.init_std))
    }

    /// A model whose weights are made when they are first asked for, and are nobody's to rely on: for
    /// counting them.
    pub fn blank(&self, vocab_size: usize, device: &Device) -> Result<Model, ConfigError> {
        self.validate()?;
        let image = self.vision.transformer.width;
        let text = self.text.transformer.width;
        let fused = self.fusion.transformer.width;
        let rows = vocab_size + self.concepts.map_or(0, |concepts| concepts.rows);
        let with_tags = self.concepts.is_some_and(|concepts| concepts.tags);
        let recovering = |from: usize| MlmHeadConfig::new(from, text, rows).init(device);
        let backbone = Backbone {
            vision: self.vision.init(device),
            text: self.text.init(rows, device),
            fusion: self.fusion.as_joint().map(|fusion| fusion.init(image, text, device)),
            co_attention: self
                .fusion
                .as_co_attention()
                .map(|fusion| fusion.init(image, text, device)),
            encoder_layers: self.fusion.encoder_layers(),
            image_projection: linear(image, self.projection_width, device),
            text_projection: linear(text, self.projection_width, device),
            tags: with_tags.then(|| TagEmbeddings::new(text, image, device)),
        };
        let mim = self.mim_head.unwrap_or(MimHeadConfig { depth: 0, output: image });
        let heads = Heads {
            itm: linear(self.fusion.class_width(), 2, device),
            mlm: MlmHeadConfig::new(fused, text, vocab_size).init(device),
            mrm: predictor(fused, fused, device),
            mim: (mim.depth == 0).then(|| predictor(fused, mim.output, device)),
            mim_blocks: mim.blocks(&self.fusion.transformer, device),
            phrases: self.concepts.map(|_| recovering(text)),
            tags: with_tags.then(|| recovering(image)),
            task: self
                .task
                .filter(|task| !task.region)
                .map(|task| task.init(self.fusion.class_width(), device)),
            region: self
                .task
                .filter(|task| task.region)
                .map(|_| RegionHead::new(fused, self.vision.grid(), device)),
        };
        let temperature =
            Param::from_tensor(Tensor::from_floats([self.temperature as f32], device));
        Ok(Model { backbone, temperature, heads })
    }
}

/// The non-linear predictor of a target.
fn predictor(width: usize, output: usize, device: &Device) -> FeedForward {
    let config = FeedForwardConfig {
        width,
        hidden: 2 * width,
        output,
        activation: Activation::Gelu,
        gated: false,
        dropout: 0.0,
    };
    config.init(device)
}
