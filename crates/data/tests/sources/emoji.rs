//! The built-in emoji: captions, splits, and the manifest.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::LazyLock;

use weft_data::dataset::Dataset;
use weft_data::emoji::similar::Thumbnail;
use weft_data::emoji::{self, TEST_COMPOSITIONS, TEST_CONCEPTS, TRAIN, VAL};
use weft_data::record::Record;

static EMOJI: LazyLock<Dataset> = LazyLock::new(|| emoji::open(0).unwrap());

fn all() -> impl Iterator<Item = (&'static str, &'static Record)> {
    EMOJI.splits.iter().flat_map(|(name, records)| records.iter().map(move |r| (name.as_str(), r)))
}

fn find(name: &str) -> &'static Record {
    all().map(|(_, record)| record).find(|record| record.annotations["name"] == name).unwrap()
}

/// Value of an annotation, empty where there is none.
fn get<'a>(record: &'a Record, name: &str) -> &'a str {
    record.annotations.get(name).map_or("", String::as_str)
}

#[test]
fn canonical_captions_are_distinct_and_natural() {
    let mut seen = HashSet::new();
    for (_, record) in all() {
        assert!(seen.insert(&record.captions[0]), "twice: {}", record.captions[0]);
        assert!(record.captions.len() >= 4, "{record:?}");
        let distinct: HashSet<_> = record.captions.iter().collect();
        assert_eq!(distinct.len(), record.captions.len(), "{record:?}");
    }
    for (name, caption) in [
        ("woman surfing: medium-dark skin tone", "a woman surfing, medium-dark skin tone"),
        ("man: dark skin tone, red hair", "a man with red hair, dark skin tone"),
        (
            "kiss: woman, man, light skin tone, dark skin tone",
            "a woman and a man kissing, light and dark skin tones",
        ),
        ("men holding hands: dark skin tone", "men holding hands, dark skin tone"),
        ("family: adult, adult, child, child", "a family, two adults and two children"),
        ("flag: Norway", "the flag of Norway"),
        ("keycap: 7", "a keycap with 7"),
        ("eggplant", "an eggplant"),
        ("hourglass done", "an hourglass that is done"),
        ("unicorn", "a unicorn"),
        ("SOS button", "an SOS button"),
        ("sunglasses", "sunglasses"),
        ("one o’clock", "a clock face at one o’clock"),
        ("face blowing a kiss", "a face blowing a kiss"),
        ("bus", "a bus"),
    ] {
        assert_eq!(find(name).captions[0], caption);
    }
}

#[test]
fn every_caption_names_the_tones() {
    for (_, record) in all().filter(|(_, record)| record.annotations.contains_key("tone")) {
        for caption in &record.captions {
            for tone in record.annotations["tone"].split(", ") {
                let caption = caption.replace('-', " ");
                assert!(caption.contains(&tone.replace('-', " ")), "{caption} lacks {tone}");
            }
        }
    }
}

#[test]
fn annotations_take_names_apart() {
    let record = find("woman surfing: medium-dark skin tone");
    assert_eq!(record.key, "1f3c4-1f3fe-200d-2640-fe0f");
    for (name, value) in [
        ("concept", "person surfing"),
        ("gender", "woman"),
        ("tone", "medium-dark"),
        ("base", "woman surfing"),
        ("group", "people and body"),
    ] {
        assert_eq!(record.annotations[name], value);
    }
    assert_eq!(get(find("man health worker"), "concept"), "health worker");
    assert_eq!(get(find("man: bald"), "concept"), "person");
    assert_eq!(get(find("mermaid"), "gender"), "woman");
}

#[test]
fn flags_drawn_alike_stay_under_all_their_names() {
    let norway = find("flag: Norway");
    assert!(norway.captions.contains(&"the flag of Bouvet Island".to_string()));
    assert!(all().all(|(_, record)| record.annotations["name"] != "flag: Bouvet Island"));
}

