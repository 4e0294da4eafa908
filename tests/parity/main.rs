//! weft's models against the reference's, on fixtures that the generators in this folder made, and on
//! those of the folder that `WEFT_PARITY_DIR` names.

mod compare;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use weft_model::published::{self, CLASSES, Config};

use compare::{Differences, compare};

/// Where cargo is called from, while the test runs in its crate's folder.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixtures() -> PathBuf {
    workspace().join("tests/parity/fixtures")
}

/// The fixtures in a folder: it may be one itself.
fn folders(root: &Path) -> Vec<PathBuf> {
    if root.join("config.json").is_file() {
        return vec![root.to_path_buf()];
    }
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{root:?}: {error}"));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    assert!(!folders.is_empty(), "{root:?} holds no fixture");
    folders
}

/// Compares all fixtures of a folder, and prints the table of `docs/parity.md`.
fn check(root: &Path) {
    let mut problems = Vec::new();
    println!("{}", Differences::HEADER);
    for folder in folders(root) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match compare(&folder) {
            Ok(differences) => {
                println!("{}", differences.row(&name));
                problems.extend(
                    differences.problems.iter().map(|problem| format!("{name}: {problem}")),
                );
            }
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn committed_fixtures_agree() {
    check(&fixtures());
}

#[test]
fn fixtures_of_the_environment_agree() {
    match std::env::var_os("WEFT_PARITY_DIR") {
        Some(folder) => check(&workspace().join(folder)),
        None => println!("skipped: WEFT_PARITY_DIR is not set"),
    }
}

#[test]
fn every_class_has_a_fixture() {
    let classes: Vec<String> = folders(&fixtures())
        .iter()
        .map(|folder| Config::read(folder).and_then(|config| config.class()).unwrap())
        .collect();
    for class in CLASSES {
        assert!(classes.iter().any(|found| found == class), "{class} has no fixture");
    }
}

/// A copy of a fixture with another text in place of one in its configuration.
fn edited(fixture: &str, from: &str, to: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let source = fixtures().join(fixture);
    let config = std::fs::read_to_string(source.join("config.json")).unwrap();
    assert!(config.contains(from), "{from} is not in the configuration of {fixture}");
    std::fs::write(copy.path().join("config.json"), config.replace(from, to)).unwrap();
    std::fs::copy(source.join("model.safetensors"), copy.path().join("model.safetensors")).unwrap();
    copy
}

fn error(folder: &Path) -> String {
    match published::open(folder, &Device::flex()) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let unknown = error(edited("bert", "BertModel", "GptModel").path());
    assert!(unknown.contains("config.json: architectures: GptModel is unknown"), "{unknown}");
    assert!(unknown.contains("ViltModel"), "{unknown}");

    let activation = error(edited("bert", "\"gelu\"", "\"mish\"").path());
    assert!(activation.contains("hidden_act: unknown activation mish"), "{activation}");

    let heads = edited("bert", "\"num_attention_heads\": ", "\"num_attention_heads\": 7");
    assert!(error(heads.path()).contains("is not a multiple of heads"), "{}", error(heads.path()));

    let shape = error(edited("bert", "\"vocab_size\": ", "\"vocab_size\": 1").path());
    assert!(shape.contains("embeddings.word_embeddings.weight: expected ["), "{shape}");

    let nothing = tempfile::tempdir().unwrap();
    assert!(error(nothing.path()).contains("config.json"), "{}", error(nothing.path()));
}
