//! Grad-CAM against what a nudge of each attention weight does to the score.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::encoders::{
    IMAGE_WIDTH, KEYS, TEXT_WIDTH, TOKENS, WIDTH, co_attention, inputs, mask, module, projected,
};
use common::{dot, numbers, random};
use weft_fusion::{
    ClassToken, CoAttentionFusion, ConnectionConfig, ConnectionKind, Fused, JointFusion,
    JointFusionConfig, Levels, Links,
};
use weft_nn::{Memory, NormPosition, TransformerConfig};

const PAIRS: usize = 2;
const HEADS: usize = 2;
const LAYERS: usize = 2;
/// Of an attention weight, up and down: small beside a weight, large beside what f32 rounds away.
const NUDGE: f64 = 2e-3;
/// Parts of a map's largest number, by which nudges in f32 may miss it.
const TOLERANCE: f64 = 5e-3;

/// A number of each pair that all of its words have a part in.
fn score(fused: Fused, asked: &Tensor<3>) -> Tensor<1> {
    (fused.text * asked.clone()).sum_dim(2).sum_dim(1).reshape([PAIRS])
}

/// Where in an attention the words ask, and where a patch is seen.
struct Places<R, C> {
    rows: usize,
    keys: usize,
    row_of: R,
    keys_of: C,
}

/// For each pair, word and patch, each row by row.
struct Map {
    /// Of positive gradients, as Grad-CAM is.
    positive: Vec<f64>,
    /// Of all gradients.
    all: Vec<f64>,
}

/// `run` adds its argument, `[PAIRS, HEADS, rows, keys]`, to the weights of a layer, and gives the words
/// behind the last layer, and those weights.
fn by_nudges(
    places: &Places<impl Fn(usize) -> usize, impl Fn(usize) -> Vec<usize>>,
    asked: &[f64],
    run: impl Fn(Tensor<4>) -> (Tensor<3>, Tensor<4>),
) -> Map {
    let Places { rows, keys, row_of, keys_of } = places;
    let place = |pair: usize, head: usize, row: usize, key: usize| {
        ((pair * HEADS + head) * rows + row) * keys + key
    };
    let run = |nudges: Vec<f32>| {
        let shape = [PAIRS, HEADS, *rows, *keys];
        run(Tensor::from_data(TensorData::new(nudges, shape), &Device::flex()))
    };
    let still = vec![0.0; PAIRS * HEADS * rows * keys];
    let scores = |head: usize, row: usize, key: usize, by: f64| -> Vec<f64> {
        let mut nudges = still.clone();
        // Pairs do not meet, so that both can be nudged at once.
        (0..PAIRS).for_each(|pair| nudges[place(pair, head, row, key)] = by as f32);
        numbers(run(nudges).0).chunks(TOKENS * WIDTH).map(|words| dot(words, asked)).collect()
    };
    let weights = numbers(run(still.clone()).1);
    let nothing = vec![0.0; PAIRS * TOKENS * KEYS];
    let mut map = Map { positive: nothing.clone(), all: nothing };
    for (word, patch) in (0..TOKENS).flat_map(|word| (0..KEYS).map(move |patch| (word, patch))) {
        let (row, keys) = (row_of(word), keys_of(patch));
        for (head, key) in (0..HEADS).flat_map(|head| keys.iter().map(move |key| (head, *key))) {
            let (up, down) = (scores(head, row, key, NUDGE), scores(head, row, key, -NUDGE));
            for pair in 0..PAIRS {
                let gradient = (up[pair] - down[pair]) / (2.0 * NUDGE);
                let share = weights[place(pair, head, row, key)] / HEADS as f64;
                let at = (pair * TOKENS + word) * KEYS + patch;
                map.positive[at] += share * gradient.max(0.0);
                map.all[at] += share * gradient;
            }
        }
    }
    map
}

