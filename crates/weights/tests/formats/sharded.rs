//! Sets of several files, and Hugging Face folders.

use std::fs;

use weft_weights::Weights;

use crate::common::{Folder, assert_holds, fixture, open_error};

#[test]
fn sharded_sets_are_one_set() {
    for index in [
        "sharded_safetensors/model.safetensors.index.json",
        "sharded_bin/pytorch_model.bin.index.json",
    ] {
        let weights = Weights::open(fixture(index)).unwrap();
        assert_holds(&weights, "sharded.expected.safetensors");
        assert!(weights.get("tail").is_err() && weights.shape("tail").is_err());
    }
}

#[test]
fn folders_are_opened_by_the_best_of_their_files() {
    let folder = Folder::new();
    let copy = |from: &str, to: &str| {
        fs::copy(fixture(from), folder.path().join(to)).unwrap();
        Weights::open(folder.path()).unwrap().path().file_name().unwrap().to_owned()
    };
    for shard in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        let from = fixture("sharded_safetensors").join(shard);
        fs::copy(from, folder.path().join(shard)).unwrap();
    }
    let message = open_error(folder.path());
    let listed = "model.safetensors, model.safetensors.index.json, pytorch_model.bin, \
                  pytorch_model.bin.index.json";
    assert!(message.contains(&format!("found no weights; looked for {listed}")), "{message}");

    folder.file("pytorch_model.bin.index.json", r#"{"weight_map":{}}"#);
    assert_eq!(Weights::open(folder.path()).unwrap().names(), Vec::<&str>::new());
    assert_eq!(copy("small.pt", "pytorch_model.bin"), "pytorch_model.bin");
    let index = "model.safetensors.index.json";
    assert_eq!(copy(&format!("sharded_safetensors/{index}"), index), index);
    assert_eq!(copy("sharded.expected.safetensors", "model.safetensors"), "model.safetensors");
    assert_holds(&Weights::open(folder.path()).unwrap(), "sharded.expected.safetensors");
}

#[test]
fn indices_that_lie_are_errors() {
    let folder = Folder::new();
    let shard = fixture("sharded.expected.safetensors");
    fs::copy(&shard, folder.path().join("shard.safetensors")).unwrap();
    folder.file("broken.safetensors", "broken");
    folder.file("other.index.json", r#"{"weight_map":{}}"#);
    fs::create_dir(folder.path().join("folder.bin")).unwrap();
    let outside = |path: &str| {
        let map = format!(r#"{{"weight_map":{{"head.weight":{}}}}}"#, serde_json::json!(path));
        (map, format!("the shard {path:?} is not inside the folder"))
    };
    let map = |file: &str| format!(r#"{{"weight_map":{{"tail":"{file}"}}}}"#);
    let cases = [
        outside("../shard.safetensors"),
        outside("folder.bin/../../shard.safetensors"),
        outside("./shard.safetensors/.."),
        outside(shard.to_str().unwrap()),
        outside(""),
        (map("gone.safetensors"), r#"the shard "gone.safetensors" is missing"#.into()),
        (map("folder.bin"), r#"the shard "folder.bin" is missing"#.into()),
        (map("broken.safetensors"), "broken.safetensors: ".into()),
        (map("other.index.json"), "other.index.json: expected a name".into()),
        (map("shard.safetensors"), r#"shard.safetensors: tensor "tail": promised by"#.into()),
        (r#"{"weight_map":{"a":"s","a":"s"}}"#.into(), r#"the name "a" comes twice"#.into()),
        (r#"{"metadata":{}}"#.into(), "weight_map".into()),
        (r#"{"weight_map":{"a":1}}"#.into(), "invalid type".into()),
        (r#"{"weight_map":[]}"#.into(), "expected an object".into()),
        (r#"{"a":"#.to_string() + &"[".repeat(1_000_000), "EOF".into()),
        (String::new(), "EOF".into()),
    ];
    for (index, expected) in cases {
        let path = folder.file("model.safetensors.index.json", &index);
        let message = Weights::open(path).unwrap_err().to_string();
        assert!(message.contains(&expected), "{index}: {message}");
        assert!(message.starts_with(folder.path().to_str().unwrap()), "{message}");
    }
}

#[test]
fn an_index_may_name_folders_below_its_own() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("part")).unwrap();
    let shard = fixture("sharded.expected.safetensors");
    fs::copy(shard, folder.path().join("part/shard.safetensors")).unwrap();
    let index = r#"{"weight_map":{"head.weight":"part/shard.safetensors"}}"#;
    let weights = Weights::open(folder.file("model.safetensors.index.json", index)).unwrap();
    assert_eq!(weights.names(), ["head.weight"]);
    assert_eq!(weights.get("head.weight").unwrap().shape, [1, 2]);
}
