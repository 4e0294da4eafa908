//! Stopping at any moment and going on gives the run that was never stopped.

mod common;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{checkpoints, fail, fingerprint, metrics, succeed, train, weft};

/// Enough that a run is still going when a busy machine gets round to killing it.
const STEPS: u64 = 80;
/// Dropout, drop path, augmentation and several workers: whatever could depend on history.
const SETTINGS: [&str; 8] = [
    "model.text.transformer.dropout=0.1",
    "model.fusion.transformer.dropout=0.1",
    "model.vision.transformer.drop_path=0.1",
    "augment.flip=0.5",
    "augment.rand_ops=2",
    "augment.rand_magnitude=7.0",
    "train.workers=2",
    "train.checkpoint_every=8",
];

fn start(run: &Path) -> Child {
    let mut command = train(run, STEPS, &SETTINGS);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("weft starts")
}

/// Waits until the run has logged `lines` steps.
fn wait_for(run: &Path, child: &mut Child, lines: usize) {
    let begun = Instant::now();
    while metrics(run).len() < lines {
        assert!(child.try_wait().expect("a child").is_none(), "the run ended too early");
        assert!(begun.elapsed() < Duration::from_secs(300), "the run does not get on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn resume(run: &Path) {
    let mut command = weft(&["train", "--resume"]);
    command.arg(run);
    succeed(command);
}

#[test]
fn kill_nine_and_ctrl_c_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    succeed(train(&whole, STEPS, &SETTINGS));
    assert_eq!(metrics(&whole).len() as u64, STEPS);

    let killed = folder.path().join("killed");
    let mut child = start(&killed);
    wait_for(&killed, &mut child, 19);
    child.kill().expect("kill -9");
    child.wait().expect("a dead child");
    let reached = metrics(&killed).len() as u64;
    assert!(reached < STEPS, "the run was over before it was killed");
    // What a write that was cut short leaves behind is not a checkpoint.
    std::fs::create_dir(killed.join("checkpoints/.00000099.tmp")).unwrap();
    resume(&killed);
    assert_eq!(metrics(&killed), metrics(&whole));
    assert_eq!(fingerprint(&killed), fingerprint(&whole));

    #[cfg(unix)]
    {
        let stopped = folder.path().join("stopped");
        let mut child = start(&stopped);
        wait_for(&stopped, &mut child, 11);
        let killed = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .expect("kill is there");
        assert!(killed.success());
        assert_eq!(child.wait().expect("a child").code(), Some(130));
        let done = metrics(&stopped).len() as u64;
        assert!(done < STEPS);
        let last = checkpoints(&stopped).pop().expect("Ctrl-C saves");
        assert!(last.ends_with(format!("{done:08}")), "{} after {done}", last.display());
        resume(&stopped);
        assert_eq!(metrics(&stopped), metrics(&whole));
        assert_eq!(fingerprint(&stopped), fingerprint(&whole));
    }
}

/// A step of several batches leaves off behind the last of them, and the next one begins there.
#[test]
fn steps_of_several_batches_go_on_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = [
        "train.accumulate=2",
        "train.checkpoint_every=2",
        "model.text.transformer.dropout=0.1",
        "augment.rand_ops=2",
        "augment.rand_magnitude=7.0",
    ];
    succeed(train(&run, 4, &settings));
    let (whole, bytes) = (metrics(&run), fingerprint(&run));
    assert_eq!(whole.len(), 4);
    resume(&checkpoints(&run)[0]);
    assert_eq!((metrics(&run), fingerprint(&run)), (whole.clone(), bytes));

    // The second batch of a step is not left out: with the first alone the step is another.
    let plain = folder.path().join("plain");
    succeed(train(&plain, 1, &settings[1..]));
    assert_ne!(metrics(&plain)[0]["loss"], whole[0]["loss"]);
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name_and_the_one_before_offered() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, 4, &["train.checkpoint_every=2"]));
    let all = checkpoints(&run);
    assert_eq!(all.len(), 2);
    let weights = all[1].join("momentum.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();

    let mut command = weft(&["train", "--resume"]);
    command.arg(&run);
    let error = fail(command);
    assert!(error.contains("momentum.safetensors"), "{error}");
    assert!(error.contains(&all[0].canonicalize().unwrap().display().to_string()), "{error}");
    // The offer works.
    resume(&all[0]);

    std::fs::remove_file(all[0].join("optimizer.safetensors")).unwrap();
    let mut command = weft(&["train", "--resume"]);
    command.arg(&all[0]);
    assert!(fail(command).contains("optimizer.safetensors"));
}

