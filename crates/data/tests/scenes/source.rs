//! Scenes as a source of records: by name, from a folder of sprites, and out as shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use image::{Rgba, RgbaImage};
use weft_data::dataset::{self, Dataset, SourceConfig};
use weft_data::error::Cause;
use weft_data::export::export;
use weft_data::scenes::split::Split;
use weft_data::scenes::{Scenes, ScenesConfig, open};

use crate::small;

#[test]
fn the_source_is_asked_for_by_name() {
    let config = SourceConfig { scenes: small(4), ..SourceConfig::new("scenes") };
    let dataset = dataset::open(&config).unwrap();
    let counts: BTreeMap<&str, usize> =
        dataset.splits.iter().map(|(name, records)| (name.as_str(), records.len())).collect();
    let tests = ["test_objects", "test_pairs", "test_seen", "test_sprites", "val"];
    let mut expected = BTreeMap::from(tests.map(|name| (name, 60)));
    expected.insert("train", 120);
    assert_eq!(counts, expected);
    for record in dataset.splits.values().flatten() {
        assert!(record.captions.len() >= 3, "{record:?}");
        let objects: serde_json::Value =
            serde_json::from_str(&record.annotations["objects"]).unwrap();
        let phrases: serde_json::Value =
            serde_json::from_str(&record.annotations["phrases"]).unwrap();
        assert_eq!(phrases.as_array().unwrap().len(), record.captions.len());
        for object in objects.as_array().unwrap() {
            let tags = &record.annotations["tags"];
            assert!(tags.split(", ").any(|tag| tag == object["name"]), "{record:?}");
        }
    }
}

#[test]
fn phrases_can_be_the_captions() {
    let config = SourceConfig { scenes: small(4), ..SourceConfig::new("scenes") };
    let config = SourceConfig { expressions: true, ..config };
    let dataset = dataset::open(&config).unwrap();
    let phrases = weft_data::tasks::expressions_of(&config).unwrap();
    for (split, records) in &dataset.splits {
        let mut captions: Vec<&String> =
            records.iter().flat_map(|record| &record.captions).collect();
        let mut expected: Vec<&String> =
            phrases.splits[split].iter().map(|phrase| &phrase.text).collect();
        captions.sort();
        expected.sort();
        assert_eq!(captions, expected);
        for (at, record) in records.iter().enumerate() {
            let mut others = records[at + 1..].iter();
            assert!(!others.any(|other| other.picture.is_same(&record.picture)), "{record:?}");
        }
        assert!(records.iter().any(|record| record.captions.len() > 1));
    }
}

#[test]
fn the_table_of_a_recipe_is_read() {
    let config: SourceConfig =
        toml::from_str("source = \"scenes\"\n[scenes]\nseed = 3\ntrain = 10\n").unwrap();
    let expected = ScenesConfig { seed: 3, train: 10, ..ScenesConfig::default() };
    assert_eq!(config.scenes, expected);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<SourceConfig>(&written).unwrap(), config);
    assert!(toml::from_str::<SourceConfig>("[scenes]\nsede = 3\n").is_err());
    assert_eq!(toml::from_str::<SourceConfig>("").unwrap().scenes, ScenesConfig::default());
}

/// A coloured spot with a notch above, so that one sees where the top is.
fn spot(level: u8) -> RgbaImage {
    RgbaImage::from_fn(30, 20, |x, y| {
        let inside = (5..25).contains(&x) && (3..18).contains(&y) && !(x == 15 && y < 9);
        Rgba([level, 255 - level, 100, if inside { 255 } else { 0 }])
    })
}

fn folder_of(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (at, name) in names.iter().enumerate() {
        spot(at as u8 * 20).save(folder.path().join(format!("{name}.png"))).unwrap();
    }
    folder
}

const NAMES: [&str; 12] = [
    "apple", "bus", "cup", "dish", "egg", "fly", "goose", "hat", "ink-pot", "jug", "knife", "lamp",
];

fn of_folder(folder: &Path) -> ScenesConfig {
    ScenesConfig { sprites: Some(folder.into()), ..small(0) }
}

