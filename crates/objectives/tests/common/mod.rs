//! A model and a batch small enough for finite differences.

pub mod plain;

use burn::module::Param;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use weft_fusion::{ClassToken, ConnectionConfig, FusionConfig, FusionKind};
use weft_model::{Backbone, ConceptsConfig, Model, ModelConfig, TaskHeadConfig, momentum};
use weft_nn::{AttentionMask, LayerNorm, NormPosition, TransformerConfig};
use weft_objectives::batch::HostPairs;
use weft_objectives::concepts::{BatchPhrases, BatchTags};
use weft_objectives::mim::MimConfig;
use weft_objectives::{CodeLookup, PairBatch};
use weft_text::TextEncoderConfig;
use weft_vision::{MaskMode, VitConfig};

pub const VOCABULARY: usize = 12;
/// Rows of phrases behind those of the words.
pub const PHRASES: usize = 4;
pub const BATCH: usize = 4;
/// Of a task head: four classes, or a rectangle.
pub const OUTPUTS: usize = 4;
/// Of a codebook.
pub const CODES: usize = 6;
/// Numbers of a patch: 4 x 4 pixels in three colours.
pub const PATCH: usize = 48;
pub const SIZE: usize = 8;
const PATCHES: usize = 4;
const TOKENS: usize = 5;

fn transformer(width: usize, norm: NormPosition) -> TransformerConfig {
    TransformerConfig::new(width, 1, 2, norm)
}

/// Widths differ, so that a projection in the wrong place shows.
pub fn config(mask_mode: MaskMode) -> ModelConfig {
    ModelConfig {
        projection_width: 6,
        temperature: 0.2,
        init_std: 0.3,
        vision: VitConfig {
            mask_mode,
            ..VitConfig::new(SIZE, 4, transformer(8, NormPosition::Pre))
        },
        text: TextEncoderConfig::new(TOKENS, transformer(10, NormPosition::Post)),
        fusion: FusionConfig::joint(transformer(12, NormPosition::Pre)),
        concepts: None,
        task: None,
        mim_head: None,
    }
}

/// An online model and a momentum twin that has drifted from it.
#[allow(dead_code)]
pub fn models(mask_mode: MaskMode, device: &Device) -> (Model, Backbone) {
    models_of(&config(mask_mode), device)
}

/// Gives `norm`, off the tape, a scale and a shift as if it had learnt: what comes out of a new one is
/// standardised, so that standardising it again would not show.
#[allow(dead_code)]
pub fn learnt(norm: &mut LayerNorm, device: &Device) {
    let [width] = norm.gamma.dims();
    let row = |first: f32, step: f32| {
        let numbers: Vec<f32> = (0..width).map(|i| first + step * i as f32).collect();
        Param::from_tensor(Tensor::<1>::from_data(TensorData::new(numbers, [width]), device))
    };
    norm.gamma = row(0.5, 0.2);
    norm.beta = row(-0.6, 0.1);
}

/// As [`models`], with a co-attention encoder of two layers over encoders of two.
#[allow(dead_code)]
pub fn co_attention_models(connection: ConnectionConfig, device: &Device) -> (Model, Backbone) {
    let mut config = config(MaskMode::Drop);
    config.vision.transformer.depth = 2;
    config.text.transformer.depth = 2;
    config.fusion = FusionConfig {
        kind: FusionKind::CoAttention,
        connection: Some(connection),
        ..FusionConfig::joint(TransformerConfig::new(12, 2, 2, NormPosition::Post))
    };
    models_of(&config, device)
}

/// As [`models`], with the fused class of MVPTR's release.
#[allow(dead_code)]
pub fn text_class_models(device: &Device) -> (Model, Backbone) {
    let mut config = config(MaskMode::Token);
    config.fusion.class_token = ClassToken::Text;
    models_of(&config, device)
}

/// As [`models`], with the head that MIM needs; `mim` is its table.
#[allow(dead_code)]
pub fn mim_models(mim: &str, mask_mode: MaskMode, device: &Device) -> (Model, Backbone) {
    let mim: MimConfig = toml::from_str(mim).unwrap();
    let config = config(mask_mode);
    let mim_head = mim.head(&config.vision);
    models_of(&ModelConfig { mim_head, ..config }, device)
}

/// Centres of patches, `[CODES, PATCH]`, some of them near to patches of [`batch`].
#[allow(dead_code)]
pub fn centres() -> Vec<f32> {
    (0..CODES * PATCH).map(|i| (i * 6151 % 997) as f32 / 250.0 - 2.0).collect()
}

#[allow(dead_code)]
pub fn codebook(device: &Device) -> CodeLookup {
    CodeLookup::new(&centres(), PATCH, device)
}

fn models_of(config: &ModelConfig, device: &Device) -> (Model, Backbone) {
    let model = config.init(VOCABULARY, 1, &device.clone().autodiff()).unwrap();
    let other = config.init(VOCABULARY, 2, &device.clone().autodiff()).unwrap();
    let twin = momentum::update(momentum::twin(&other.backbone), &model.backbone, 0.5);
    (model, twin)
}

/// As [`models`], with a task head for captions about `pictures` pictures.
#[allow(dead_code)]
pub fn task_models(pictures: usize, device: &Device) -> (Model, Backbone) {
    task_models_of(TaskHeadConfig { pictures, outputs: OUTPUTS, region: false }, device)
}

