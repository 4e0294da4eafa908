//! Small encoders in which no number is left as it begins, and what goes into them.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use weft_fusion::{CoAttentionConfig, CoAttentionFusion, ConnectionConfig, Levels};
use weft_nn::init::seeded;
use weft_nn::{AttentionMask, NormPosition, TransformerConfig};

use super::random;

pub const WIDTH: usize = 6;
/// Words.
pub const TOKENS: usize = 4;
/// Patches.
pub const KEYS: usize = 5;
pub const EPSILON: f64 = 1e-5;
/// Of the two uni-modal encoders.
pub const IMAGE_WIDTH: usize = 8;
pub const TEXT_WIDTH: usize = 10;

/// Draws what [`seeded`] leaves as it begins: of equal norms nobody sees that one was taken for
/// another, and of biases of zero nobody that they were left out.
struct Uneven;

impl ModuleMapper for Uneven {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D > 1 {
            return param;
        }
        param.map(|x| x.random_like(Distribution::Uniform(-0.3, 0.3)) + x)
    }
}

pub fn module<M: Module>(module: M) -> M {
    seeded(module, 1, 0.5).map(&mut Uneven)
}

/// Hides the tokens of two examples from these lengths on.
pub fn mask(lengths: [usize; 2], tokens: usize) -> AttentionMask {
    let hidden: Vec<bool> =
        lengths.iter().flat_map(|length| (0..tokens).map(move |at| at >= *length)).collect();
    let hidden = TensorData::new(hidden, [2, tokens]);
    AttentionMask::padding(Tensor::<2, Bool>::from_data(hidden, &Device::flex()))
}

/// Two streams of `depth` layers.
pub fn co_attention(
    connection: ConnectionConfig,
    depth: usize,
) -> (CoAttentionConfig, CoAttentionFusion) {
    let config = CoAttentionConfig {
        connection,
        share_projections: true,
        norm_epsilon: EPSILON,
        transformer: TransformerConfig {
            memory_width: Some(WIDTH),
            ..TransformerConfig::new(WIDTH, depth, 2, NormPosition::Post)
        },
    };
    config.validate().unwrap();
    let fusion = module(config.init(IMAGE_WIDTH, TEXT_WIDTH, &Device::flex()));
    (config, fusion)
}

/// Two pairs as the upper `layers` of both encoders have them: a class token and patches, and words.
pub fn inputs(layers: usize) -> (Levels, Levels) {
    let levels =
        |tokens, width| Levels::new((0..layers).map(|_| random([2, tokens, width])).collect());
    (levels(1 + KEYS, IMAGE_WIDTH), levels(TOKENS, TEXT_WIDTH))
}

/// The layers of the text encoder, or of the image encoder, in the fusion encoder's width, marked as
/// what they are.
pub fn projected(fusion: &CoAttentionFusion, text: bool, levels: &Levels) -> Vec<Tensor<3>> {
    let projections = if text { &fusion.text_projection } else { &fusion.image_projection };
    let mark = fusion.modality.val().narrow(0, usize::from(!text), 1).unsqueeze::<3>();
    let layers = levels.layers().iter();
    layers.map(|layer| projections[0].forward(layer.clone()) + mark.clone()).collect()
}
