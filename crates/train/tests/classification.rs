//! Classification of scenes and of class folders: by which prompts, and from which pictures the probe learns.

mod common;

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use weft_data::dataset::SourceConfig;
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_data::scenes::{self, ScenesConfig, Target};
use weft_eval::{TEMPLATES, class_embeddings, prompts, zero_shot};
use weft_train::inference::Inference;
use weft_train::state::TrainState;
use weft_train::tasks::classification::evaluate;

/// A tiny model as it begins, with weights so large that its embeddings differ.
fn model() -> Inference {
    let (recipe, device) = (common::tiny(&["model.init_std=0.3"]), Device::flex());
    let tokenizer = common::tokenizer(&recipe, &common::records(64));
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    Inference::new(&recipe, tokenizer, &state.model, &device)
}

#[test]
fn scenes_are_named_by_prompts_of_their_own_form() {
    let model = model();
    let scenes = ScenesConfig { size: 36, train: 60, val: 30, test: 60, ..Default::default() };
    let config = SourceConfig { scenes, ..SourceConfig::new(scenes::NAME) };
    let results = evaluate(&model, &config, &["test_seen".into()], "").unwrap();
    let found = results[0].metrics["zero_shot_top5"];

    let (data, names) = scenes::labelled(&config.scenes, Target::Sprite).unwrap();
    let examples = data.split("test_seen").unwrap();
    let record = |example: &weft_data::tasks::Labelled| {
        Record::new(&example.key, Vec::new(), example.picture.clone())
    };
    let records: Vec<Record> = examples.iter().map(record).collect();
    let (pictures, _) = model.image_embeddings(&records, &mut Ledger::default()).unwrap();
    let labels: Vec<usize> = examples.iter().map(|example| example.class).collect();
    let width = model.recipe.model.projection_width;
    let top5 = |templates: &[&str]| {
        let texts = model.texts(&prompts(&names, templates).unwrap()).unwrap();
        let classes = class_embeddings(&texts.embeddings, templates.len(), width).unwrap();
        zero_shot(&pictures, &classes, width, &labels).unwrap().top5
    };
    let expected = top5(&["a {}", "a picture of a {}", "there is a {}"]);
    assert_ne!(expected, top5(&TEMPLATES), "the prompts make no difference here");
    assert_eq!(found, expected);
}

/// Pictures lie class by class: who took the first ones would see one class alone.
#[test]
fn the_probe_of_class_folders_learns_from_all_pictures() {
    let folder = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 6), ("val", 4), ("test", 5)] {
        for (class, level) in [("black", 10), ("grey", 120), ("white", 240)] {
            let place = folder.path().join(split).join(class);
            std::fs::create_dir_all(&place).unwrap();
            for at in 0..count {
                let picture = RgbImage::from_pixel(36, 36, Rgb([level + at, level, level]));
                picture.save(place.join(format!("{at}.png"))).unwrap();
            }
        }
    }
    let config = SourceConfig::new(folder.path().display().to_string());
    let results = evaluate(&model(), &config, &[], "").unwrap();
    assert_eq!((results.len(), results[0].split.as_str(), results[0].n), (1, "test", 15));
    let metrics = &results[0].metrics;
    assert_eq!(metrics["probe_top1"], 100.0);
    for chance in ["probe_top1_chance", "zero_shot_top1_chance", "probe_top1_majority"] {
        assert!((metrics[chance] - 100.0 / 3.0).abs() < 1e-9, "{chance}: {metrics:?}");
    }
}
