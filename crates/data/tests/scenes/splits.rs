//! No scene is in two splits, and what is held out stays out of training: in pictures and in words,
//! of every task.

use std::collections::{BTreeMap, BTreeSet};

use weft_data::record::Picture;
use weft_data::scenes::split::{Lexicon, Split};
use weft_data::scenes::world::{Colour, Scene};
use weft_data::scenes::{
    Scenes, ScenesConfig, Target, contrasts, expressions, hypotheses, labelled, open,
    pair_statements, questions,
};
use weft_data::tasks::TaskData;

use crate::{scene, scenes, small};

/// All scenes and sentences of all tasks, by split.
fn everything(scenes: &Scenes) -> BTreeMap<String, (Vec<Scene>, Vec<String>)> {
    let mut all: BTreeMap<String, (Vec<Scene>, Vec<String>)> = BTreeMap::new();
    let mut add = |split: &str, pictures: &[&Picture], texts: &[String]| {
        let (scenes, sentences) = all.entry(split.into()).or_default();
        scenes.extend(pictures.iter().map(|picture| scene(picture).clone()));
        sentences.extend_from_slice(texts);
    };
    let config = &scenes.config;
    for (split, records) in &open(config).unwrap().splits {
        records.iter().for_each(|record| add(split, &[&record.picture], &record.captions));
    }
    each(questions(config, 10), |split, example| {
        add(split, &[&example.picture], std::slice::from_ref(&example.text));
        add(split, &[], &example.answers);
    });
    each(expressions(config, 2), |split, example| {
        add(split, &[&example.picture], std::slice::from_ref(&example.text));
    });
    each(hypotheses(config, 12), |split, example| {
        add(split, &[&example.picture], std::slice::from_ref(&example.text));
    });
    each(pair_statements(config, 4), |split, example| {
        add(split, &example.pictures.each_ref(), std::slice::from_ref(&example.text));
    });
    each(contrasts(config, 7), |split, example| {
        add(split, &[&example.picture, example.other.as_ref().unwrap()], &example.captions);
    });
    each(labelled(config, Target::Sprite).map(|(data, _)| data), |split, example| {
        add(split, &[&example.picture], &[]);
    });
    all
}

fn each<T>(data: Result<TaskData<T>, weft_data::error::DataError>, mut see: impl FnMut(&str, &T)) {
    for (split, examples) in &data.unwrap().splits {
        assert!(!examples.is_empty());
        examples.iter().for_each(|example| see(split, example));
    }
}

/// Few: each gives some forty pictures.
fn few() -> Scenes {
    Scenes::new(&ScenesConfig { train: 60, val: 30, test: 30, ..small(0) }).unwrap()
}

#[test]
fn no_scene_is_in_two_splits() {
    let scenes = few();
    let mut worlds: BTreeMap<String, String> = BTreeMap::new();
    let mut pixels: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for (split, (found, _)) in everything(&scenes) {
        let admitting = Split::ALL.iter().find(|other| other.name() == split).unwrap();
        for scene in found {
            assert!(scenes.lexicon.admits(*admitting, &scene), "{split}: {scene:?}");
            let world = format!("{:?}", scene.sorted_objects());
            let first = worlds.entry(world).or_insert(split.clone());
            assert_eq!(*first, split, "{scene:?}");
            // Small, for memory's sake: every 16th row.
            let rows: Vec<u8> = scenes.stage.draw(&scene, vec![]).into_raw();
            let rows = rows.chunks(128 * 3).step_by(16).flatten().copied().collect();
            let first = pixels.entry(rows).or_insert(split.clone());
            assert_eq!(*first, split, "{scene:?}");
        }
    }
    assert!(worlds.len() > 2_000, "{}", worlds.len());
}

/// Whether `text` has `words` as whole words.
fn says(text: &str, words: &str) -> bool {
    format!(" {} ", text.replace([',', '?'], "")).contains(&format!(" {words} "))
}

/// The ways to say that a sprite is on a colour.
fn pairings(lexicon: &Lexicon, sprite: usize, colour: Colour) -> Vec<String> {
    let (name, plural) = (&lexicon.sprites[sprite].name, &lexicon.sprites[sprite].plural);
    let article = if colour == Colour::Orange { "an" } else { "a" };
    let colour = colour.word();
    let mut ways = vec![format!("{name} on the {colour}"), format!("{plural} on {colour}")];
    for verb in ["", " is", " is not", " was", " will be", " that is not"] {
        ways.push(format!("{name}{verb} on {article} {colour}"));
    }
    for shape in ["circle", "square", "triangle"] {
        for adjective in ["a", "an", "a small", "a little", "a big", "a large"] {
            ways.push(format!("{colour} {shape} with {adjective} {name} on it"));
        }
    }
    ways
}

#[test]
fn training_neither_shows_nor_says_what_is_held_out() {
    let scenes = few();
    let lexicon = &scenes.lexicon;
    let all = everything(&scenes);
    let held_out: BTreeSet<usize> = lexicon.held_out().iter().copied().collect();
    let mut pairs = vec![];
    for &sprite in lexicon.known() {
        for &colour in Colour::ALL {
            if lexicon.is_held_out_pair(sprite, colour) {
                pairs.extend(pairings(lexicon, sprite, colour));
            }
        }
    }
    for (split, (found, sentences)) in &all {
        let objects: Vec<_> = found.iter().flat_map(|scene| &scene.objects).collect();
        let of_pairs = objects
            .iter()
            .filter(|object| lexicon.is_held_out_pair(object.sprite, object.colour))
            .count();
        let of_sprites = objects.iter().filter(|o| held_out.contains(&o.sprite)).count();
        let said = |name: &str| sentences.iter().any(|text| says(text, name));
        let names = held_out.iter().map(|&sprite| &lexicon.sprites[sprite]);
        let named = names.filter(|sprite| said(&sprite.name) || said(&sprite.plural)).count();
        assert_eq!(of_pairs, if split == "test_pairs" { objects.len() } else { 0 }, "{split}");
        if split == "test_sprites" {
            assert!(of_sprites * 3 > objects.len() && named == held_out.len());
        } else {
            assert_eq!((of_sprites, named), (0, 0), "{split}");
        }
        // Of sentences the scan is slow: a part of the ways is enough to find one that leaks.
        let joined = sentences.join(" ; ").replace([',', '?'], "");
        let paired = pairs.iter().filter(|way| joined.contains(&format!(" {way} "))).count();
        if split == "test_pairs" {
            assert!(paired > 100, "{paired}");
        } else {
            assert_eq!(paired, 0, "{split}");
        }
    }
}

#[test]
fn parts_of_held_out_pairs_are_known() {
    let scenes = scenes(5);
    let lexicon = &scenes.lexicon;
    for &sprite in lexicon.known() {
        assert_eq!(lexicon.colours_of(Split::Train, sprite).len(), 6);
        assert_eq!(lexicon.colours_of(Split::TestPairs, sprite).len(), 2);
    }
    let colours: BTreeSet<Colour> = lexicon
        .known()
        .iter()
        .flat_map(|&sprite| lexicon.colours_of(Split::Train, sprite))
        .collect();
    assert_eq!(colours.len(), Colour::ALL.len());
    let other = Scenes::new(&small(6)).unwrap();
    assert_ne!(other.lexicon.held_out(), lexicon.held_out());
}
