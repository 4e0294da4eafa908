//! Fine-tuning and the tasks: from a run to fine-tuned models to one page about all of them.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{TINY, fail, fingerprint, metrics, succeed, train, weft};
use serde_json::Value;

/// A handful of scenes, small.
const SCENES: [&str; 5] = [
    "data.source=scenes",
    "data.scenes.size=48",
    "data.scenes.train=40",
    "data.scenes.val=8",
    "data.scenes.test=8",
];

const TASKS: [&str; 4] = ["scenes-vqa", "scenes-nlvr2", "scenes-entailment", "scenes-grounding"];

/// A tiny run on scenes.
fn pre_trained(folder: &Path) -> PathBuf {
    let run = folder.join("scenes");
    succeed(train(&run, 2, &SCENES));
    run
}

fn fine_tune(recipe: &str, from: &Path, steps: u64) -> Command {
    let mut command = weft(&["train", recipe, "--from"]);
    command.arg(from).args(["--steps", &steps.to_string()]);
    for setting in SCENES.iter().chain(&["train.batch_size=4", "train.checkpoint_every=2"]) {
        command.args(["--set", setting]);
    }
    command
}

fn results(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(path).expect("the results")).expect("a list")
}

#[test]
fn one_command_evaluates_a_run_and_all_that_was_fine_tuned_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    for recipe in TASKS {
        succeed(fine_tune(recipe, &run, 2));
        assert!(run.join("tasks").join(recipe).join("summary.json").exists());
    }
    let (json, html) = (folder.path().join("all.json"), folder.path().join("all.html"));
    let mut command = weft(&["eval", "--task", "all", "--checkpoint"]);
    command.arg(&run).arg("--json").arg(&json).arg("--html").arg(&html);
    let table = succeed(command);
    let results = results(&json);
    let attributes = folder.path().join("attributes.json");
    let mut command = weft(&["eval", "--task", "attributes", "--checkpoint"]);
    command.arg(&run).arg("--json").arg(&attributes);
    let probed = succeed(command);
    for attribute in ["colour", "shape", "size"] {
        assert!(probed.contains(&format!("attribute: {attribute}")), "{probed}");
    }
    let expected = [
        ("retrieval", "i2t_r1"),
        ("contrast", "caption"),
        ("contrast", "caption_text_only"),
        ("classification", "zero_shot_top1"),
        ("weak_grounding", "accuracy_chance"),
        ("vqa", "accuracy_majority"),
        ("vqa", "accuracy_prior"),
        ("nlvr2", "consistency"),
        ("entailment", "accuracy_picture_only"),
        ("grounding", "mean_iou"),
    ];
    for (task, metric) in expected {
        let of_task: Vec<_> = results.iter().filter(|result| result["task"] == task).collect();
        assert!(!of_task.is_empty(), "{task}: {table}");
        for result in of_task {
            let value = result["metrics"][metric].as_f64();
            assert!(value.is_some_and(|v| (0.0..=100.0).contains(&v)), "{task} {metric}: {result}");
        }
        // Retrieval has a table of its own, which does not name it.
        assert!(task == "retrieval" || table.contains(task), "{task}: {table}");
    }
    let page = std::fs::read_to_string(&html).unwrap();
    for kind in ["vqa: ", "nlvr2", "entailment", "grounding"] {
        assert!(page.contains(kind), "{kind}");
    }
}

