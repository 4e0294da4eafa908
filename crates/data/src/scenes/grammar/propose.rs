//! Claims about a scene, true or false, that are drawn alike whether they turn out true or not.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::caption::is_clear;
use super::claim::Claim;
use super::describe::{Attribute, altered, some_phrase, unique_phrase};
use super::phrase::{Determiner, Noun, Phrase};
use crate::scenes::relation::Relation;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::Scene;

/// The forms of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    There,
    Is,
    Related,
    More,
    Bigger,
}

impl Kind {
    pub const ALL: &[Kind] = &[Kind::There, Kind::Is, Kind::Related, Kind::More, Kind::Bigger];
}

/// Claims drawn before a scene is given up.
const TRIES: usize = 40;

/// A claim of this kind that is `truth` of the scene, if chance finds one.
pub fn propose(
    kind: Kind,
    truth: bool,
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Claim> {
    (0..TRIES).find_map(|_| {
        let claim = draw(kind, scene, split, lexicon, rng)?;
        let right = claim.truth(scene, lexicon) == Some(truth);
        (right && claim.may_be_said(split, lexicon)).then_some(claim)
    })
}

/// As [`propose`], true and without "not".
pub fn propose_true(
    kind: Kind,
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Claim> {
    (0..TRIES / 4).find_map(|_| {
        let claim = propose(kind, true, scene, split, lexicon, rng)?;
        let negated = match &claim {
            Claim::Related { negated, .. } | Claim::Is { negated, .. } => *negated,
            _ => false,
        };
        (!negated).then_some(claim)
    })
}

fn draw(
    kind: Kind,
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Claim> {
    let a = rng.random_range(0..scene.objects.len());
    let b = rng.random_range(0..scene.objects.len());
    match kind {
        Kind::There => {
            let phrase = some_phrase(scene, a, lexicon, rng);
            let phrase = maybe_altered(phrase, split, lexicon, rng)?;
            let np = match rng.random_range(0..4) {
                0 => phrase.with(Determiner::No),
                1 => {
                    let count = Determiner::Exactly(rng.random_range(1..=3));
                    without_outline(phrase).with(count)
                }
                _ => phrase.with(Determiner::A),
            };
            Some(Claim::There(np))
        }
        Kind::Is => {
            let attribute = *Attribute::ALL.choose(rng)?;
            let mut subject = unique_phrase(scene, a, lexicon, rng)?;
            attribute.remove(&mut subject);
            let mut property = Phrase::of(Noun::Thing);
            attribute.take(&Phrase::full(&scene.objects[a], lexicon), &mut property);
            let property = maybe_altered_property(&property, split, lexicon, rng)?;
            if property == Phrase::of(Noun::Thing) {
                return None;
            }
            let negated = rng.random_bool(0.25);
            Some(Claim::Is { subject: subject.with(Determiner::The), property, negated })
        }
        Kind::Related => {
            let subject = unique_phrase(scene, a, lexicon, rng)?.with(Determiner::The);
            let object = unique_phrase(scene, b, lexicon, rng)?.with(Determiner::The);
            let relation = *Relation::ALL.choose(rng)?;
            let negated = rng.random_bool(0.25);
            let good = a != b && is_clear(&subject, &object);
            good.then_some(Claim::Related { subject, relation, object, negated })
        }
        Kind::More => {
            let more = countable(scene, a, lexicon, rng);
            let fewer = countable(scene, b, lexicon, rng);
            let good = more != fewer && !overlap(&more, &fewer, scene, lexicon);
            good.then(|| match rng.random_bool(0.3) {
                true => Claim::AsMany(more, fewer),
                false => Claim::More(more, fewer),
            })
        }
        Kind::Bigger => {
            let mut subject = unique_phrase(scene, a, lexicon, rng)?;
            let mut object = unique_phrase(scene, b, lexicon, rng)?;
            // Sizes that are said need no comparing; both must still mean one object.
            (subject.size, object.size) = (None, None);
            let smaller = rng.random_bool(0.5);
            let (subject, object) = (subject.with(Determiner::The), object.with(Determiner::The));
            let good = a != b && is_clear(&subject, &object);
            good.then_some(Claim::Bigger { subject, object, smaller })
        }
    }
}

/// What object `at` is, or what it stands on, to be counted.
pub fn countable(scene: &Scene, at: usize, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Phrase {
    let object = &scene.objects[at];
    match rng.random_range(0..6) {
        0 => Phrase { colour: Some(object.colour), ..Phrase::of(Noun::Thing) },
        1 => Phrase { shape: Some(object.shape), ..Phrase::of(Noun::Thing) },
        2 if lexicon.sprites[object.sprite].is_animal => Phrase::of(Noun::Animal),
        3 => Phrase { size: Some(object.size), ..Phrase::of(Noun::Thing) },
        _ => Phrase::sprite(object.sprite),
    }
}

/// Whether an object is meant by both: then comparing their numbers would be odd.
fn overlap(a: &Phrase, b: &Phrase, scene: &Scene, lexicon: &Lexicon) -> bool {
    let others = b.found(scene, lexicon);
    a.found(scene, lexicon).iter().any(|at| others.contains(at))
}

/// Plural outlines do not exist: there is at most one in a scene.
fn without_outline(phrase: Phrase) -> Phrase {
    Phrase { inside: None, ..phrase }
}

fn maybe_altered(
    phrase: Phrase,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Phrase> {
    if rng.random_bool(0.5) { altered(&phrase, split, lexicon, rng) } else { Some(phrase) }
}

/// As [`maybe_altered`], but never with a sprite.
fn maybe_altered_property(
    property: &Phrase,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Phrase> {
    if rng.random_bool(0.5) {
        return Some(property.clone());
    }
    altered(property, split, lexicon, rng).filter(|other| other.noun == Noun::Thing)
}
