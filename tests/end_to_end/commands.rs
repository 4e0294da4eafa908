//! What a user types, and what comes of it.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, succeed, summary, train, weft};
use serde_json::Value;

/// What tables name: the commit that the program was made of, or that there was none.
#[test]
fn the_version_names_a_commit() {
    let text = succeed(weft(&["--version"]));
    let (version, commit) = text.trim().strip_suffix(')').unwrap().split_once(" (").unwrap();
    assert_eq!(version, concat!("weft ", env!("CARGO_PKG_VERSION")));
    let commit = commit.strip_suffix('+').unwrap_or(commit);
    let hash = commit.len() >= 7 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
    assert!(hash || commit == "unknown", "{text}");
}

/// Nothing of a caption is left out in silence.
#[test]
fn captions_that_are_cut_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let pictures = folder.path().join("pairs.jsonl");
    let mut lines = String::new();
    for at in 0..10 {
        let name = format!("{at}.png");
        image::RgbImage::new(24, 24).save(folder.path().join(&name)).unwrap();
        let more = if at == 7 { " near a red dog near a red dog" } else { "" };
        lines += &format!("{{\"image\": \"{name}\", \"caption\": \"a red dog{more}\"}}\n");
    }
    fs::write(&pictures, lines).unwrap();
    let begin = |tokens: &str| {
        let mut command = train(&run, 1, &[tokens, "data.test_fraction=0", "data.val_fraction=0"]);
        command.arg("--overwrite").arg("--data").arg(&pictures);
        let output = command.output().unwrap();
        let said = common::text(&output.stderr);
        assert!(output.status.success(), "{said}");
        (said, fs::read_to_string(run.join("report.html")).unwrap())
    };
    let (said, report) = begin("model.text.max_tokens=8");
    let expected = "1 of 10 training texts looked at (10.00 %)";
    assert!(said.contains(expected) && report.contains(expected), "{said}");
    assert!(said.contains("at most 5 tokens"), "{said}");
    let (said, report) = begin("model.text.max_tokens=13");
    assert!(!said.contains("texts looked at") && !report.contains("texts looked at"), "{said}");
}

/// A broken picture is named before a run meets it.
#[test]
fn data_can_be_decoded_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d"] {
        let picture = folder.path().join(name).with_extension("png");
        image::RgbImage::new(8, 8).save(&picture).unwrap();
        fs::write(picture.with_extension("txt"), "a black square").unwrap();
    }
    let broken = folder.path().join("c.png");
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    let describe = |more: &[&str]| {
        let mut command = weft(&["data", "--data"]);
        command.arg(folder.path()).args(more);
        command
    };
    let unseen = succeed(describe(&[]));
    assert!(!unseen.contains("can be used"), "{unseen}");
    let error = fail(describe(&["--decode"]));
    assert!(error.contains("1 of 4 records cannot be used") && error.contains("c.png"), "{error}");
    let said = succeed(describe(&["--decode", "--bad-budget", "0.25"]));
    assert!(said.contains("pictures of 3 of 4 records can be used"), "{said}");
    assert!(said.contains("c.png"), "{said}");
}