/// ALBEF's protocol without rectangles: contrast and matching on phrases, then heat maps.
#[test]
fn phrases_are_learnt_without_rectangles_and_then_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    succeed(fine_tune("scenes-weak-grounding", &run, 2));
    let tuned = run.join("tasks/scenes-weak-grounding");
    let splits: Value =
        serde_json::from_slice(&std::fs::read(tuned.join("splits.json")).unwrap()).unwrap();
    let keys = splits["train"].as_array().unwrap();
    // Of 40 scenes with four phrases each.
    assert!(keys.len() < 160, "{keys:?}");
    assert_eq!(keys[0], "scenes-expression-train-0000000");
    let json = folder.path().join("weak.json");
    let mut command = weft(&["eval", "--task", "weak-grounding", "--split", "test_seen"]);
    command.arg("--checkpoint").arg(&tuned).arg("--json").arg(&json);
    succeed(command);
    let found = &results(&json)[0];
    assert!(found["metrics"]["accuracy"].as_f64().is_some(), "{found}");
    assert!(found["n"].as_u64().unwrap() > 8, "every phrase is asked for: {found}");
    // One that has only begun is left out, and with it no other one.
    let begun = run.join("tasks/begun");
    std::fs::create_dir(&begun).unwrap();
    std::fs::copy(tuned.join("recipe.toml"), begun.join("recipe.toml")).unwrap();
    // Its own task is that, too, and not taken for the first model's.
    let all = folder.path().join("all.json");
    let mut command = weft(&["eval", "--task", "all", "--checkpoint"]);
    let output = command.arg(&run).arg("--json").arg(&all).output().unwrap();
    let said = common::text(&output.stderr);
    assert!(output.status.success() && said.contains("left out: begun: not finished"), "{said}");
    let accuracies = |task: &str| -> Vec<Value> {
        let results = results(&all);
        let of_task = results.iter().filter(|result| result["task"] == task);
        of_task.map(|result| result["metrics"]["accuracy"].clone()).collect()
    };
    let own = accuracies("weak_grounding, fine-tuned");
    assert!(own.contains(&found["metrics"]["accuracy"]), "{own:?}");
    assert_eq!(own.len(), accuracies("weak_grounding").len());
    // Other data have captions.
    let mut command = weft(&["eval", "--task", "retrieval", "--data", "emoji", "--checkpoint"]);
    command.arg(&tuned);
    assert!(succeed(command).contains("test_concepts"));
    let report = std::fs::read_to_string(tuned.join("report.html")).unwrap();
    assert!(report.contains("Twemoji"), "the artists are named");

    let grounded = tuned.join("tasks/scenes-grounding");
    succeed(fine_tune("scenes-grounding", &tuned, 1));
    assert!(grounded.join("summary.json").exists());
}

#[test]
fn fine_tuning_starts_from_the_run_and_resumes_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    let tuned = |name: &str, steps| {
        let out = folder.path().join(name);
        let mut command = fine_tune("scenes-vqa", &run, steps);
        command.arg("--out").arg(&out);
        succeed(command);
        out
    };
    let whole = tuned("whole", 6);
    let first = &metrics(&whole)[0];
    assert!(first["vqa"].as_f64().is_some(), "{first}");
    // A run of which only the checkpoint after step 4 is left goes on to the same end.
    let copy = tuned("copy", 6);
    std::fs::remove_dir_all(copy.join("checkpoints/00000006")).unwrap();
    let mut command = weft(&["train", "--resume"]);
    command.arg(&copy);
    succeed(command);
    assert_eq!(metrics(&copy), metrics(&whole));
    assert_eq!(fingerprint(&copy), fingerprint(&whole));
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    let error = fail(fine_tune("scenes-vqaa", &run, 1));
    assert!(error.contains("scenes-vqaa") && error.contains("scenes-vqa"), "{error}");

    let mut command = fine_tune("scenes-grounding", &run, 1);
    command.args(["--set", "augment.flip=0.5"]);
    assert!(fail(command).contains("whole pictures"));

    let mut command = weft(&["eval", "--task", "own", "--checkpoint"]);
    command.arg(&run);
    assert!(fail(command).contains("not fine-tuned"));

    let mut command = weft(&["eval", "--task", "attributes", "--data", "emoji", "--checkpoint"]);
    command.arg(&run);
    assert!(fail(command).contains("the data set scenes alone"));

    // Not in the place of the run that it starts from.
    let mut command = fine_tune("scenes-vqa", &run, 1);
    command.arg("--overwrite").arg("--out").arg(&run);
    assert!(fail(command).contains("starts from lies there"));
    assert!(run.join("checkpoints/00000002/model.safetensors").exists());

    let mut command = fine_tune("scenes-vqa", &run, 1);
    command.args(["--set", "model.fusion.transformer.depth=2"]);
    assert!(fail(command).contains("[model] is not the recipe's"));
}