#[test]
fn a_folder_of_pictures_is_as_good() {
    let folder = folder_of(&NAMES);
    let config = of_folder(folder.path());
    let dataset = open(&config).unwrap();
    let captions: Vec<&str> = dataset
        .splits
        .values()
        .flatten()
        .flat_map(|record| record.captions.iter().map(String::as_str))
        .collect();
    for word in ["an ink pot", "an egg", "geese", "buses", "flies", "knives", "dishes"] {
        assert!(captions.iter().any(|caption| caption.contains(word)), "{word}");
    }
    assert_eq!(Scenes::new(&config).unwrap().lexicon.held_out().len(), 2);
    weft_data::scenes::questions(&config, 10).unwrap();
    weft_data::scenes::contrasts(&config, 7).unwrap();
    weft_data::scenes::pair_statements(&config, 4).unwrap();
}

#[test]
fn folders_that_do_not_serve_are_refused_by_name() {
    let error = |folder: &Path| open(&of_folder(folder)).unwrap_err().to_string();
    let names = |message: String, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
    };
    names(error(Path::new("no/such/folder")), &["no/such/folder"]);
    let folder = folder_of(&NAMES[..3]);
    names(error(folder.path()), &["at least 12", "3"]);
    let folder = folder_of(&NAMES);
    std::fs::write(folder.path().join("lamp.png"), b"nothing").unwrap();
    names(error(folder.path()), &["lamp.png", "expected a PNG"]);
    RgbaImage::from_pixel(4, 4, Rgba([1, 2, 3, 255])).save(folder.path().join("lamp.png")).unwrap();
    names(error(folder.path()), &["lamp.png", "transparent"]);
    spot(1).save(folder.path().join("lamp.png")).unwrap();
    spot(1).save(folder.path().join("lamp 2.png")).unwrap();
    names(error(folder.path()), &["lamp 2.png", "noun"]);
    let size = ScenesConfig { size: 3, ..small(0) };
    names(open(&size).unwrap_err().to_string(), &["scenes.size", "3"]);
    for kinds in [3, 4000] {
        let kinds = ScenesConfig { kinds: Some(kinds), ..small(0) };
        names(open(&kinds).unwrap_err().to_string(), &["scenes.kinds", "12 to"]);
    }
    for objects in [1, 5] {
        let objects = ScenesConfig { objects: Some(objects), ..small(0) };
        names(open(&objects).unwrap_err().to_string(), &["scenes.objects", "2 to 4"]);
    }
}

#[test]
fn fewer_kinds_are_some_of_all_and_depend_on_the_seed() {
    let named = |kinds, seed| -> Vec<String> {
        let scenes = Scenes::new(&ScenesConfig { kinds, ..small(seed) }).unwrap();
        scenes.lexicon.sprites.iter().map(|sprite| sprite.name.clone()).collect()
    };
    let (all, some) = (named(None, 0), named(Some(24), 0));
    assert_eq!(some.len(), 24);
    assert!(some.iter().all(|name| all.contains(name)));
    assert_eq!(some, named(Some(24), 0));
    assert_ne!(some, named(Some(24), 1));
    let scenes = Scenes::new(&ScenesConfig { kinds: Some(24), ..small(0) }).unwrap();
    assert_eq!(scenes.lexicon.held_out().len(), 4);
}

/// The shards of `split`, read back.
fn round_trip(dataset: &Dataset, split: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let exported = export(dataset, split, folder.path(), 25, 0.0).unwrap();
    assert_eq!(exported.ledger.total(), 0);
    assert_eq!(exported.records, dataset.splits[split].len());
    let pattern = format!("{split}-{{000000..{:06}}}.tar", exported.shards.len() - 1);
    let mut config = SourceConfig::new(folder.path().join(pattern).to_string_lossy());
    (config.bad_budget, config.val_fraction, config.test_fraction) = (0.0, 0.0, 0.0);
    let read = dataset::open(&config).unwrap();
    for record in read.splits.values().flatten() {
        // Reads the picture while its shard is there.
        let name = |key: &str| key.trim_end_matches(".png").to_string();
        let original = dataset.splits[split].iter().find(|o| name(&o.key) == record.key).unwrap();
        let pixels = [record, original].map(|r| r.picture.decode(&r.key, vec![]).unwrap());
        assert_eq!(pixels[0], pixels[1]);
    }
    read
}