/// What a run says of its end is true of the model that it has.
#[test]
fn a_finished_run_that_goes_on_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    // A folder of this name is no checkpoint's.
    let run = folder.path().join("checkpoints/run");
    succeed(train(&run, 4, &["train.checkpoint_every=2"]));
    let (whole, bytes) = (metrics(&run), fingerprint(&run));
    let summary = run.join("summary.json");
    assert!(summary.exists());

    // Another process trains there: nothing is touched, not even what looks like a left-over.
    let held = std::fs::File::create(run.join(".lock")).unwrap();
    held.lock().unwrap();
    let left = run.join("checkpoints/.00000009.tmp");
    std::fs::create_dir(&left).unwrap();
    let again = || {
        let mut command = weft(&["train", "--resume"]);
        command.arg(&run);
        command
    };
    assert!(fail(again()).contains("is being trained by another process"));
    assert!(fail(train(&run, 4, &["train.checkpoint_every=2"])).contains("by another process"));
    assert!(left.exists() && summary.exists());
    drop(held);

    // From before its end on, it is as any run that is not over, until it is.
    let mut broken = weft(&["train", "--resume"]);
    broken.arg(&checkpoints(&run)[0]);
    std::fs::remove_dir_all(run.join("events")).unwrap();
    std::fs::write(run.join("events"), "in the way").unwrap();
    fail(broken);
    assert!(!summary.exists());
    std::fs::remove_file(run.join("events")).unwrap();
    resume(&run);
    assert_eq!((metrics(&run), fingerprint(&run)), (whole, bytes));
    assert!(summary.exists() && !left.exists());

    // Without checkpoints there is nothing to go on from, and what there is stays.
    std::fs::remove_dir_all(run.join("checkpoints")).unwrap();
    std::fs::create_dir(run.join("checkpoints")).unwrap();
    assert!(fail(again()).contains("its checkpoints are gone"));
    assert!(summary.exists());
}

/// Whoever trains a run may save a checkpoint at any moment: nothing that was seen before it ended counts.
#[test]
fn what_another_process_trains_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, 1, &[]));
    std::fs::remove_file(run.join("summary.json")).unwrap();
    let again = || {
        let mut command = weft(&["train", "--resume"]);
        command.arg(&run);
        command
    };
    let refused = || {
        let held = std::fs::File::create(run.join(".lock")).unwrap();
        held.lock().unwrap();
        let error = fail(again());
        assert!(error.contains("is being trained by another process"), "{error}");
        error
    };
    // A checkpoint that is being replaced, as far as it goes.
    let manifest = checkpoints(&run)[0].join("manifest.json");
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, "{").unwrap();
    refused();
    assert!(fail(again()).contains("manifest.json"));
    std::fs::write(&manifest, whole).unwrap();
    // None yet.
    std::fs::rename(run.join("checkpoints"), folder.path().join("saved")).unwrap();
    std::fs::create_dir(run.join("checkpoints")).unwrap();
    let error = refused();
    assert!(!error.contains("starting over"), "{error}");
    resume(&run);
    assert!(run.join("summary.json").exists());
}