/// Questions of a joint encoder, and rectangles of two streams, whose text stream ends before its last layer.
#[test]
fn pages_show_where_a_model_looked() {
    let folder = tempfile::tempdir().unwrap();
    let deep = ["model.fusion.transformer.depth=2", "model.init_std=0.3"];
    for (kind, settings, task) in
        [("joint", &[][..], "scenes-vqa"), ("streams", &TWO_STREAMS, "scenes-grounding")]
    {
        let run = folder.path().join(kind);
        let settings: Vec<&str> = SCENES.iter().chain(&deep).chain(settings).copied().collect();
        succeed(train(&run, 1, &settings));
        succeed(fine_tune(task, &run, 1));
        let html = folder.path().join(format!("{kind}.html"));
        let mut command = weft(&["eval", "--task", "own", "--split", "test_seen", "--checkpoint"]);
        command.arg(run.join("tasks").join(task)).arg("--html").arg(&html);
        succeed(command);
        let page = std::fs::read_to_string(&html).unwrap();
        assert!(page.contains("fill-opacity=\".5\""), "{kind}");
    }
}

/// A co-attention encoder in place of the joint one.
const TWO_STREAMS: [&str; 3] = [
    r#"model.fusion.kind="co-attention""#,
    r#"model.fusion.class_token="learned""#,
    r#"model.fusion.transformer.norm="post""#,
];

