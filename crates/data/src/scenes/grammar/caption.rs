//! Sentences that are true of a scene.
//!
//! The first caption binds attributes to objects and says where they stand; the others count, list
//! and compare. Phrases are such that a reader cannot mistake what they mean: `a` stands for what is
//! there once, a number for all there are, and `on` and `inside` belong to the noun before them.

use std::collections::HashSet;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::claim::Claim;
use super::describe::{counted, unique_phrase, unique_with_plate};
use super::phrase::{Np, Phrase};
use super::propose::{Form, Kind, propose};
use super::writer::{Link, Writer};
use crate::scenes::relation::{Relation, all};
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::Scene;

/// A sentence and what its phrases mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    pub text: String,
    pub links: Vec<Link>,
}

/// Three to five captions of the scene, all different.
pub fn captions(
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Vec<Caption> {
    let mut captions = vec![related(scene, lexicon, rng)];
    captions.push(Some(inventory(scene, lexicon, rng)));
    captions.push(plates(scene, lexicon, rng));
    let counted = if rng.random_bool(0.6) { Kind::More } else { Kind::AsMany };
    for kinds in [[Kind::Is, Kind::Related], [Kind::Bigger, counted]] {
        let claims: Vec<Claim> = kinds
            .iter()
            .filter_map(|kind| {
                let form = Form::of(*kind, rng);
                propose(form, true, scene, split, lexicon, rng)
            })
            .collect();
        captions.push(both(claims, scene, lexicon, rng));
    }
    let mut seen = HashSet::new();
    captions.into_iter().flatten().filter(|caption| seen.insert(caption.text.clone())).collect()
}

fn writer<'a>(scene: &'a Scene, lexicon: &'a Lexicon, rng: &'a mut ChaCha8Rng) -> Writer<'a> {
    Writer { scene: Some(scene), ..Writer::new(lexicon, rng) }
}

fn done(writer: Writer) -> Caption {
    Caption { text: writer.text, links: writer.links }
}

/// `two pandas above a small violin on a red circle`.
fn related(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Caption> {
    let mut pairs: Vec<(usize, usize)> = (0..scene.objects.len())
        .flat_map(|a| (0..scene.objects.len()).map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
        .collect();
    pairs.shuffle(rng);
    for (a, b) in pairs {
        let Some(object) = unique_with_plate(scene, b, lexicon, rng) else { continue };
        let subject = match group(scene, a, lexicon).filter(|_| rng.random_bool(0.7)) {
            Some(group) => group,
            None => match unique_with_plate(scene, a, lexicon, rng) {
                Some(phrase) => counted(phrase, scene, lexicon),
                None => continue,
            },
        };
        let object = counted(object, scene, lexicon);
        let means = subject.phrase.found(scene, lexicon);
        let mut relations = Relation::ALL.to_vec();
        relations.shuffle(rng);
        let relation = relations.iter().find(|relation| {
            let truths =
                means.iter().map(|&a| relation.truth(&scene.objects[a], &scene.objects[b]));
            all(truths) == Some(true)
        });
        let Some(relation) = relation.filter(|_| is_clear(&subject, &object)) else { continue };
        let mut writer = writer(scene, lexicon, rng);
        if writer.rng.random_bool(0.3) {
            writer.words(if subject.determiner.is_plural() { "there are" } else { "there is" });
        }
        writer.np(&subject);
        writer.relation(*relation).np(&object);
        return Some(done(writer));
    }
    plates(scene, lexicon, rng)
}

/// Whether one cannot take what is said at the end of the object for something said of the subject.
pub fn is_clear(subject: &Np, object: &Np) -> bool {
    let plural = subject.determiner.is_plural();
    let place = !object.phrase.has_place() || subject.phrase.has_place();
    let inside = object.phrase.inside.is_none() || subject.phrase.inside.is_some();
    plural || (place && inside)
}

/// All objects of the sort of object `at`, where there are several.
fn group(scene: &Scene, at: usize, lexicon: &Lexicon) -> Option<Np> {
    let np = counted(Phrase::sprite(scene.objects[at].sprite), scene, lexicon);
    np.determiner.is_plural().then_some(np)
}

/// Everything there is, counted: `two pandas, a violin and a bus`.
fn inventory(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Caption {
    let mut sprites: Vec<usize> = scene.objects.iter().map(|object| object.sprite).collect();
    sprites.sort_unstable();
    sprites.dedup();
    sprites.shuffle(rng);
    let nps = sprites.iter().map(|&sprite| counted(Phrase::sprite(sprite), scene, lexicon));
    list(nps.collect(), scene, lexicon, rng)
}

/// Up to three objects with their plates.
fn plates(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Caption> {
    let mut order: Vec<usize> = (0..scene.objects.len()).collect();
    order.shuffle(rng);
    let mut nps = vec![];
    let mut said = HashSet::new();
    for at in order {
        let phrase = match unique_with_plate(scene, at, lexicon, rng) {
            Some(phrase) => phrase,
            None => {
                let object = &scene.objects[at];
                let (colour, shape) = (Some(object.colour), Some(object.shape));
                Phrase { colour, shape, ..Phrase::sprite(object.sprite) }
            }
        };
        let found = phrase.found(scene, lexicon);
        if found.iter().all(|at| !said.contains(at)) {
            said.extend(found);
            nps.push(counted(phrase, scene, lexicon));
        }
    }
    nps.truncate(3);
    Some(list(nps, scene, lexicon, rng))
}

fn list(nps: Vec<Np>, scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Caption {
    let mut writer = writer(scene, lexicon, rng);
    if writer.rng.random_bool(0.2) {
        writer.words("a picture of");
    }
    for (at, np) in nps.iter().enumerate() {
        if at > 0 {
            let last = at + 1 == nps.len();
            if last {
                writer.words("and");
            } else {
                writer.text.push(',');
            }
        }
        writer.np(np);
    }
    done(writer)
}

/// One claim, or two in a sentence.
fn both(
    claims: Vec<Claim>,
    scene: &Scene,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Caption> {
    if claims.is_empty() {
        // Nothing of the kind can be said of this scene; one more way to name what is there.
        let at = rng.random_range(0..scene.objects.len());
        let phrase = unique_phrase(scene, at, lexicon, rng)?;
        let mut writer = writer(scene, lexicon, rng);
        Claim::There(counted(phrase, scene, lexicon)).write(&mut writer);
        return Some(done(writer));
    }
    let mut writer = writer(scene, lexicon, rng);
    Claim::And(claims).write(&mut writer);
    Some(done(writer))
}