/// What counts as finished is: a run without its report goes on to it.
#[test]
fn a_run_whose_report_cannot_be_written_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, 1, &[]));
    let (summary, report) = (run.join("summary.json"), run.join("report.html"));
    std::fs::remove_file(&summary).unwrap();
    std::fs::remove_file(&report).unwrap();
    std::fs::create_dir(&report).unwrap();
    let mut again = weft(&["train", "--resume"]);
    again.arg(&run);
    assert!(fail(again).contains("report.html"));
    assert!(!summary.exists());
    std::fs::remove_dir(&report).unwrap();
    resume(&run);
    assert!(summary.exists() && report.is_file());
}

/// A new run does not begin among the checkpoints of one whose recipe is gone.
#[test]
fn checkpoints_without_a_recipe_are_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir_all(run.join("checkpoints/00000009")).unwrap();
    assert!(fail(train(&run, 1, &[])).contains("holds a run already"));
}

/// Who may read the recipe may read the weights.
#[cfg(unix)]
#[test]
fn weights_have_the_permissions_of_any_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, 1, &[]));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    let expected = mode(&run.join("recipe.toml"));
    for name in ["model.safetensors", "momentum.safetensors", "optimizer.safetensors"] {
        assert_eq!(mode(&checkpoints(&run)[0].join(name)), expected, "{name}");
    }
}

/// A run that predicts codes of patches goes on with the codes that it began with.
#[test]
fn codes_of_patches_belong_to_the_checkpoint() {
    const CODES: &str = "objectives.mim={target=\"tokens\", codes=16}";
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, 6, &[CODES, "train.checkpoint_every=3"]));
    let (whole, bytes) = (metrics(&run), fingerprint(&run));
    let all = checkpoints(&run);
    let codebook = |checkpoint: &Path| std::fs::read(checkpoint.join("codebook.safetensors"));
    assert_eq!(codebook(&all[0]).unwrap(), codebook(&all[1]).unwrap());
    resume(&all[0]);
    assert_eq!((metrics(&run), fingerprint(&run)), (whole, bytes));

    // A run that starts from it takes its codes over, if it predicts any.
    let start = format!("start.checkpoint={:?}", run.display().to_string());
    let next = folder.path().join("next");
    succeed(train(&next, 1, &[CODES, "seed=7", &start]));
    assert_eq!(codebook(&checkpoints(&next)[0]).unwrap(), codebook(&all[1]).unwrap());
    let plain = folder.path().join("plain");
    succeed(train(&plain, 1, &[&start]));
    assert!(codebook(&checkpoints(&plain)[0]).is_err());
    resume(&plain);

    let path = all[1].join("codebook.safetensors");
    let refused = || {
        let mut command = weft(&["train", "--resume"]);
        command.arg(&all[1]);
        fail(command)
    };
    let mut damaged = codebook(&all[1]).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    assert!(refused().contains("codebook.safetensors"), "{}", refused());
    std::fs::remove_file(&path).unwrap();
    assert!(refused().contains("codebook.safetensors"), "{}", refused());
    // Not even the manifest knows of one.
    let manifest = all[1].join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut tree: serde_json::Value = serde_json::from_str(&text).unwrap();
    tree["files"].as_object_mut().unwrap().remove("codebook.safetensors").unwrap();
    std::fs::write(&manifest, tree.to_string()).unwrap();
    let error = refused();
    assert!(error.contains("codebook.safetensors") && error.contains("tokens"), "{error}");
}

#[test]
fn resume_takes_no_other_recipe() {
    let mut command = weft(&["train", "--resume", "somewhere", "--steps", "3"]);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(common::text(&output.stderr).contains("cannot be used with"));
}

#[test]
fn the_number_of_workers_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<_> = [1, 2, 4]
        .into_iter()
        .map(|workers| {
            let run = folder.path().join(workers.to_string());
            let workers = format!("train.workers={workers}");
            succeed(train(
                &run,
                6,
                &["augment.rand_ops=2", "augment.rand_magnitude=7.0", &workers],
            ));
            metrics(&run)
        })
        .collect();
    assert_eq!(runs[0].len(), 6);
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}
