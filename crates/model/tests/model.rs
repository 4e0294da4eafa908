//! Weights in and out, the momentum twin, and the temperature.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Tensor};
use weft_fusion::FusionConfig;
use weft_model::folder::{read_model, write_model};
use weft_model::{MimHeadConfig, Model, ModelConfig, momentum, weights};
use weft_nn::{NormPosition, TransformerConfig};
use weft_text::TextEncoderConfig;
use weft_vision::{MaskMode, VitConfig};

fn config() -> ModelConfig {
    let transformer = |norm| TransformerConfig::new(8, 1, 2, norm);
    ModelConfig {
        projection_width: 4,
        temperature: 0.07,
        init_std: 0.02,
        vision: VitConfig {
            mask_mode: MaskMode::Drop,
            ..VitConfig::new(8, 4, transformer(NormPosition::Pre))
        },
        text: TextEncoderConfig::new(4, transformer(NormPosition::Post)),
        fusion: FusionConfig::joint(transformer(NormPosition::Pre)),
        concepts: None,
        task: None,
        mim_head: None,
    }
}

fn model(seed: u64) -> Model {
    config().init(10, seed, &Device::flex().autodiff()).unwrap()
}

/// Each parameter by its path.
#[derive(Default)]
struct Named {
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Named {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().inner().into_data().iter::<f32>().collect();
        self.found.insert(self.path.join("."), values);
    }
}

fn named(config: &ModelConfig) -> BTreeMap<String, Vec<f32>> {
    let mut named = Named::default();
    config.init(10, 1, &Device::flex().autodiff()).unwrap().visit(&mut named);
    named.found
}

#[derive(Default)]
struct Values(Vec<Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().inner().into_data().iter::<f32>().collect());
    }
}

fn values<M: Module>(module: &M) -> Vec<Vec<f32>> {
    let mut values = Values::default();
    module.visit(&mut values);
    values.0
}

#[test]
fn weights_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (saved, mut loaded) = (model(1), model(2));
    assert_ne!(values(&saved), values(&loaded));
    weights::save(&saved, &path).unwrap();
    weights::load(&mut loaded, &path).unwrap();
    assert_eq!(values(&saved), values(&loaded));
}

#[test]
fn weights_of_another_shape_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(&model(1), &path).unwrap();
    let mut other = config().init(11, 1, &Device::flex()).unwrap();
    let message = weights::load(&mut other, &path).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("word"), "{message}");
    // A part of a model is not a model.
    weights::save(&model(1).heads, &path).unwrap();
    assert!(weights::load(&mut model(1), &path).is_err());
    std::fs::write(&path, b"not safetensors").unwrap();
    assert!(weights::load(&mut model(1), &path).is_err());
}

#[test]
fn the_twin_follows_by_the_moving_average() {
    let (online, start) = (model(1), model(2));
    let twin = momentum::twin(&start.backbone);
    assert!(!twin.class_is_on_tape());
    let before = values(&twin);
    let goal = values(&online.backbone);
    let after = values(&momentum::update(twin, &online.backbone, 0.75));
    for ((before, goal), after) in before.iter().zip(&goal).zip(&after) {
        for ((before, goal), after) in before.iter().zip(goal).zip(after) {
            assert!((0.75 * before + 0.25 * goal - after).abs() < 1e-7);
        }
    }
}

trait OnTape {
    fn class_is_on_tape(&self) -> bool;
}

impl OnTape for weft_model::Backbone {
    fn class_is_on_tape(&self) -> bool {
        self.vision.class_token.val().is_autodiff()
    }
}

#[test]
fn the_temperature_is_clamped_and_still_learns() {
    for (start, expected) in [(0.0001, 0.001), (0.07, 0.07), (3.0, 0.5)] {
        let mut model = model(1);
        let device = Device::flex().autodiff();
        model.temperature = Param::from_tensor(Tensor::from_floats([start], &device));
        let model = model.clamp_temperature();
        let tensor = model.temperature.val();
        assert!((tensor.clone().inner().into_scalar::<f32>() - expected).abs() < 1e-7);
        assert!(tensor.is_require_grad());
        let gradients = (tensor.clone() * 3.0).backward();
        assert_eq!(tensor.grad(&gradients).unwrap().into_scalar::<f32>(), 3.0);
    }
}