#[test]
fn a_run_leaves_everything_and_serves_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let table = succeed(train(&run, 3, &["eval.every=2", "train.checkpoint_every=2"]));
    for part in ["test_compositions", "test_concepts", "re-ranked", "chance", "report.html"] {
        assert!(table.contains(part), "{table}");
    }
    for file in ["recipe.toml", "metrics.jsonl", "summary.json", "report.html", "splits.json"] {
        assert!(run.join(file).exists(), "{file}");
    }
    assert_eq!(fs::read_dir(run.join("events")).unwrap().count(), 1);
    let summary = summary(&run);
    for key in ["recipe", "seed", "steps", "seconds", "samples_per_second", "data_wait_fraction"] {
        assert!(!summary[key].is_null(), "{key}");
    }
    assert!(summary["peak_rss_mib"].as_u64().unwrap() > 10);
    // Who trained it, as it calls itself.
    let version = succeed(weft(&["--version"]));
    let [commit] = &summary["commits"].as_array().unwrap()[..] else { panic!("{summary}") };
    assert!(version.contains(&format!("({})", commit.as_str().unwrap())), "{version} {commit}");
    let metrics = summary["metrics"]["test_compositions"].as_object().unwrap();
    for direction in ["i2t", "t2i"] {
        for k in [1, 5, 10] {
            assert!(metrics.contains_key(&format!("{direction}_r{k}")));
            assert!(metrics.contains_key(&format!("{direction}_r{k}_reranked")));
        }
    }
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("Twemoji") && report.contains("data:image/png;base64,"));

    let with = |args: &[&str], more: &[&Path]| {
        let mut command = weft(args);
        command.arg("--checkpoint").arg(&run).args(more);
        command
    };
    let json = folder.path().join("eval.json");
    let again = succeed(with(&["eval", "--json"], &[]).tap(&json));
    assert!(again.contains("test_concepts"));
    let results: Vec<Value> = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    // The same model on the same pictures: the same figures as at the end of training.
    for result in &results {
        let split = result["split"].as_str().unwrap();
        for (name, value) in summary["metrics"][split].as_object().unwrap() {
            assert_eq!(&result["metrics"][name], value, "{split} {name}");
        }
    }

    // A split that is not there is no empty one.
    let error = fail(with(&["eval", "--split", "tets"], &[]));
    assert!(error.contains("no split \"tets\"") && error.contains("test_concepts"), "{error}");

    let page = folder.path().join("found.html");
    let found = succeed(with(&["search", "a woman surfing", "-k", "4", "--html"], &[]).tap(&page));
    assert_eq!(found.lines().count(), 1 + 4 + 1, "{found}");
    assert!(fs::read_to_string(&page).unwrap().contains("a woman surfing"));

    let embeddings = folder.path().join("embeddings.jsonl");
    succeed(with(&["embed", "--split", "test_concepts", "--out"], &[]).tap(&embeddings));
    let lines = fs::read_to_string(&embeddings).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["kind"], "image");
    assert_eq!(first["embedding"].as_array().unwrap().len(), 128);
    assert!(lines.lines().filter(|line| line.contains("\"kind\":\"image\"")).count() == 140);

    // A second run must not replace the first unasked.
    let error = fail(train(&run, 3, &[]));
    assert!(error.contains("--overwrite") && error.contains("--resume"), "{error}");
}

trait Tap {
    fn tap(self, file: &Path) -> std::process::Command;
}

/// Puts `file` behind the option that ends the arguments given first.
impl Tap for std::process::Command {
    fn tap(self, file: &Path) -> std::process::Command {
        let args: Vec<_> = self.get_args().map(|arg| arg.to_os_string()).collect();
        let at = args.iter().position(|arg| arg == "--checkpoint").expect("--checkpoint is there");
        let mut command = weft(&[]);
        command.args(&args[..at]).arg(file).args(&args[at..]);
        command
    }
}

/// A folder of `count` pictures with captions.
fn pictures(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let picture = image::RgbImage::from_fn(20 + i % 7, 16, |x, y| {
            image::Rgb([(i * 40) as u8, (x * 9) as u8, (y * 13) as u8])
        });
        picture.save(folder.join(format!("{i:03}.png"))).unwrap();
        fs::write(folder.join(format!("{i:03}.txt")), format!("picture number {i}\n")).unwrap();
    }
}

fn train_on(data: &Path, run: &Path, settings: &[&str]) -> std::process::Command {
    let mut command = train(run, 2, settings);
    command.arg("--data").arg(data);
    command
}

#[test]
fn ones_own_pictures_with_one_option() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (folder.path().join("mine"), folder.path().join("run"));
    pictures(&data, 120);
    let table = succeed(train_on(&data, &run, &["tokenizer.vocab_size=60"]));
    assert!(table.contains("test"), "{table}");
}

