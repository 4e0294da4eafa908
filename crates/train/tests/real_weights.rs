//! Published encoders with their real weights, where `weft data get` has fetched them, against what
//! the reference computes with them (`tests/parity/real`).

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use weft_data::packages;
use weft_model::published::{self, Inputs};
use weft_train::sentence::SentenceEncoder;
use weft_weights::{Array, Data, Weights};

fn real(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity/real").join(file)
}

/// The folder of a package, or a note that the test was skipped.
fn package(name: &str) -> Option<PathBuf> {
    match packages::folder(name) {
        Ok(folder) => Some(folder),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn minilm_gives_the_references_sentence_embeddings() {
    let Some(folder) = package("minilm") else { return };
    let sentences = std::fs::read_to_string(real("minilm_sentences.txt")).unwrap();
    let sentences: Vec<String> = sentences.split_terminator('\n').map(str::to_string).collect();
    assert_eq!(sentences.len(), 200);
    let file = Weights::open(real("minilm.safetensors")).unwrap();
    let expected = file.get("embeddings").unwrap();
    let expected = expected.floats("embeddings").unwrap();
    let encoder = SentenceEncoder::open(&folder, &Device::flex()).unwrap();
    let found = encoder.embed(&sentences).unwrap();
    let pairs = found.iter().zip(expected.chunks(384));
    let (mut worst, mut largest) = (1.0f64, 0.0f32);
    for (index, (found, expected)) in pairs.enumerate() {
        let cosine = cosine(found, expected);
        assert!(cosine >= 0.99999, "sentence {index}: {cosine}: {:?}", sentences[index]);
        worst = worst.min(cosine);
        let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        largest = differences.fold(largest, f32::max);
    }
    println!("minilm: smallest cosine {worst:.9}, largest difference {largest:.1e}");
}

/// The pictures as the encoder takes them, `[2, 3, 224, 224]`.
fn pictures(file: &Weights) -> Array {
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const STD: [f32; 3] = [0.229, 0.224, 0.225];
    let small = file.get("pictures").unwrap();
    let small = small.ints("pictures").unwrap();
    let mut values = Vec::new();
    for (plane, pixels) in small.chunks(56 * 56).enumerate() {
        let channel = plane % 3;
        for index in 0..224 * 224 {
            let (row, column) = (index / 224 / 4, index % 224 / 4);
            let value = pixels[row * 56 + column] as f32 / 255.0;
            values.push((value - MEAN[channel]) / STD[channel]);
        }
    }
    Array { shape: vec![2, 3, 224, 224], data: Data::Float(values) }
}

#[test]
fn dinov2_gives_the_graphs_own_activations() {
    let Some(folder) = package("dinov2-saliency") else { return };
    let device = Device::flex();
    let (model, coverage) = published::open(&folder, &device).unwrap();
    assert_eq!(coverage.missing.len() + coverage.unexpected.len(), 0, "{coverage}");
    let file = Weights::open(real("dinov2.safetensors")).unwrap();
    let inputs = Inputs::new([("pixel_values".into(), pictures(&file))].into(), &device);
    let outputs = model.forward(&inputs).unwrap();
    let indices = file.get("patch_indices").unwrap();
    let indices = indices.ints("patch_indices").unwrap();
    for (stage, field) in [
        ("embeddings", "hidden_states.0"),
        ("block_0", "hidden_states.1"),
        ("block_5", "hidden_states.6"),
        ("block_10", "hidden_states.11"),
        ("block_11", "hidden_states.12"),
        ("norm", "last_hidden_state"),
    ] {
        let states: Vec<f32> =
            outputs.get(field).unwrap().values.clone().into_data().iter::<f32>().collect();
        let mut found: Vec<(String, Vec<f32>)> = Vec::new();
        let (mut class, mut mean, mut patches) = (vec![], vec![], vec![]);
        for picture in states.chunks(257 * 384) {
            let rows: Vec<&[f32]> = picture.chunks(384).collect();
            class.extend(rows[0]);
            let sum =
                |column: usize| rows[1..].iter().map(|row| f64::from(row[column])).sum::<f64>();
            mean.extend((0..384).map(|column| (sum(column) / 256.0) as f32));
            indices.iter().for_each(|index| patches.extend(rows[1 + *index as usize]));
        }
        found.push((format!("{stage}.class"), class));
        found.push((format!("{stage}.patch_mean"), mean));
        if stage != "norm" {
            found.push((format!("{stage}.patches"), patches));
        }
        let (mut scale, mut largest) = (0.0f32, 0.0f32);
        for (name, found) in found {
            let expected = file.get(&name).unwrap();
            let expected = expected.floats(&name).unwrap();
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                scale = scale.max(b.abs());
                largest = largest.max((a - b).abs());
            }
        }
        println!("dinov2 {stage}: largest number {scale:.2}, largest difference {largest:.1e}");
        // The graph's own rounding, against float64, is up to 2e-6 of the largest number.
        assert!(largest <= 5e-6 * scale.max(1.0), "{stage}: {largest} of {scale}");
    }
}
