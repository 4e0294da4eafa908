//! MVP's recipe by the command line: stages, phrases, tags, and going on in the middle of a stage.

mod common;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::{checkpoints, fail, fingerprint, metrics, succeed, weft};
use serde_json::Value;

const SETTINGS: [&str; 10] = [
    "data.scenes.size=48",
    "data.scenes.train=40",
    "data.scenes.val=8",
    "data.scenes.test=8",
    "concepts.min_count=2",
    "model.text.max_tokens=40",
    "train.keep_last=9",
    "train.checkpoint_every=2",
    "train.steps=6",
    "train.momentum=0.5",
];

const STAGES: &str = r#"stage=[
    {name="uni-modal", steps=3, objectives=["mcr"]},
    {name="cross-modal", steps=3, objectives=["itc", "wpg", "itm", "mlm"], freeze=["backbone.vision"]},
]"#;

/// `weft train quick-mvp` with little of everything.
fn train(run: &Path, stages: &str) -> Command {
    let mut command = weft(&["train", "quick-mvp", "--out"]);
    command.arg(run);
    // The tiny model's captions are too short for phrases.
    let tiny = common::TINY.iter().filter(|setting| !setting.contains("max_tokens"));
    for setting in tiny.chain(&SETTINGS).chain([&stages]) {
        command.args(["--set", setting]);
    }
    command
}

/// The bytes of the tensors of a checkpoint's image encoder.
fn image_encoder(checkpoint: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(checkpoint.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<String> = file.names().iter().map(|name| name.to_string()).collect();
    names.retain(|name| name.starts_with("backbone.vision"));
    names.sort();
    assert!(names.len() > 10);
    names.iter().map(|name| file.tensor(name).unwrap().data().to_vec()).collect()
}

#[test]
fn stages_learn_one_after_another_and_go_on_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(train(&run, STAGES));
    let lines = metrics(&run);
    assert_eq!(lines.len(), 6);
    for (step, line) in lines.iter().enumerate() {
        let has = |name: &str| line.get(name).is_some_and(Value::is_number);
        let first = step < 3;
        assert_eq!(has("mcr"), first, "{line}");
        for name in ["itc", "wpg", "itm", "mlm"] {
            assert_eq!(has(name), !first, "{name} {line}");
        }
    }
    let all = checkpoints(&run);
    assert_eq!(all.len(), 3);
    // Step 3 is the last that moves the image encoder: between steps 2 and 4, not between 4 and 6.
    let [second, fourth, sixth] = [0, 1, 2].map(|at| image_encoder(&all[at]));
    assert!(second.iter().zip(&fourth).any(|(before, after)| before != after));
    assert_eq!(fourth, sixth);
    let phrases = std::fs::read_to_string(all[2].join("phrases.json")).unwrap();
    let phrases: Value = serde_json::from_str(&phrases).unwrap();
    assert!(phrases["vocabulary"]["concepts"].as_array().unwrap().len() > 10);

    // From the middle of the first stage.
    let resumed = folder.path().join("resumed");
    succeed(train(&resumed, STAGES));
    let mut command = weft(&["train", "--resume"]);
    command.arg(&checkpoints(&resumed)[0]);
    succeed(command);
    assert_eq!(metrics(&resumed), lines);
    assert_eq!(fingerprint(&resumed), fingerprint(&run));

    // A fine-tuned model has the phrases, and the stages are not its own.
    let mut command = weft(&["train", "scenes-grounding", "--steps", "2", "--from"]);
    command.arg(&run).args(["--set", "train.batch_size=8"]);
    succeed(command);
    let tuned = run.join("tasks/scenes-grounding");
    assert!(checkpoints(&tuned).pop().unwrap().join("phrases.json").exists());
    assert_eq!(metrics(&tuned).len(), 2);
}

/// What the options make together is held to what a recipe can be, not what some of them make.
#[test]
fn options_are_checked_together() {
    let folder = tempfile::tempdir().unwrap();
    let planned = |mut command: Command| -> String {
        command.arg("--dry-run");
        succeed(command)
    };
    // Ten steps, where the recipe says six.
    let stages = STAGES.replacen("steps=3", "steps=7", 1);
    let mut command = train(&folder.path().join("run"), &stages);
    command.args(["--steps", "10"]);
    assert!(planned(command).contains("effective batch"));
    // The sizes of regions, and the file that they are in.
    let table = folder.path().join("regions.tsv");
    region_table(&table, 0);
    let mut command = train(&folder.path().join("run"), STAGES);
    command.args(["--set", "model.vision.regions={features=10, most=2}"]);
    command.arg("--regions").arg(&table);
    assert!(planned(command).contains("effective batch"));
}

