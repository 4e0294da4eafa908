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
    AsMany,
    Bigger,
}

impl Kind {
    pub const ALL: &[Kind] =
        &[Kind::There, Kind::Is, Kind::Related, Kind::More, Kind::AsMany, Kind::Bigger];
}

/// What is chosen before the scene and the truth are: of some forms more claims are true than of
/// others, and a claim must not tell by its form whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub kind: Kind,
    /// With "not" or "no"; comparisons have none.
    pub negated: bool,
    /// By what things are counted: name, colour, shape or size.
    counted_by: usize,
}

impl Form {
    /// A claim of this kind, without "not".
    pub fn of(kind: Kind, rng: &mut ChaCha8Rng) -> Self {
        Form { kind, negated: false, counted_by: rng.random_range(0..4) }
    }

    /// Any form; one in four with "not".
    pub fn any(rng: &mut ChaCha8Rng) -> Self {
        let kind = Kind::ALL[rng.random_range(0..Kind::ALL.len())];
        Form { negated: rng.random_bool(0.25), ..Form::of(kind, rng) }
    }
}

/// Claims drawn before a scene is given up.
const TRIES: usize = 40;

/// A claim of this form that is `truth` of the scene, if chance finds one.
pub fn propose(
    form: Form,
    truth: bool,
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Claim> {
    (0..TRIES).find_map(|_| {
        let claim = draw(form, scene, split, lexicon, rng)?;
        let right = claim.truth(scene, lexicon) == Some(truth);
        (right && claim.may_be_said(split, lexicon)).then_some(claim)
    })
}

fn draw(
    form: Form,
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Claim> {
    let a = rng.random_range(0..scene.objects.len());
    let b = rng.random_range(0..scene.objects.len());
    let negated = form.negated;
    match form.kind {
        Kind::There => {
            let phrase = some_phrase(scene, a, lexicon, rng);
            let phrase = maybe_altered(phrase, split, lexicon, rng)?;
            let np = phrase.with(if negated { Determiner::No } else { Determiner::A });
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
            Some(Claim::Is { subject: subject.with(Determiner::The), property, negated })
        }
        Kind::Related => {
            let subject = unique_phrase(scene, a, lexicon, rng)?.with(Determiner::The);
            let object = unique_phrase(scene, b, lexicon, rng)?.with(Determiner::The);
            let relation = *Relation::ALL.choose(rng)?;
            let good = a != b && is_clear(&subject, &object);
            good.then_some(Claim::Related { subject, relation, object, negated })
        }
        Kind::More | Kind::AsMany => {
            let [a, b] = [a, b].map(|at| countable(scene, at, form.counted_by));
            (a != b).then_some(match form.kind {
                Kind::More => Claim::More(a, b),
                _ => Claim::AsMany(a, b),
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

/// What object `at` is, what it stands on, or how big it is, to be counted. Both sides of a
/// comparison are of one sort, so that neither is more numerous as a rule, and no object is on both.
fn countable(scene: &Scene, at: usize, counted_by: usize) -> Phrase {
    let object = &scene.objects[at];
    match counted_by {
        0 => Phrase::sprite(object.sprite),
        1 => Phrase { colour: Some(object.colour), ..Phrase::of(Noun::Thing) },
        2 => Phrase { shape: Some(object.shape), ..Phrase::of(Noun::Thing) },
        _ => Phrase { size: Some(object.size), ..Phrase::of(Noun::Thing) },
    }
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