#[test]
fn a_grid_compares_its_variants_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let quoted = |settings: &[&str]| -> String {
        settings.iter().map(|setting| format!("'{setting}',")).collect()
    };
    let task = folder.path().join("questions.toml");
    let text = "name = 'questions'\n[train]\nbatch_size = 4\ncheckpoint_every = 2\n\
                [objectives.vqa]\nanswers = 20\n";
    std::fs::write(&task, text).unwrap();
    let grid = format!(
        "name = 'tiny'\nrecipe = 'quick'\nset = [{}'eval.test=false']\nseeds = [0, 1]\n\
         tasks = ['{}']\ntask_set = ['train.steps=2']\nevaluate = ['retrieval']\n\
         metrics = ['retrieval/test_seen/i2t_r10', 'vqa/test_seen/accuracy']\n\
         [start]\nrecipe = 'quick'\nset = [{}'eval.test=false', 'train.steps=2', \
         'objectives={{itc={{}}}}']\nparts = ['backbone.vision', 'backbone.text']\n\
         [[variants]]\nname = 'joint'\nset = []\n\
         [[variants]]\nname = 'gate (U1)'\nset = [{}]\n",
        quoted(&[&TINY[..], &SCENES].concat()),
        task.display(),
        quoted(&[&TINY[..], &SCENES].concat()),
        quoted(
            &[&TWO_STREAMS[..], &[r#"model.fusion.connection={kind="gate", sources="both"}"#],]
                .concat()
        ),
    );
    let file = folder.path().join("tiny.toml");
    std::fs::write(&file, &grid).unwrap();
    let (out, table) = (folder.path().join("grid"), folder.path().join("table"));
    let without_table = || {
        let mut command = weft(&["ablate"]);
        command.arg(&file).args(["--steps", "2", "--jobs", "2", "--out"]).arg(&out);
        command
    };
    let ablate = || {
        let mut command = without_table();
        command.arg("--table").arg(&table);
        command
    };
    let first = succeed(ablate());
    for row in ["| joint | ", "| gate (U1) | ", "over 2 seeds"] {
        assert!(first.contains(row), "{first}");
    }
    let page = std::fs::read_to_string(table.with_extension("md")).unwrap();
    assert!(page.contains("weft ablate") && page.contains("| joint | "), "{page}");
    let html = std::fs::read_to_string(table.with_extension("html")).unwrap();
    assert!(html.contains("<td>gate (U1)</td>"), "{html}");

    // Each seed's variants take the encoders of one run.
    let run = out.join("gate-u1/seed-1");
    let recipe = std::fs::read_to_string(run.join("recipe.toml")).unwrap();
    assert!(recipe.contains("start/seed-1001") && recipe.contains("\"backbone.text\""), "{recipe}");
    // The splits of the metrics are looked at, once, and no others.
    let summary = std::fs::read_to_string(run.join("summary.json")).unwrap();
    assert!(!summary.contains("test_seen"), "{summary}");
    let evaluated = std::fs::read_to_string(run.join("tasks-retrieval.json")).unwrap();
    assert!(evaluated.contains("test_seen") && !evaluated.contains("test_pairs"), "{evaluated}");
    let gates = {
        let mut command = weft(&["inspect", "gates", "--often", "1", "--checkpoint"]);
        command.arg(&run);
        succeed(command)
    };
    for part in ["layer 1, text stream", "layer 1, image stream", "in-layer", "image encoder 1"] {
        assert!(gates.contains(part), "{gates}");
    }
    // What goes around the in-layer share is shared out among the levels, word by word.
    let words = gates.lines().skip_while(|line| !line.contains("highest in-layer share")).skip(1);
    let words: Vec<Vec<f64>> = words
        .take_while(|line| !line.contains("lowest"))
        .map(|line| line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect())
        .collect();
    assert!(!words.is_empty(), "{gates}");
    assert!(words.iter().all(|shares| (shares.iter().sum::<f64>() - 1.0).abs() < 0.01), "{gates}");
    // What is there is not run again: weights that could not be read are not looked at.
    std::fs::write(run.join("checkpoints/00000002/model.safetensors"), "nothing").unwrap();
    // What the start said the first time stands before the table.
    let again = succeed(ablate());
    assert!(first.ends_with(&again) && again.contains("| joint | "), "{again}");
    assert_eq!(succeed(without_table()), again);

    // A run of other steps is not taken for one of these.
    let mut longer = weft(&["ablate"]);
    longer.arg(&file).args(["--steps", "3", "--out"]).arg(&out);
    let error = fail(longer);
    assert!(error.contains("seed-0") && error.contains("train.steps is 2, expected 3"), "{error}");

    // Nor one of another fine-tuning.
    std::fs::write(&file, grid.replace("task_set = [", "task_set = ['optimizer.lr=0.1', "))
        .unwrap();
    let error = fail(without_table());
    assert!(
        error.contains("questions") && error.contains("optimizer.lr is 0.001, expected 0.1"),
        "{error}"
    );
    let error = fail(ablate());
    assert!(error.contains("table.json") && error.contains("of other recipes"), "{error}");

    // Nor one that began with another start.
    let started = grid.replace("'train.steps=2', 'objectives", "'train.steps=1', 'objectives");
    assert_ne!(started, grid);
    std::fs::write(&file, started).unwrap();
    let error = fail(without_table());
    assert!(
        error.contains("start/seed-1000") && error.contains("steps is 2, expected 1"),
        "{error}"
    );
    std::fs::remove_dir_all(out.join("start")).unwrap();
    let error = fail(without_table());
    assert!(error.contains("start.toml") && error.contains("steps is 2, expected 1"), "{error}");

    let mut joint = weft(&["inspect", "gates", "--checkpoint"]);
    joint.arg(out.join("joint/seed-0"));
    assert!(fail(joint).contains("nothing that it could choose"));

    // The cells beside the table are enough, on a machine that never had the runs.
    std::fs::write(&file, &grid).unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    assert_eq!(succeed(ablate()), again);
    assert!(!out.exists());
}

#[test]
fn a_dry_run_says_what_a_recipe_costs_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = weft(&["train", "base-mamo", "--dry-run", "--out"]);
    let text = succeed({
        command.arg(&out);
        command
    });
    for line in ["parameters, image encoder", "FLOPs of a pair, training", "effective batch"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!out.exists());
}

