//! Phrases that mean exactly one object: by what it is, or by where it is.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::caption::is_clear;
use crate::scenes::grammar::describe::{Attribute, some_phrase, unique_phrase};
use crate::scenes::grammar::phrase::{Determiner, Noun, Phrase};
use crate::scenes::grammar::writer::Writer;
use crate::scenes::relation::Relation;
use crate::scenes::split::Lexicon;
use crate::scenes::world::{Object, Scene};
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{Expression, Region, TaskData};

/// Phrases tried before a scene is given up.
const TRIES: usize = 20;

/// `per_scene` expressions for each scene of the configuration; every other one says where the
/// object is. The proposals are the boxes of all objects.
pub fn expressions(
    config: &ScenesConfig,
    per_scene: usize,
) -> Result<TaskData<Expression>, DataError> {
    let scenes = Scenes::new(config)?;
    collect(&scenes, "expressions", per_scene, expression)
}

fn expression(mut attempt: Attempt) -> Option<Expression> {
    let scenes = attempt.scenes;
    let scene = scenes.scene(attempt.split, attempt.scene);
    let (key, related) = (attempt.key("expression"), attempt.example % 2 == 1);
    let rng = &mut attempt.rng;
    let (at, text) = (0..TRIES).find_map(|_| {
        let at = rng.random_range(0..scene.objects.len());
        let text = match related {
            true => by_relation(&scene, at, &scenes.lexicon, rng),
            false => by_attributes(&scene, at, &scenes.lexicon, rng),
        };
        text.map(|text| (at, text))
    })?;
    let size = scenes.config.size;
    let proposals: Vec<Region> = scene.objects.iter().map(|object| region(object, size)).collect();
    let region = proposals[at];
    let picture = scenes.picture(scene);
    Some(Expression { key, picture, size: [size, size], text, region, proposals })
}

fn region(object: &Object, size: u32) -> Region {
    let [x, y, width, height] = object.rect().in_pixels(size);
    Region { x, y, width, height }
}

/// `the small panda on the red circle`. Objects with a name of their own are passed over half the
/// time: of these, attributes tell nothing.
fn by_attributes(
    scene: &Scene,
    at: usize,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<String> {
    let name = Phrase::sprite(scene.objects[at].sprite);
    let easy = name.found(scene, lexicon) == [at];
    if easy && rng.random_bool(0.5) {
        return None;
    }
    let mut phrase = some_phrase(scene, at, lexicon, rng);
    if rng.random_bool(0.35) {
        phrase.noun = Noun::Thing;
        phrase.upside_down = phrase.upside_down.filter(|upside_down| *upside_down);
    }
    if phrase.found(scene, lexicon) != [at] {
        return None;
    }
    Some(the(phrase, lexicon, rng).text)
}

/// `the panda left of the violin`: of the pandas only this one is, and clearly.
fn by_relation(
    scene: &Scene,
    at: usize,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<String> {
    let other = rng.random_range(0..scene.objects.len());
    let relation = *Relation::ALL.choose(rng)?;
    let mut phrase = some_phrase(scene, at, lexicon, rng);
    if rng.random_bool(0.5) {
        phrase.noun = Noun::Thing;
        phrase.upside_down = phrase.upside_down.filter(|upside_down| *upside_down);
    } else {
        Attribute::UpsideDown.remove(&mut phrase);
    }
    let meant = phrase.found(scene, lexicon);
    if meant.len() < 2 || other == at {
        return None;
    }
    for candidate in meant {
        let truth = relation.truth(&scene.objects[candidate], &scene.objects[other])?;
        if truth != (candidate == at) {
            return None;
        }
    }
    let object = unique_phrase(scene, other, lexicon, rng)?.with(Determiner::The);
    is_clear(&phrase.clone().with(Determiner::The), &object).then_some(())?;
    let mut writer = the(phrase, lexicon, rng);
    writer.relation(relation).np(&object);
    Some(writer.text)
}

fn the<'a>(phrase: Phrase, lexicon: &'a Lexicon, rng: &'a mut ChaCha8Rng) -> Writer<'a> {
    let mut writer = Writer::new(lexicon, rng);
    writer.np(&phrase.with(Determiner::The));
    writer
}
