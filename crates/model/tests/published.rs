//! Starting from published encoders, and exporting encoders that others can load.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use weft_fusion::JointFusionConfig;
use weft_model::published::{
    self, Config, Inputs, export_text, export_vision, start_text, start_vision,
};
use weft_model::weights;
use weft_nn::init::seeded;
use weft_nn::{Activation, AttentionMask, NormPosition, TransformerConfig};
use weft_text::{Positions, TextEncoder, TextEncoderConfig};
use weft_vision::{ImageSize, MaskMode, Vit, VitConfig};
use weft_weights::{Array, Data, Weights};

const VOCABULARY: usize = 23;

fn device() -> Device {
    Device::flex()
}

fn vision(image_size: usize) -> VitConfig {
    VitConfig::new(image_size, 4, TransformerConfig::new(8, 2, 2, NormPosition::Pre))
}

fn vit(config: &VitConfig, seed: u64) -> Vit {
    seeded(config.init(&device()), seed, 0.3)
}

fn bert(depth: usize) -> TextEncoderConfig {
    let transformer = TransformerConfig {
        norm_epsilon: 1e-12,
        ..TransformerConfig::new(8, depth, 2, NormPosition::Post)
    };
    TextEncoderConfig { token_types: 2, ..TextEncoderConfig::new(12, transformer) }
}

fn text(config: &TextEncoderConfig, seed: u64) -> TextEncoder {
    seeded(config.init(VOCABULARY, &device()), seed, 0.3)
}

/// Every parameter of a module, as a file of weights has them.
fn parameters<M: Module>(module: &M) -> Vec<(String, Array)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    weights::save(module, &path).unwrap();
    let file = Weights::open(&path).unwrap();
    file.names().iter().map(|name| (name.to_string(), file.get(name).unwrap())).collect()
}