#[test]
fn shards_are_read_back_as_they_were() {
    let dataset = open(&small(0)).unwrap();
    let read = round_trip(&dataset, "test_pairs");
    let all = |records: &[weft_data::record::Record]| -> BTreeMap<String, Vec<String>> {
        records.iter().map(|record| (record.key.clone(), record.captions.clone())).collect()
    };
    assert_eq!(all(&read.splits["train"]), all(&dataset.splits["test_pairs"]));
    // Records of another source, too: their pictures stay as they are stored.
    let emoji = weft_data::emoji::open(0).unwrap();
    assert_eq!(round_trip(&emoji, "val").total(), emoji.splits["val"].len());
}

#[test]
fn records_that_are_called_as_their_pictures_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let save = |name: &str| image::RgbImage::new(8, 8).save(at(name)).unwrap();
    std::fs::create_dir(at("sub.d")).unwrap();
    ["a.png", "a.jpg", "b.c.png", "sub.d/a.png"].iter().for_each(|name| save(name));
    let rows = ["a.png", "sub.d/a.png", "a.jpg", "b.c.png"]
        .map(|name| format!("{{\"image\": \"{name}\", \"caption\": \"{name}\"}}\n"));
    let open = |rows: &[String]| {
        std::fs::write(at("data.jsonl"), rows.concat()).unwrap();
        let mut config = SourceConfig::new(at("data.jsonl").to_string_lossy());
        (config.val_fraction, config.test_fraction) = (0.0, 0.0);
        dataset::open(&config).unwrap()
    };
    let read = round_trip(&open(&rows[..2]), "train");
    let keys: Vec<&str> = read.splits["train"].iter().map(|record| &*record.key).collect();
    assert_eq!(keys, ["a", "sub.d/a"]);

    // Of one name, and of none: too many, so that nothing is left; or within the budget.
    let (data, out) = (open(&rows), at("out"));
    let error = export(&data, "train", &out, 1, 0.4).unwrap_err().to_string();
    assert!(error.contains("2 of 4") && error.contains("b.c.png"), "{error}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    let exported = export(&data, "train", &out, 1, 0.5).unwrap();
    assert_eq!((exported.records, exported.shards.len()), (2, 2));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    assert_eq!(exported.ledger.count(Cause::DuplicateKey), 1, "{}", exported.ledger);
}

#[test]
fn shards_hold_the_annotations_and_are_not_mixed() {
    let dataset = open(&small(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let exported = export(&dataset, "val", folder.path(), 100, 0.0).unwrap();
    let bytes = std::fs::read(&exported.shards[0]).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let record = &dataset.splits["val"][0];
    let entry =
        archive.entries().unwrap().map(Result::unwrap).find(|entry| {
            entry.path().unwrap().to_string_lossy() == format!("{}.json", record.key)
        });
    let json: serde_json::Value = serde_json::from_reader(entry.unwrap()).unwrap();
    assert_eq!(json["objects"].to_string(), record.annotations["objects"]);
    assert_eq!(json["phrases"].to_string(), record.annotations["phrases"]);
    assert_eq!(json["tags"], record.annotations["tags"].as_str());
    let error = export(&dataset, "val", folder.path(), 100, 0.0).unwrap_err().to_string();
    assert!(error.contains("val-000000.tar"), "{error}");
    export(&dataset, "test_seen", folder.path(), 100, 0.0).unwrap();
    assert!(export(&dataset, "nothing", folder.path(), 1, 0.0).is_err());
    let other = tempfile::tempdir().unwrap();
    let again = export(&dataset, "val", other.path(), 100, 0.0).unwrap();
    assert_eq!(std::fs::read(&again.shards[0]).unwrap(), bytes);
}

#[test]
fn fewer_objects_are_the_most_of_every_split_but_that_of_many() {
    let scenes = Scenes::new(&ScenesConfig { objects: Some(3), ..small(0) }).unwrap();
    for &split in Split::ALL {
        let counts: BTreeSet<usize> =
            (0..100).map(|index| scenes.scene(split, index).objects.len()).collect();
        let expected = if split == Split::TestObjects { [5, 6] } else { [2, 3] };
        assert_eq!(counts, BTreeSet::from(expected), "{split:?}");
    }
}