#[test]
fn embeddings_have_unit_length() {
    let model = model(1).valid();
    let images = Tensor::<4>::ones([3, 3, 8, 8], &Device::flex());
    let embedded = model.backbone.image_embedding(model.backbone.vision.forward(images));
    assert_eq!(embedded.dims(), [3, 4]);
    for row in embedded.into_data().iter::<f32>().collect::<Vec<_>>().chunks(4) {
        let length: f32 = row.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_model_in_a_folder_comes_back_to_the_bit() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let model = config().init(9, 3, &device).unwrap();
    write_model(&model, &config(), 9, folder.path()).unwrap();
    let (back, sizes, vocab_size) = read_model(folder.path(), &device).unwrap();
    assert_eq!((sizes, vocab_size), (config(), 9));
    let again = tempfile::tempdir().unwrap();
    write_model(&back, &config(), 9, again.path()).unwrap();
    for file in ["config.json", "model.safetensors"] {
        let bytes = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
        assert!(bytes(&folder) == bytes(&again), "{file}");
    }
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let error = read_model(folder.path(), &device).err().unwrap().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
}

#[test]
fn another_head_of_mim_leaves_every_other_weight_as_it_was() {
    let with = |depth, output| {
        named(&ModelConfig { mim_head: Some(MimHeadConfig { depth, output }), ..config() })
    };
    let plain = named(&config());
    // 8 is the image encoder's width: the head that a model has by itself.
    assert_eq!(with(0, 8), plain);
    assert!(plain.contains_key("heads.mim.contract.weight"));
    let wide = with(0, 48);
    assert_eq!(wide["heads.mim.contract.weight"].len(), 16 * 48);
    let deep = with(2, 8);
    assert_eq!(deep["heads.mim_blocks.output.weight"].len(), 8 * 8);
    assert!(deep.keys().any(|path| path.starts_with("heads.mim_blocks.stack.blocks.1.")));
    assert!(!deep.keys().any(|path| path.starts_with("heads.mim.")));
    for other in [wide, deep] {
        for (path, values) in plain.iter().filter(|(path, _)| !path.starts_with("heads.mim")) {
            assert_eq!(&other[path], values, "{path}");
        }
    }
    let none = ModelConfig { mim_head: Some(MimHeadConfig { depth: 0, output: 0 }), ..config() };
    assert!(none.validate().unwrap_err().to_string().contains("mim_head"));
}

#[test]
fn blocks_of_the_head_see_all_patches_and_an_mlp_one() {
    let device = Device::flex();
    let patches = || Tensor::<3>::random([2, 4, 8], Distribution::Normal(0.0, 1.0), &device);
    let (one, mut other) = (patches(), patches());
    // The first patch is the same, the others are not.
    other = Tensor::cat(vec![one.clone().narrow(1, 0, 1), other.narrow(1, 1, 3)], 1);
    let differs = |depth| {
        let head = Some(MimHeadConfig { depth, output: 5 });
        let model = ModelConfig { mim_head: head, init_std: 0.3, ..config() };
        let heads = model.init(10, 1, &device).unwrap().heads;
        let [one, other] = [&one, &other].map(|patches| {
            let seen = heads.mim_patches(patches.clone()).narrow(1, 0, 1).reshape([2, 8]);
            heads.mim_prediction(seen)
        });
        assert_eq!(one.dims(), [2, 5]);
        (one - other).abs().max().into_scalar::<f32>()
    };
    assert_eq!(differs(0), 0.0);
    assert!(differs(1) > 1e-3);
    assert!(differs(2) > 1e-3);
}
