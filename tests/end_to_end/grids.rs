//! Grids among other processes, and among runs that are not theirs.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{TINY, fail, succeed, train, weft};

/// A grid of one tiny run, in a file in `folder`; `more` goes before its variant.
fn grid(folder: &Path, more: &str) -> PathBuf {
    let keys: Vec<String> = TINY.iter().map(|key| format!("'{key}'")).collect();
    let text = format!(
        "name = 'tiny'\nrecipe = 'quick'\nset = [{}, 'eval.test=false', 'train.steps=2']\nseeds = [0]\n\
         evaluate = ['retrieval']\nmetrics = ['retrieval/test_concepts/i2t_r10']\n{more}\
         [[variants]]\nname = 'plain'\nset = []\n",
        keys.join(", ")
    );
    let file = folder.join("tiny.toml");
    fs::write(&file, text).unwrap();
    file
}

fn ablate(mut program: Command, grid: &Path, out: &Path) -> Command {
    program.arg(grid).arg("--out").arg(out);
    program
}

/// A run that was interrupted is not brought to its end, which may take hours, only to be refused.
#[test]
fn a_run_of_other_settings_is_refused_before_it_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let start = "[start]\nrecipe = 'quick'\nset = ['train.steps=5']\n";
    let (file, out) = (grid(folder.path(), start), folder.path().join("grid"));
    let run = out.join("start/seed-1000");
    succeed(train(&run, 1, &["seed=1000"]));
    let summary = run.join("summary.json");
    fs::remove_file(&summary).unwrap();
    let error = fail(ablate(weft(&["ablate"]), &file, &out));
    assert!(error.contains("start/seed-1000") && error.contains("other settings"), "{error}");
    assert!(error.contains("train.steps is 1, expected 5"), "{error}");
    assert!(!summary.exists(), "it was trained to its end");
}