#[test]
fn bad_records_within_the_budget_are_named_and_past_it_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("mine");
    pictures(&data, 120);
    fs::write(data.join("007.png"), b"not a picture").unwrap();
    fs::write(data.join("008.txt"), "  \n").unwrap();
    fs::write(data.join("009.txt"), [0xff, 0xfe, 0x41]).unwrap();
    fs::remove_file(data.join("010.txt")).unwrap();
    let small = ["tokenizer.vocab_size=60"];
    let error = fail(train_on(&data, &folder.path().join("strict"), &small));
    for part in ["008", "009", "010", "data.bad_budget", "budget of 1%"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let run = folder.path().join("lenient");
    let settings = ["tokenizer.vocab_size=60", "data.bad_budget=0.05", "train.batch_size=64"];
    let output = train_on(&data, &run, &settings).output().unwrap();
    let error = common::text(&output.stderr);
    assert!(output.status.success(), "{error}");
    for part in ["invalid UTF-8: 1", "empty caption: 1", "missing file: 1", "010"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn mistakes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("pairs.csv"), "picture,words\na.png,hello\n").unwrap();
    let at = |name: &str| folder.path().join(name);
    for (command, parts) in [
        (train(&run, 2, &["trian.steps=3"]), vec!["trian", "\"train\""]),
        (train(&run, 2, &["train.stepz=3"]), vec!["stepz", "\"steps\""]),
        (weft(&["train", "quack"]), vec!["quack", "quick"]),
        (train_on(&at("nowhere"), &run, &[]), vec!["nowhere"]),
        (train_on(&at("empty"), &run, &[]), vec!["empty", "found"]),
        (train_on(&at("pairs.csv"), &run, &[]), vec!["image", "picture", "words"]),
        (
            weft(&["eval", "--checkpoint", "no-run-here"]),
            vec!["no-run-here", "train a model first"],
        ),
    ] {
        let error = fail(command);
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!run.exists(), "a run directory without a run");
    }
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_names_step_objective_and_batch() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let wild = ["optimizer.lr=1e30", "optimizer.warmup_lr=1e30", "optimizer.clip_norm=1e30"];
    let error = fail(train(&run, 20, &wild));
    assert!(error.contains("step ") && error.contains(" is "), "{error}");
    let saved = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("failed-step-"))
        .expect("the batch's keys are saved");
    let keys: Vec<String> = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    assert_eq!(keys.len(), 8);
    assert!(error.contains(&saved.file_name().unwrap().to_string_lossy().into_owned()), "{error}");
}

#[test]
fn the_latest_checkpoints_and_the_best_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = ["train.checkpoint_every=1", "train.keep_last=2", "eval.every=2"];
    succeed(train(&run, 8, &settings));
    let last = common::checkpoints(&run).pop().unwrap();
    let progress = fs::read_to_string(last.join("progress.json")).unwrap();
    let progress: Value = serde_json::from_str(&progress).unwrap();
    let best = progress["best"]["step"].as_u64().expect("a best step");
    let mut expected = vec![best, 7, 8];
    expected.sort();
    expected.dedup();
    let names: Vec<_> = expected.iter().map(|step| format!("{step:08}")).collect();
    let found: Vec<_> = common::checkpoints(&run)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, names);
}

/// A run replaces what a run wrote, and nothing else.
#[test]
fn files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("splits.json"), "mine").unwrap();
    let error = fail(train(&run, 1, &[]));
    assert!(error.contains("splits.json") && error.contains("--out"), "{error}");
    assert_eq!(fs::read_to_string(run.join("splits.json")).unwrap(), "mine");
    fs::remove_file(run.join("splits.json")).unwrap();

    succeed(train(&run, 1, &[]));
    let kept = ["events/notes.txt", "checkpoints/notes.txt", "notes.txt"];
    kept.iter().for_each(|name| fs::write(run.join(name), "mine").unwrap());
    let overwrite = || {
        let mut command = train(&run, 2, &[]);
        command.arg("--overwrite");
        command
    };
    succeed(overwrite());
    for name in kept {
        assert_eq!(fs::read_to_string(run.join(name)).unwrap(), "mine", "{name}");
    }
    assert_eq!(common::checkpoints(&run).len(), 1);

    // What was fine-tuned from it would pass for the new one's.
    fs::create_dir_all(run.join("tasks/mine")).unwrap();
    assert!(fail(overwrite()).contains("fine-tuned"));
}