fn parameter<M: Module>(module: &M, name: &str) -> Array {
    let all = parameters(module);
    all.into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn largest_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

#[test]
fn image_encoders_come_back_as_they_were() {
    let plain = vision(12);
    let clip = VitConfig { patch_bias: false, embedding_norm: true, ..vision(12) };
    let dino = |gated| VitConfig {
        transformer: TransformerConfig {
            layer_scale: Some(0.5),
            gated,
            activation: if gated { Activation::Silu } else { Activation::Gelu },
            mlp_ratio: 2.0,
            ..vision(12).transformer
        },
        ..vision(12)
    };
    for (config, class, mask_token) in [
        (plain, "ViTModel", false),
        (clip, "CLIPVisionModel", false),
        (dino(false), "Dinov2Model", true),
        (dino(true), "Dinov2Model", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let original = vit(&config, 1);
        export_vision(&original, &config, folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
        assert!(text.contains(class), "{text}");
        if class == "Dinov2Model" {
            // The reference refuses 2.0.
            let config: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(config["mlp_ratio"].is_u64(), "{text}");
        }
        let other = vit(&config, 2);
        let (back, coverage) =
            start_vision(other.clone(), &config, folder.path(), &device()).unwrap();
        assert_eq!(coverage.missing.len() + coverage.unexpected.len(), 0, "{class}: {coverage}");
        assert!(coverage.reshaped.is_empty());
        let base = Config::read(folder.path()).unwrap().base_class().unwrap();
        published::open_as(&base, folder.path(), &device()).unwrap();
        let initial = parameters(&other);
        for ((name, found), (index, expected)) in
            parameters(&back).into_iter().zip(parameters(&original).into_iter().enumerate())
        {
            match name == "mask_token" && !mask_token {
                true => assert_eq!(found, initial[index].1, "{class}: {name}"),
                false => assert_eq!((&name, found), (&expected.0, expected.1), "{class}"),
            }
        }
    }
}

#[test]
fn the_exported_encoder_computes_the_same() {
    let config = vision(12);
    let original = vit(&config, 3);
    let folder = tempfile::tempdir().unwrap();
    export_vision(&original, &config, folder.path()).unwrap();
    let (model, _) = published::open(folder.path(), &device()).unwrap();
    let images = Tensor::<4>::random([2, 3, 12, 12], Distribution::Default, &device());
    let pixels: Vec<f32> = images.clone().into_data().iter::<f32>().collect();
    let pixels = Array { shape: vec![2, 3, 12, 12], data: Data::Float(pixels) };
    let inputs = Inputs::new([("pixel_values".into(), pixels)].into(), &device());
    let outputs = model.forward(&inputs).unwrap();
    let found = outputs.get("last_hidden_state").unwrap();
    let expected = original.forward(images);
    assert_eq!(found.shape, expected.dims());
    let count = expected.shape().num_elements();
    assert!(largest_difference(found.values.clone(), expected.reshape([count])) < 1e-6);
}

#[test]
fn positions_are_resampled_to_the_recipes_grid() {
    let published = vision(16);
    let original = vit(&published, 4);
    let folder = tempfile::tempdir().unwrap();
    export_vision(&original, &published, folder.path()).unwrap();
    let size = ImageSize { height: 24, width: 12 };
    let config = VitConfig { image_size: size, mask_mode: MaskMode::Drop, ..vision(16) };
    let (started, coverage) =
        start_vision(vit(&config, 5), &config, folder.path(), &device()).unwrap();
    assert_eq!(coverage.reshaped, ["positions of 4 x 4 patches to 6 x 3"]);
    // The published encoder resamples its positions itself when it meets such a picture.
    let images = Tensor::<4>::random([1, 3, 24, 12], Distribution::Default, &device());
    let difference = largest_difference(started.forward(images.clone()), original.forward(images));
    assert!(difference < 1e-6, "{difference}");
}

#[test]
fn text_encoders_come_back_as_they_were() {
    let roberta = TextEncoderConfig {
        positions: Positions::AfterPadding,
        padding_id: Some(1),
        token_types: 1,
        ..bert(2)
    };
    let fusion = JointFusionConfig {
        class_token: Default::default(),
        transformer: TransformerConfig::new(6, 1, 2, NormPosition::Post),
    };
    for config in [bert(2), roberta] {
        let folder = tempfile::tempdir().unwrap();
        let original = text(&config, 1);
        export_text(&original, &config, VOCABULARY, folder.path()).unwrap();
        let started = start_text(
            (text(&config, 2), &config),
            Some((fusion.init(8, 8, &device()), fusion.clone())),
            VOCABULARY,
            folder.path(),
            &device(),
        )
        .unwrap();
        assert_eq!(started.coverage.missing.len() + started.coverage.unexpected.len(), 0);
        assert!(started.fusion_from.unwrap_err().contains("model.fusion.transformer.width is 6"));
        assert_eq!(parameters(&started.text), parameters(&original));
    }
}

#[test]
fn the_first_layers_are_for_words_and_the_last_for_fusion() {
    let original = text(&bert(4), 1);
    let folder = tempfile::tempdir().unwrap();
    export_text(&original, &bert(4), VOCABULARY, folder.path()).unwrap();
    let config = TextEncoderConfig { max_tokens: 5, token_types: 1, ..bert(1) };
    let fusion =
        JointFusionConfig { class_token: Default::default(), transformer: bert(2).transformer };
    let new_fusion = seeded(fusion.init(8, 8, &device()), 3, 0.3);
    let class = parameter(&new_fusion, "class_token");
    let started = start_text(
        (text(&config, 2), &config),
        Some((new_fusion, fusion.clone())),
        VOCABULARY,
        folder.path(),
        &device(),
    )
    .unwrap();
    assert_eq!(started.fusion_from, Ok(2));
    let new_fusion = started.fusion.unwrap();
    let reshaped = ["12 positions to the first 5", "2 segment types to the first 1"];
    assert_eq!(started.coverage.reshaped, reshaped);
    let weight = |layer: usize| format!("stack.blocks.{layer}.attention.query.weight");
    for (found, layer) in [
        (parameter(&started.text, &weight(0)), 0),
        (parameter(&new_fusion, &weight(0)), 2),
        (parameter(&new_fusion, &weight(1)), 3),
    ] {
        assert_eq!(found, parameter(&original, &weight(layer)));
    }
    assert_eq!(parameter(&new_fusion, "class_token"), class);
    // Positions beyond the fifth are gone, those before it are the published ones.
    let positions = parameter(&started.text, "embeddings.position");
    assert_eq!(positions.shape, [5, 8]);
    let published = parameter(&original, "embeddings.position");
    assert_eq!(positions.floats("").unwrap(), &published.floats("").unwrap()[..40]);
}

#[test]
fn what_computes_something_else_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    export_vision(&vit(&vision(12), 1), &vision(12), folder.path()).unwrap();
    let mut config = vision(12);
    config.patch_size = 6;
    config.transformer.activation = Activation::QuickGelu;
    config.transformer.depth = 3;
    let error = start_vision(vit(&config, 1), &config, folder.path(), &device()).unwrap_err();
    let error = error.to_string();
    for part in [
        "config.json does not fit: model.vision.patch_size is 6, the published 4",
        "model.vision.transformer.activation is QuickGelu, the published Gelu",
        "model.vision.transformer.depth is 3, the published at most 2",
    ] {
        assert!(error.contains(part), "{error}");
    }

    let text_folder = tempfile::tempdir().unwrap();
    export_text(&text(&bert(1), 1), &bert(1), VOCABULARY, text_folder.path()).unwrap();
    let fusion =
        JointFusionConfig { class_token: Default::default(), transformer: bert(1).transformer };
    let start = |folder: &Path| {
        let parts = (bert(1).init(30, &device()), &bert(1));
        start_text(
            parts,
            Some((fusion.init(8, 8, &device()), fusion.clone())),
            30,
            folder,
            &device(),
        )
    };
    let error = start(text_folder.path()).err().unwrap().to_string();
    assert!(error.contains("vocab_size (the tokenizer's) is 30, the published 23"), "{error}");
    // An image encoder is no text encoder.
    let error = start(folder.path()).err().unwrap().to_string();
    assert!(error.contains("model_type: \"vit\": expected bert"), "{error}");
}

#[test]
fn what_others_cannot_load_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let causal = TextEncoderConfig { causal: true, ..bert(1) };
    let error = export_text(&text(&causal, 1), &causal, VOCABULARY, folder.path()).unwrap_err();
    assert!(error.to_string().contains("model.text: it is not BERT's"), "{error}");
    let dino =
        TransformerConfig { layer_scale: Some(1.0), mlp_ratio: 1.5, ..vision(12).transformer };
    let dino = VitConfig { transformer: dino, ..vision(12) };
    let error = export_vision(&vit(&dino, 1), &dino, folder.path()).unwrap_err();
    assert!(error.to_string().contains("whole number of widths"), "{error}");
    let post = VitConfig { transformer: bert(1).transformer, ..vision(12) };
    let error = export_vision(&vit(&post, 1), &post, folder.path()).unwrap_err();
    assert!(error.to_string().contains("model.vision"), "{error}");
}

#[test]
fn a_missing_tensor_is_named() {
    let folder = tempfile::tempdir().unwrap();
    export_text(&text(&bert(1), 1), &bert(1), VOCABULARY, folder.path()).unwrap();
    let path = folder.path().join("model.safetensors");
    let file = Weights::open(&path).unwrap();
    let gone = "encoder.layer.0.output.dense.bias";
    let kept: Vec<(String, Array)> = file
        .names()
        .iter()
        .filter(|name| **name != gone)
        .map(|name| (name.to_string(), file.get(name).unwrap()))
        .collect();
    let kept = kept.iter().map(|(name, array)| (name, array));
    weft_weights::write(&path, kept, &Default::default()).unwrap();
    let fusion = JointFusionConfig {
        class_token: Default::default(),
        transformer: TransformerConfig::new(8, 1, 2, NormPosition::Pre),
    };
    let error = start_text(
        (text(&bert(1), 1), &bert(1)),
        Some((fusion.init(8, 8, &device()), fusion.clone())),
        VOCABULARY,
        folder.path(),
        &device(),
    );
    let error = error.err().unwrap().to_string();
    assert!(error.contains(gone) && error.contains("model.safetensors"), "{error}");
}

#[test]
fn blip_masks_the_picture_where_the_reference_did() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/fixtures/blip_text");
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(fixture.join("model.safetensors"), copy.path().join("model.safetensors"))
        .unwrap();
    let config = std::fs::read_to_string(fixture.join("config.json")).unwrap();
    let old = config.replace("\"transformers_version\": \"5.", "\"transformers_version\": \"4.5.");
    assert_ne!(old, config);
    std::fs::write(copy.path().join("config.json"), old).unwrap();
    let io = Weights::open(fixture.join("io.safetensors")).unwrap();
    // What the mask hides must not matter to a version that masks, and does to one that does not.
    let run = |folder: &Path, shift: f32| {
        let inputs = io.names().into_iter();
        let inputs = inputs.filter_map(|name| Some((name, name.strip_prefix("input.")?)));
        let inputs = inputs.map(|(name, inner)| {
            let mut array = io.get(name).unwrap();
            if let (Data::Float(values), "encoder_hidden_states") = (&mut array.data, inner) {
                let [_, patches, width] = array.shape[..] else { panic!("{:?}", array.shape) };
                // The fixture hides the last two patches of its second picture.
                let hidden = (2 * patches - 2) * width;
                values[hidden..].iter_mut().for_each(|value| *value += shift);
            }
            (inner.to_string(), array)
        });
        let (model, _) = published::open(folder, &device()).unwrap();
        let outputs = model.forward(&Inputs::new(inputs.collect(), &device())).unwrap();
        outputs.get("last_hidden_state").unwrap().values.clone()
    };
    let change = |folder: &Path| largest_difference(run(folder, 0.0), run(folder, 1.0));
    assert_eq!(change(copy.path()), 0.0);
    assert!(change(&fixture) > 1e-3);
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let (folder, config) = (tempfile::tempdir().unwrap(), bert(1));
    export_text(&text(&config, 1), &config, VOCABULARY, folder.path()).unwrap();
    let (model, _) = published::open(folder.path(), &device()).unwrap();
    let run = |ids: Vec<i64>| {
        let ids = Array { shape: vec![1, ids.len()], data: Data::Int(ids) };
        model.forward(&Inputs::new([("input_ids".into(), ids)].into(), &device()))
    };
    assert!(run(vec![2; 12]).is_ok());
    let error = run(vec![2; 13]).err().unwrap().to_string();
    assert_eq!(error, "input input_ids: 13 tokens, but positions for 12");
    let error = run(vec![2, VOCABULARY as i64]).err().unwrap().to_string();
    assert_eq!(error, "input input_ids: 23 is not in 0..23");
}

#[test]
fn masks_of_keys_go_together() {
    let hidden = |rows: Vec<bool>| {
        AttentionMask::padding(Tensor::from_data(
            burn::tensor::TensorData::new(rows, [1, 3]),
            &device(),
        ))
    };
    let causal = AttentionMask::causal(3, &device()).and(&hidden(vec![true, false, false]));
    let seen: Vec<bool> = causal.bias().into_data().iter::<f32>().map(|bias| bias == 0.0).collect();
    assert_eq!(seen, [false, false, false, false, true, false, false, true, true]);
    assert!(causal.bias().into_data().iter::<f32>().all(f32::is_finite));
}
