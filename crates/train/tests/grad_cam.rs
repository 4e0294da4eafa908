//! Grad-CAM of pairs: of whose picture, of whose words, in which layer and of what score.

mod common;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_model::Model;
use weft_nn::AttentionMask;
use weft_train::inference::Inference;
use weft_train::state::TrainState;

/// The map of a picture and a caption that nothing stands beside and nothing fills up: what speaks for a
/// match, averaged over all tokens of the caption.
fn alone(
    model: &Model,
    inference: &Inference,
    record: &Record,
    caption: &str,
    layer: usize,
) -> Vec<f64> {
    let (pipeline, device) = (&inference.pipeline, Device::flex());
    let [channels, rows, columns] = pipeline.picture_shape();
    let picture = pipeline.picture(record).unwrap();
    let picture = TensorData::new(picture, [1, channels, rows, columns]);
    let image = model.backbone.encode_images(Tensor::from_data(picture, &device), None);
    let encoding = pipeline.tokenizer.encode(caption, pipeline.max_tokens).unwrap();
    let tokens = encoding.len();
    let ids: Vec<i32> = encoding.ids.iter().map(|id| *id as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, tokens]), &device);
    let nothing = TensorData::new(vec![false; tokens], [1, tokens]);
    let padding = AttentionMask::padding(Tensor::<2, Bool>::from_data(nothing, &device));
    let text = model.backbone.encode_texts(ids, &padding);
    // Of the matching head's two outputs the second is that of a match.
    let cam = model.backbone.grad_cam(&image, &text, &padding, layer, |fused| {
        model.match_logits(fused.class).narrow(1, 1, 1).reshape([1])
    });
    let [_, _, patches] = cam.dims();
    let cam: Vec<f64> = cam.into_data().iter::<f32>().map(f64::from).collect();
    let of_patch =
        |patch: usize| (0..tokens).map(|token| cam[token * patches + patch]).sum::<f64>();
    (0..patches).map(|patch| of_patch(patch) / tokens as f64).collect()
}

fn most(map: &[f64]) -> f64 {
    map.iter().copied().fold(0.0, f64::max)
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_map_is_of_its_own_pair_and_layer() {
    // Weights so large that attention is uneven without having been learnt.
    // Of three layers the last one is not asked: there the match depends on the class token's attention alone, and the
    // words' rows, which the maps are of, have no gradient.
    let settings = ["model.fusion.transformer.depth=3", "model.init_std=0.3"];
    let (recipe, device) = (common::tiny(&settings), Device::flex());
    let records = common::records(32);
    let tokenizer = common::tokenizer(&recipe, &records);
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let inference = Inference::new(&recipe, tokenizer, &state.model, &device);
    let model = state.model.valid();
    // Of different lengths, so that one of them is filled up.
    let captions = ["a dog", "a red face and a blue hat"].map(String::from);
    let pictures = &records[..3];
    let (images, _) = inference.images(pictures, &mut Ledger::default()).unwrap().unwrap();
    let texts = inference.texts(&captions).unwrap();
    let pairs = [(0, 1), (2, 0), (1, 0), (2, 1)];
    let mut maps = Vec::new();
    for layer in 0..2 {
        let found = inference.grad_cam(&images, &texts, &pairs, layer).unwrap();
        assert_eq!(found.len(), pairs.len());
        for ((picture, text), found) in pairs.iter().zip(found) {
            let expected = alone(&model, &inference, &pictures[*picture], &captions[*text], layer);
            let found: Vec<f64> = found.into_iter().map(f64::from).collect();
            let (difference, most) = (apart(&found, &expected), most(&expected));
            // What is computed beside others is rounded otherwise.
            assert!(difference < 1e-3 * most, "{picture}, {text}, {layer}: {difference} of {most}");
            maps.push(expected);
        }
    }
    // No two of them could be taken for one another.
    for (at, map) in maps.iter().enumerate() {
        for other in &maps[..at] {
            assert!(apart(map, other) > 1e-2 * most(map), "{map:?} {other:?}");
        }
    }
}
