//! Runs the real program on a model small enough for tests.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Makes the recipe `quick` tiny: 9 patches, width 32, one layer of each kind.
pub const TINY: [&str; 15] = [
    "model.vision.image_size=24",
    "model.vision.patch_size=8",
    "model.vision.transformer.width=32",
    "model.vision.transformer.depth=1",
    "model.text.max_tokens=12",
    "model.text.transformer.width=32",
    "model.text.transformer.depth=1",
    "model.fusion.transformer.width=32",
    "model.fusion.transformer.depth=1",
    "model.init_std=0.1",
    "tokenizer.vocab_size=300",
    "train.batch_size=8",
    "eval.every=0",
    "eval.rerank=2",
    "optimizer.warmup_steps=2",
];

/// `weft` with these arguments.
pub fn weft(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(args);
    command
}

/// `weft train` of the tiny recipe into `out`, with further settings.
pub fn train(out: &Path, steps: u64, settings: &[&str]) -> Command {
    let mut command = weft(&["train", "--out"]);
    command.arg(out).args(["--steps", &steps.to_string()]);
    for setting in TINY.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command
}

/// Standard output of a command that must succeed.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().expect("weft starts");
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a command that must fail with a clear message, not a panic.
pub fn fail(mut command: Command) -> String {
    let output: Output = command.output().expect("weft starts");
    let error = text(&output.stderr);
    assert!(!output.status.success(), "it succeeded:\n{}\n{error}", text(&output.stdout));
    assert!(!error.contains("panicked"), "{error}");
    assert!(error.contains("error: "), "{error}");
    error
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of metrics.jsonl without what depends on the clock.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|mut line| {
            line.as_object_mut().expect("a line is an object").remove("samples_per_second");
            line
        })
        .collect()
}

pub fn summary(run: &Path) -> Value {
    let text = std::fs::read_to_string(run.join("summary.json")).expect("summary.json is there");
    serde_json::from_str(&text).expect("summary.json is JSON")
}

/// Complete checkpoints, the oldest first.
pub fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run.join("checkpoints")).expect("checkpoints is there");
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("manifest.json").exists())
        .collect();
    all.sort();
    all
}

/// What the latest checkpoint's manifest says of its tensors: equal only for equal bytes.
pub fn fingerprint(run: &Path) -> Value {
    let last = checkpoints(run).pop().expect("a checkpoint");
    let text = std::fs::read_to_string(last.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("a manifest is JSON");
    let names = ["model.safetensors", "momentum.safetensors", "optimizer.safetensors"];
    names.iter().map(|name| manifest["files"][name]["sha256"].clone()).collect()
}