/// Several seeds of one model's tasks begin with a copy of it.
#[test]
fn a_study_of_one_model_fine_tunes_copies_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    let task = folder.path().join("sentences.toml");
    let text = "name = 'sentences'\n[train]\nsteps = 2\nbatch_size = 4\ncheckpoint_every = 2\n\
                [objectives.entailment]\n";
    std::fs::write(&task, text).unwrap();
    let out = folder.path().join("study");
    let study = || {
        let mut command = weft(&["study", "--seeds", "0,1", "--from"]);
        command.arg(&run).arg("--out").arg(&out).arg("--tasks").arg(&task);
        command
    };
    let table = succeed(study());
    assert!(table.contains("### entailment") && table.contains("### retrieval"), "{table}");
    let model = "checkpoints/00000002/model.safetensors";
    for seed in ["seed-0", "seed-1"] {
        let copy = std::fs::read(out.join(seed).join(model)).unwrap();
        assert!(copy == std::fs::read(run.join(model)).unwrap());
        assert!(out.join(seed).join("tasks/sentences/summary.json").exists());
    }
    assert!(table.ends_with(&succeed(study())));

    // What another fine-tuning left half done is not brought to its end.
    let left = out.join("seed-0/tasks/sentences/summary.json");
    std::fs::remove_file(&left).unwrap();
    std::fs::write(&task, text.replace("steps = 2", "steps = 3")).unwrap();
    let error = fail(study());
    assert!(error.contains("other settings") && error.contains("expected 3"), "{error}");
    assert!(!left.exists(), "it was brought to its end");

    // Another recipe's study is not taken for this one.
    let mut other = weft(&["study", "quick", "--seeds", "0", "--set", "train.steps=3", "--out"]);
    other.arg(&out).arg("--tasks").arg(&task);
    let error = fail(other);
    assert!(error.contains("other settings") && error.contains("expected 3"), "{error}");
}

/// An answer that nobody knows is no reason to lose a run.
#[test]
fn a_validation_split_without_answers_chooses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = pre_trained(folder.path());
    let data = folder.path().join("vqa");
    std::fs::create_dir(&data).unwrap();
    let save = |name: &str| image::RgbImage::new(8, 8).save(data.join(name)).unwrap();
    let mut questions = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for id in 1..=8 {
        save(&format!("{id}.jpg"));
        let question =
            format!(r#"{{"image_id": {id}, "question_id": {id}0, "question": "is it?"}}"#);
        questions[usize::from(id > 4)].push(question);
        let ten = [r#"{"answer": "yes"}"#; 10].join(",");
        answers.push(format!(
            r#"{{"question_id": {id}0, "answer_type": "yes/no", "answers": [{ten}]}}"#
        ));
    }
    for (subset, questions) in ["train2014", "val2014"].iter().zip(questions) {
        let text =
            format!(r#"{{"data_subtype": "{subset}", "questions": [{}]}}"#, questions.join(","));
        std::fs::write(data.join(format!("{subset}_questions.json")), text).unwrap();
    }
    let text =
        format!(r#"{{"data_subtype": "train2014", "annotations": [{}]}}"#, answers[..4].join(","));
    std::fs::write(data.join("train2014_annotations.json"), text).unwrap();
    let mut command = weft(&["train", "vqa-v2", "--steps", "2", "--from"]);
    command.arg(&run).arg("--data").arg(&data);
    command.args(["--set", "eval.every=1", "--set", "train.batch_size=2"]);
    let said = command.output().unwrap();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && error.contains("no checkpoint is chosen by it"), "{error}");
}