fn most(map: &[f64]) -> f64 {
    map.iter().copied().fold(0.0, f64::max)
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// `found` is what nudges make of each layer, and nothing that could be taken for it: neither the other
/// layer's map nor that of all gradients, whatever their sign.
fn assert_maps(found: [Tensor<3>; LAYERS], expected: [Map; LAYERS], what: &str) {
    for (layer, (found, map)) in found.into_iter().zip(&expected).enumerate() {
        assert_eq!(found.dims(), [PAIRS, TOKENS, KEYS]);
        let (found, most) = (numbers(found), most(&map.positive));
        let difference = apart(&found, &map.positive);
        assert!(difference < TOLERANCE * most, "{what}, layer {layer}: {difference} of {most}");
        assert!(apart(&map.all, &map.positive) > 10.0 * TOLERANCE * most, "{what}, layer {layer}");
        let other = &expected[1 - layer].positive;
        assert!(apart(other, &map.positive) > 10.0 * TOLERANCE * most, "{what}, layer {layer}");
    }
}

/// The joint encoder's tokens: its own class token, patches, and words.
fn joined(fusion: &JointFusion, image: &Levels, text: &Levels) -> Tensor<3> {
    let class = fusion.class_token.as_ref().unwrap().val().expand([PAIRS, 1, WIDTH]);
    let image = fusion.image_projection.as_ref().unwrap().forward(image.output());
    let text = fusion.text_projection.as_ref().unwrap().forward(text.output());
    Tensor::cat(vec![class, image.narrow(1, 1, KEYS), text], 1)
}

#[test]
fn of_the_joint_encoder() {
    Device::flex().seed(1);
    let transformer = TransformerConfig::new(WIDTH, LAYERS, HEADS, NormPosition::Pre);
    let config = JointFusionConfig { class_token: ClassToken::Learned, transformer };
    let fusion = module(config.init(IMAGE_WIDTH, TEXT_WIDTH, &Device::flex()));
    let (image, text) = inputs(1);
    let asked = random([1, TOKENS, WIDTH]);
    // The last word of the second pair is padding.
    let words = [TOKENS, TOKENS - 1];
    let positions = 1 + KEYS + TOKENS;
    let hidden = mask(words.map(|words| 1 + KEYS + words), positions);
    let tokens = joined(&fusion, &image, &text);
    let places = Places {
        rows: positions,
        keys: positions,
        row_of: |word: usize| 1 + KEYS + word,
        keys_of: |patch: usize| vec![1 + patch],
    };
    let expected = [0, 1].map(|layer| {
        by_nudges(&places, &numbers(asked.clone()), |nudges| {
            let tokens = tokens.clone();
            let (x, weights) = fusion.stack.forward_probed(tokens, Some(&hidden), layer, nudges);
            (x.narrow(1, 1 + KEYS, TOKENS), weights)
        })
    });
    let found = [0, 1].map(|layer| {
        fusion.grad_cam(&image, &text, &mask(words, TOKENS), layer, |fused| score(fused, &asked))
    });
    assert_maps(found, expected, "joint");
}

/// What a stream attends to in `layer`, where the other one was in `states` so far: the last of them, or
/// all beside one another.
fn keys(links: &Links, layer: usize, states: &[Tensor<3>]) -> Tensor<3> {
    let Some(concat) = links.concats.get(layer) else { return states[layer].clone() };
    let marked = states.iter().zip(&concat.level_norms).enumerate().map(|(at, (state, norm))| {
        let mark = concat.level_embedding.val().narrow(0, at, 1).unsqueeze::<3>();
        norm.forward(state.clone()) + mark
    });
    Tensor::cat(marked.collect(), 1)
}

/// The words behind the last layer, and what they attended to in `layer`, with `nudges` added to that.
fn crossed(
    fusion: &CoAttentionFusion,
    [image, text]: [&Levels; 2],
    layer: usize,
    nudges: Tensor<4>,
) -> (Tensor<3>, Tensor<4>) {
    let (mut words, mut patches) = (projected(fusion, true, text), projected(fusion, false, image));
    let mut attended = None;
    for at in 0..LAYERS {
        let seen = keys(&fusion.text_links, at, &patches);
        let nudges = (at == layer).then(|| nudges.clone());
        let input = words[at].clone();
        let of_words = fusion.text_blocks[at].forward_crossing(input, None, None, |cross, s| {
            let (output, weights) = cross.forward_with_weights(s, seen, None, nudges);
            if at == layer {
                attended = Some(weights);
            }
            output
        });
        let memory = Memory { tokens: keys(&fusion.image_links, at, &words), mask: None };
        let input = patches[at].clone();
        patches.push(fusion.image_blocks[at].forward_with_memory(input, None, &memory));
        words.push(of_words);
    }
    (words.remove(LAYERS), attended.unwrap())
}

#[test]
fn of_two_streams() {
    Device::flex().seed(2);
    for kind in [ConnectionKind::None, ConnectionKind::Concat] {
        let (config, fusion) = co_attention(ConnectionConfig::new(kind), LAYERS);
        // The fusion encoder's own states are the levels: of the encoders it reads the last layers.
        assert_eq!(config.encoder_layers(), 1);
        let (image, text) = inputs(1);
        let (asked, whole) = (random([1, TOKENS, WIDTH]), mask([TOKENS; PAIRS], TOKENS));
        let expected = [0, 1].map(|layer| {
            let levels = if kind == ConnectionKind::Concat { 1 + layer } else { 1 };
            let places = Places {
                rows: TOKENS,
                keys: levels * (1 + KEYS),
                row_of: |word: usize| word,
                // Of each level the picture's class token is no patch.
                keys_of: |patch: usize| -> Vec<usize> {
                    (0..levels).map(|level| level * (1 + KEYS) + 1 + patch).collect()
                },
            };
            by_nudges(&places, &numbers(asked.clone()), |nudges| {
                crossed(&fusion, [&image, &text], layer, nudges)
            })
        });
        let found = [0, 1].map(|layer| {
            fusion.grad_cam(&image, &text, &whole, layer, |fused| score(fused, &asked))
        });
        assert_maps(found, expected, &format!("{kind:?}"));
    }
}