/// As [`models`], with a head whose patches propose a rectangle.
#[allow(dead_code)]
pub fn region_models(device: &Device) -> (Model, Backbone) {
    task_models_of(TaskHeadConfig { pictures: 1, outputs: 4, region: true }, device)
}

fn task_models_of(task: TaskHeadConfig, device: &Device) -> (Model, Backbone) {
    let config = ModelConfig { task: Some(task), ..config(MaskMode::Token) };
    let model = config.init(VOCABULARY, 1, &device.clone().autodiff()).unwrap();
    let twin = momentum::twin(&model.backbone);
    (model, twin)
}

/// Labels of both kinds, and the pictures in another order as the captions' second ones.
#[allow(dead_code)]
pub fn task_batch(pictures: usize, device: &Device) -> PairBatch {
    let batch = batch(device);
    let rows = |rows: [[f32; OUTPUTS]; BATCH]| Tensor::<2>::from_floats(rows, device);
    let scores = rows([
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.7, 0.3, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 0.0],
    ]);
    let regions = rows([
        [0.1, 0.2, 0.3, 0.4],
        [0.5, 0.5, 0.5, 0.5],
        [0.0, 0.0, 1.0, 1.0],
        [0.7, 0.1, 0.2, 0.2],
    ]);
    PairBatch {
        others: (pictures == 2).then(|| batch.images.clone().flip([0])),
        class_scores: Some(scores),
        regions: Some(regions),
        ..batch
    }
}

/// As [`models`], with phrases and tags.
#[allow(dead_code)]
pub fn concept_models(device: &Device) -> (Model, Backbone) {
    let concepts = Some(ConceptsConfig { rows: PHRASES, tags: true });
    models_of(&ModelConfig { concepts, ..config(MaskMode::Token) }, device)
}

/// Captions with two phrases, one, none and one; pictures with two tags, none, one and two.
#[allow(dead_code)]
pub fn concept_batch(device: &Device) -> PairBatch {
    let ids = [2, 5, 12, 13, 3, 2, 7, 8, 14, 3, 2, 10, 3, 0, 0, 2, 11, 5, 15, 3];
    let masked = [2, 4, 4, 13, 3, 2, 7, 4, 4, 3, 2, 4, 3, 0, 0, 2, 11, 5, 15, 3];
    let phrases: Vec<bool> = ids.iter().map(|id| *id as usize >= VOCABULARY).collect();
    let batch = batch(device);
    let tags = [12, 15, 0, 0, 13, 0, 14, 12];
    let masked_tags = [12, 4, 0, 0, 4, 0, 14, 12];
    let no_tag = [false, false, true, true, false, true, false, false];
    PairBatch {
        phrases: BatchPhrases::new(&phrases, &ids, &masked, TOKENS, device),
        tags: Some(BatchTags::new(&tags, &masked_tags, &no_tag, BATCH, device)),
        ids: Tensor::from_data(TensorData::new(ids.to_vec(), [BATCH, TOKENS]), device),
        masked_ids: Tensor::from_data(TensorData::new(masked.to_vec(), [BATCH, TOKENS]), device),
        padding: AttentionMask::padding(Tensor::<2, Bool>::from_data(
            TensorData::new(ids.map(|id| id == 0).to_vec(), [BATCH, TOKENS]),
            device,
        )),
        ..batch
    }
}

/// Which patches of [`batch`] are masked, picture by picture.
pub const IMAGE_MASK: [u8; BATCH * PATCHES] = [1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0];

/// The pictures of [`batch`], `[BATCH, 3, SIZE, SIZE]`.
pub fn pixels() -> Vec<f32> {
    let wave = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
    (0..BATCH * 3 * SIZE * SIZE).map(wave).collect()
}

pub fn batch(device: &Device) -> PairBatch {
    let images = pixels();
    // [CLS] words [SEP] padding, captions of different lengths.
    let ids = [2, 5, 6, 3, 0, 2, 7, 8, 9, 3, 2, 10, 3, 0, 0, 2, 11, 5, 3, 0];
    let padding: Vec<bool> = ids.iter().map(|id| *id == 0).collect();
    let text_mask: Vec<bool> =
        [0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0].map(|m| m == 1).to_vec();
    let masked_ids: Vec<i32> =
        ids.iter().zip(&text_mask).map(|(id, masked)| if *masked { 4 } else { *id }).collect();
    let image_mask = IMAGE_MASK.map(|m| m == 1).to_vec();
    let captions: Vec<String> = (0..BATCH).map(|i| format!("caption {i}")).collect();
    assert_eq!(image_mask.len(), BATCH * PATCHES);
    let pairs = HostPairs {
        images: &images,
        picture_of: &[0, 1, 2, 3],
        picture_shape: [3, SIZE, SIZE],
        image_mask: &image_mask,
        ids: &ids,
        masked_ids: &masked_ids,
        padding: &padding,
        text_mask: &text_mask,
        captions: &captions,
        phrases: &[],
        tags: &[],
        masked_tags: &[],
        tag_padding: &[],
        others: &[],
        class_scores: &[],
        regions: &[],
    };
    PairBatch::new(&pairs, device).unwrap()
}