/// What can be found wrong at once is not found after hours.
#[test]
fn mistakes_are_found_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let taken = folder.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let mut command = weft(arguments);
        command.arg("--out").arg(&out);
        let error = fail(command);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!out.exists(), "{arguments:?}");
    };
    let below_a_file = taken.join("table").display().to_string();
    refused(&["study", "quick", "--tasks", "foo"], "no fine-tuning recipe foo");
    refused(&["study", "quick", "--seeds", "1,1"], "seed 1 is there twice");
    refused(&["study", "quick", "--table", &below_a_file], "cannot be written");
    refused(&["ablate", "mamo-objectives", "--table", &below_a_file], "cannot be written");
    refused(&["train", "scenes-vqa"], "--from");
    let grid = folder.path().join("grid.toml");
    let text = "name = 'a'\nrecipe = 'quick'\nseeds = [0]\nevaluate = ['contrst']\nmetrics = []\n\
                [[variants]]\nname = 'a'\nset = []\n";
    fs::write(&grid, text).unwrap();
    refused(&["ablate", &grid.display().to_string()], "no task \"contrst\"");
    let of_tasks = |metric: &str| {
        format!(
            "name = 'a'\nrecipe = 'quick'\nseeds = [0]\ntasks = ['scenes-vqa']\nevaluate = []\n\
             task_set = ['data.scenes.train=40', 'data.scenes.val=8', 'data.scenes.test=8']\n\
             metrics = ['{metric}']\n[[variants]]\nname = 'a'\nset = []\n"
        )
    };
    for (metric, expected) in [
        ("vqa/test_sen/accuracy", "no split \"test_sen\""),
        ("nlvr2/test_seen/accuracy", "metrics: nlvr2/test_seen/accuracy"),
    ] {
        fs::write(&grid, of_tasks(metric)).unwrap();
        refused(&["ablate", &grid.display().to_string()], expected);
    }
}

#[test]
fn verify_holds_a_run_to_its_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let verify = || {
        let mut command = weft(&["verify"]);
        command.arg(&run);
        command
    };
    // A recipe that expects `least` to 100 of a hundred pictures found.
    let trained = |least: f64, settings: &[&str]| {
        let keys: Vec<String> =
            common::TINY.iter().chain(&["train.steps=2"]).map(|key| format!("'{key}'")).collect();
        let expected = format!("{{ mean = {least}, min = {least}, max = 100.0, tolerance = 0.0 }}");
        let text = format!(
            "extends = 'quick'\nname = 'small'\nset = [{}]\n[expected]\nseeds = [0]\nseconds = 1\n\
             machine = 'any'\n[expected.metrics]\n'test_compositions.i2t_r1' = {expected}\n",
            keys.join(", ")
        );
        let recipe = folder.path().join("small.toml");
        fs::write(&recipe, text).unwrap();
        let mut command = weft(&["train"]);
        command.arg(&recipe).args(["--seed", "3", "--overwrite", "--out"]).arg(&run).args(settings);
        succeed(command);
    };
    trained(0.0, &[]);
    assert!(!succeed(verify()).contains("BELOW"));
    trained(100.0, &[]);
    let output = verify().output().unwrap();
    assert!(!output.status.success());
    assert!(common::text(&output.stdout).contains("BELOW"), "{}", common::text(&output.stdout));
    fs::remove_file(run.join("summary.json")).unwrap();
    assert!(fail(verify()).contains("has not finished"));
    // Of other settings nothing is expected.
    trained(0.0, &["--set", "optimizer.lr=2e-3"]);
    assert!(fail(verify()).contains("no [expected] table"));
}

#[test]
fn the_doctor_sees_the_processor() {
    let seen = succeed(weft(&["doctor"]));
    for part in ["threads", "memory", "cpu       works", "cuda", "wgpu"] {
        assert!(seen.contains(part), "{seen}");
    }
    // This test binary is built for the processor alone; on a GPU build there may be a GPU.
    if !cfg!(feature = "cuda") {
        assert!(fail(weft(&["train", "--backend", "cuda"])).contains("--features cuda"));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_enough_ends_a_command_quietly() {
    let mut command = weft(&["data", "--show", "100000"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The pipe is closed with most of the megabytes unread.
    drop(child.stdout.take());
    let error = common::text(&child.wait_with_output().unwrap().stderr);
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn data_describes_a_data_set() {
    let described = succeed(weft(&["data", "--show", "1"]));
    for part in ["3908 pictures", "test_compositions: 300", "near-duplicates"] {
        assert!(described.contains(part), "{described}");
    }
}
