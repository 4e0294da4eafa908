//! `datasets/scenes.toml` describes what is made.

use sha2::{Digest, Sha256};
use weft_data::record::Record;
use weft_data::scenes::{MANIFEST, Scenes, ScenesConfig, open};

fn add(hash: &mut Sha256, record: &Record) {
    let picture = record.picture.decode(&record.key, Vec::new()).unwrap();
    hash.update(record.key.as_bytes());
    hash.update([0]);
    for caption in &record.captions {
        hash.update(caption.as_bytes());
        hash.update([0]);
    }
    hash.update(picture.as_raw());
}

#[test]
fn what_is_made_has_not_changed() {
    let manifest: toml::Table = toml::from_str(MANIFEST).unwrap();
    let count = |table: &toml::Table, name: &str| table[name].as_integer().unwrap() as usize;
    let splits = manifest["splits"].as_table().unwrap();
    let defaults = ScenesConfig::default();
    let few = ScenesConfig { train: 20, val: 20, test: 20, ..defaults.clone() };
    let mut hash = Sha256::new();
    for (name, records) in &open(&few).unwrap().splits {
        records.iter().for_each(|record| add(&mut hash, record));
        let expected = match name.as_str() {
            "train" => defaults.train,
            "val" => defaults.val,
            _ => defaults.test,
        };
        assert_eq!(count(splits, name), expected, "{name}");
    }
    assert_eq!(splits.len(), 6);
    let lexicon = Scenes::new(&few).unwrap().lexicon;
    assert_eq!(count(&manifest, "sprites"), lexicon.sprites.len());
    assert_eq!(count(&manifest, "held_out"), lexicon.held_out().len());
    let checksum: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["checksum"].as_str(), Some(checksum.as_str()));
}