#[test]
fn what_stages_cannot_be_is_said_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let of = |stages: &str| fail(train(&folder.path().join("run"), stages));
    let error =
        of(r#"stage=[{name="a", steps=5, objectives=["mcr", "itc", "wpg", "itm", "mlm"]}]"#);
    assert!(error.contains("5 steps, train.steps is 6"), "{error}");
    let error = of(r#"stage=[{name="a", steps=6, objectives=["mcr", "itc", "wpg", "itm"]}]"#);
    assert!(error.contains("objectives.mlm is in no stage"), "{error}");
    let frozen = r#"freeze=["backbone.visio"]"#;
    let all = r#"objectives=["mcr", "itc", "wpg", "itm", "mlm"]"#;
    let error = of(&format!(r#"stage=[{{name="a", steps=6, {all}, {frozen}}}]"#));
    assert!(error.contains("backbone.visio"), "{error}");
    let mut command = train(&folder.path().join("run"), STAGES);
    command.args(["--set", "concepts.room=39"]);
    let error = fail(command);
    assert!(error.contains("concepts.room is 39"), "{error}");
}

/// A table as detectors write it: for each scene of the splits between one and three regions of 10 numbers.
fn region_table(path: &Path, left_out: usize) {
    let config = weft_data::scenes::ScenesConfig {
        size: 48,
        train: 40,
        val: 8,
        test: 8,
        kinds: Some(24),
        ..Default::default()
    };
    let dataset = weft_data::scenes::open(&config).unwrap();
    let rows = dataset.splits.values().flatten().enumerate().skip(left_out).map(|(at, record)| {
        let count = 1 + at % 3;
        let numbers = (0..count * 10).map(|i| ((at * 7 + i * 3) % 11 + 1) as f32 / 11.0);
        let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        format!("{}\t{count}\t{}\n", record.key, BASE64.encode(bytes))
    });
    std::fs::write(path, rows.collect::<String>()).unwrap();
}

#[test]
fn regions_of_a_detector_take_the_place_of_patches() {
    let folder = tempfile::tempdir().unwrap();
    let (run, table) = (folder.path().join("run"), folder.path().join("regions.tsv"));
    let with_regions = |run: &Path| {
        let mut command = train(run, STAGES);
        command.args(["--set", &format!("data.regions={}", table.display())]);
        command.args(["--set", "model.vision.regions={features=10, most=2}"]);
        command
    };
    region_table(&table, 0);
    let first = succeed(with_regions(&run));
    assert!(first.contains("test_seen"), "{first}");
    let last = metrics(&run).pop().unwrap();
    assert!(last["wpg"].as_f64().is_some_and(f64::is_finite), "{last}");
    // What the model sees is in the table: with another one the same run is another run.
    let numbers = std::fs::read_to_string(&table).unwrap();
    let again = folder.path().join("again");
    succeed(with_regions(&again));
    assert_eq!(metrics(&run), metrics(&again));
    let others: Vec<&str> = numbers.lines().rev().collect();
    let mixed: String = numbers
        .lines()
        .zip(others)
        .map(|(own, other)| {
            let (name, (_, rest)) =
                (own.split_once('\t').unwrap().0, other.split_once('\t').unwrap());
            format!("{name}\t{rest}\n")
        })
        .collect();
    std::fs::write(&table, mixed).unwrap();
    let mixed = folder.path().join("mixed");
    succeed(with_regions(&mixed));
    assert_ne!(metrics(&run), metrics(&mixed));

    // Many pictures without a row are named; a number of features that is not the table's, too.
    region_table(&table, 60);
    let error = fail(with_regions(&folder.path().join("short")));
    // A model that sees regions cannot be asked of scenes that are drawn on the spot.
    let mut command = weft(&["train", "scenes-vqa", "--from"]);
    command.arg(&run);
    assert!(fail(command).contains("no regions of a detector"));
    assert!(error.contains("expected a row of the picture in data.regions"), "{error}");
    region_table(&table, 0);
    let mut command = with_regions(&folder.path().join("wide"));
    command.args(["--set", "model.vision.regions={features=12, most=2}"]);
    let error = fail(command);
    assert!(error.contains("regions.tsv:") && error.contains("12 numbers"), "{error}");
    let mut command = with_regions(&folder.path().join("masked"));
    command.args(["--set", "objectives.filip={}"]);
    assert!(fail(command).contains("the image encoder sees regions"));
}

#[test]
fn predicted_tags_are_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let (run, names) = (folder.path().join("run"), folder.path().join("names.txt"));
    let table = folder.path().join("tags.tsv");
    succeed(train(&run, STAGES));
    std::fs::write(&names, "panda\n\nviolin\nice cream\n").unwrap();
    let mut command = weft(&["tag", "--most", "2", "--checkpoint"]);
    command.arg(&run).arg("--names").arg(&names).arg("--out").arg(&table);
    let said = succeed(command);
    assert!(said.contains("of the data's own tags"), "{said}");
    let tags = std::fs::read_to_string(&table).unwrap();
    let all: Vec<Vec<String>> = tags
        .lines()
        .map(|line| serde_json::from_str(line.split_once('\t').unwrap().1).unwrap())
        .collect();
    // 40 to learn from, 8 of val and 8 of each of the four test splits.
    assert_eq!(all.len(), 40 + 8 + 4 * 8);
    let known = ["panda", "violin", "ice cream"];
    assert!(all.iter().all(|tags| tags.len() == 2 && tags[0] != tags[1]));
    assert!(all.iter().flatten().all(|tag| known.contains(&tag.as_str())));

    let again = folder.path().join("again");
    let mut command = train(&again, STAGES);
    command.args(["--set", &format!("data.tags={}", table.display())]);
    succeed(command);
    // A file of another data set's tags is not passed over in silence.
    let others = folder.path().join("others.tsv");
    std::fs::write(&others, "391895\tpanda\n").unwrap();
    let mut command = train(&folder.path().join("none"), STAGES);
    command.args(["--set", &format!("data.tags={}", others.display())]);
    assert!(fail(command).contains("data.tags"));
    let phrases = checkpoints(&again).pop().unwrap().join("phrases.json");
    let phrases = std::fs::read_to_string(phrases).unwrap();
    assert!(phrases.contains("ice cream"), "the tags are among the concepts");
    assert_ne!(metrics(&run), metrics(&again));

    // Only a model whose detector is there at test time, too, sees tags then, and it does not go without.
    let told = folder.path().join("told");
    let mut command = train(&told, STAGES);
    command.args(["--set", &format!("data.tags={}", table.display())]);
    command.args(["--set", "concepts.tags.at_test=true"]);
    succeed(command);
    let other = folder.path().join("other.tsv");
    let swapped = tags.replace("panda", "gnu").replace("violin", "panda").replace("gnu", "violin");
    std::fs::write(&other, &swapped).unwrap();
    let embeddings = |run: &Path, more: &[&str]| -> Command {
        let mut command = weft(&["embed", "--split", "val", "--checkpoint"]);
        command.arg(run).arg("--out").arg(folder.path().join("embeddings")).args(more);
        command
    };
    let pictures = |run: &Path, more: &[&str]| -> Vec<String> {
        succeed(embeddings(run, more));
        let lines = std::fs::read_to_string(folder.path().join("embeddings")).unwrap();
        lines
            .lines()
            .filter(|line| line.contains("\"kind\":\"image\""))
            .map(str::to_string)
            .collect()
    };
    let other = other.display().to_string();
    let own = pictures(&told, &[]);
    assert_eq!(own.len(), 8);
    assert_eq!(own, pictures(&told, &["--tags", &table.display().to_string()]));
    assert_ne!(own, pictures(&told, &["--tags", &other]));
    assert_eq!(pictures(&again, &[]), pictures(&again, &["--tags", &other]));
    let lone = folder.path().join("lone.jsonl");
    let picture = folder.path().join("lone.png");
    image::RgbImage::new(8, 8).save(&picture).unwrap();
    std::fs::write(&lone, "{\"image\": \"lone.png\", \"caption\": \"nothing\"}\n").unwrap();
    let mut command = weft(&["embed", "--checkpoint"]);
    command.arg(&told).arg("--data").arg(&lone).arg("--out").arg(folder.path().join("nowhere"));
    assert!(fail(command).contains("--tags"));
}