#[test]
fn test_concepts_share_no_sibling_group() {
    let groups = |concepts: bool| -> BTreeSet<&str> {
        let side = all().filter(|(split, _)| (*split == TEST_CONCEPTS) == concepts);
        side.map(|(_, record)| get(record, "siblings")).collect()
    };
    let (held_out, known) = (groups(true), groups(false));
    assert_eq!(held_out.intersection(&known).next(), None);
    assert!(held_out.len() >= 50, "{} groups", held_out.len());
    // Nor a concept, whatever the groups are.
    let concepts: BTreeSet<&str> =
        EMOJI.splits[TEST_CONCEPTS].iter().map(|r| get(r, "concept")).collect();
    for (split, record) in all().filter(|(split, _)| *split != TEST_CONCEPTS) {
        assert!(!concepts.contains(get(record, "concept")), "{split}: {record:?}");
    }
    assert!(
        EMOJI.splits[TEST_CONCEPTS]
            .iter()
            .all(|r| get(r, "group") != "flags" || !get(r, "name").starts_with("flag: "))
    );
}

#[test]
fn parts_of_held_out_compositions_are_in_train() {
    let train = &EMOJI.splits[TRAIN];
    let mut tones_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut parts = HashSet::new();
    for record in train {
        for part in ["concept", "gender", "hair", "tone"] {
            parts.insert((part, get(record, part)));
        }
        if !get(record, "tone").is_empty() {
            tones_of.entry(get(record, "base")).or_default().insert(get(record, "tone"));
        }
    }
    for split in [VAL, TEST_COMPOSITIONS] {
        for record in &EMOJI.splits[split] {
            let tones = &tones_of[get(record, "base")];
            assert!(tones.len() >= 2, "{record:?}");
            assert!(!tones.contains(get(record, "tone")), "{record:?}");
            for part in ["concept", "gender", "hair", "tone"] {
                assert!(parts.contains(&(part, get(record, part))), "{part} of {record:?}");
            }
        }
    }
    // No composition, seen in a mirror or not, is in two splits.
    let mut split_of = BTreeMap::new();
    for (split, record) in all().filter(|(_, record)| !get(record, "tone").is_empty()) {
        let base = get(record, "base").replace(" facing right", "");
        let first = *split_of.entry((base, get(record, "tone"))).or_insert(split);
        assert_eq!(first, split, "{record:?}");
    }
}

#[test]
fn no_two_pictures_are_near_duplicates() {
    let thumbnails: Vec<(&str, Thumbnail)> = all()
        .map(|(_, r)| (r.key.as_str(), Thumbnail::of(&r.key, &r.picture.read().unwrap()).unwrap()))
        .collect();
    for (index, (key, thumbnail)) in thumbnails.iter().enumerate() {
        for (other, candidate) in &thumbnails[index + 1..] {
            assert!(!thumbnail.is_near(candidate), "{key} and {other}");
        }
    }
}

#[test]
fn splits_are_a_function_of_the_seed() {
    let again = emoji::open(0).unwrap();
    assert_eq!(EMOJI.split_listing(), again.split_listing());
    let other = emoji::open(1).unwrap();
    for split in [VAL, TEST_CONCEPTS, TEST_COMPOSITIONS] {
        assert_ne!(EMOJI.split_listing()[split], other.split_listing()[split]);
    }
    assert_eq!(EMOJI.total(), other.total());
}

#[test]
fn manifest_describes_what_is_there() {
    let manifest: toml::Table = toml::from_str(emoji::MANIFEST).unwrap();
    let count = |table: &toml::Table, name: &str| table[name].as_integer().unwrap() as u64;
    assert_eq!(manifest["checksum"].as_str(), Some(emoji::checksum().as_str()));
    assert_eq!(count(&manifest, "pictures"), EMOJI.notes["pictures in the source"]);
    assert_eq!(count(&manifest, "near_duplicates"), EMOJI.notes["near-duplicates left out"]);
    let splits = manifest["splits"].as_table().unwrap();
    for (name, records) in &EMOJI.splits {
        assert_eq!(count(splits, name), records.len() as u64, "{name}");
    }
    assert_eq!(splits.len(), EMOJI.splits.len());
}
