//! Phrases for the objects of a scene, chosen by chance among those that are right.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::phrase::{Determiner, Np, Phrase};
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Colour, Outline, Scene, Shape, Size};

/// What can be said of an object beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Size,
    UpsideDown,
    Colour,
    Shape,
    /// Colour and shape.
    Plate,
    Inside,
}

impl Attribute {
    pub const ALL: &[Attribute] = &[
        Attribute::Size,
        Attribute::UpsideDown,
        Attribute::Colour,
        Attribute::Shape,
        Attribute::Plate,
        Attribute::Inside,
    ];

    /// Takes the attribute from `full` into `phrase`.
    pub fn take(self, full: &Phrase, phrase: &mut Phrase) {
        match self {
            Attribute::Size => phrase.size = full.size,
            Attribute::UpsideDown => phrase.upside_down = full.upside_down,
            Attribute::Colour => phrase.colour = full.colour,
            Attribute::Shape => phrase.shape = full.shape,
            Attribute::Plate => (phrase.colour, phrase.shape) = (full.colour, full.shape),
            Attribute::Inside => phrase.inside = full.inside,
        }
    }

    /// Takes it out of `phrase`; colour and shape go together.
    pub fn remove(self, phrase: &mut Phrase) {
        match self {
            Attribute::Size => phrase.size = None,
            Attribute::UpsideDown => phrase.upside_down = None,
            Attribute::Inside => phrase.inside = None,
            _ => (phrase.colour, phrase.shape) = (None, None),
        }
    }
}

/// A phrase for object `at` with one to three attributes or none.
pub fn some_phrase(scene: &Scene, at: usize, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Phrase {
    let object = &scene.objects[at];
    let full = Phrase::full(object, lexicon);
    let mut phrase = Phrase::sprite(object.sprite);
    let count = *[0, 1, 1, 2, 2, 3].choose(rng).unwrap_or(&1);
    let mut attributes = Attribute::ALL.to_vec();
    // The plate is what binding is about.
    attributes.push(Attribute::Plate);
    attributes.shuffle(rng);
    for attribute in attributes.into_iter().take(count) {
        attribute.take(&full, &mut phrase);
    }
    phrase
}

/// A phrase that means object `at` and no other, if there is one.
pub fn unique_phrase(
    scene: &Scene,
    at: usize,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Phrase> {
    const TRIES: usize = 8;
    for _ in 0..TRIES {
        let phrase = some_phrase(scene, at, lexicon, rng);
        if phrase.found(scene, lexicon) == [at] {
            return Some(phrase);
        }
    }
    let full = Phrase::full(&scene.objects[at], lexicon);
    (full.found(scene, lexicon) == [at]).then_some(full)
}

/// As [`unique_phrase`], always with the colour and shape of the plate.
pub fn unique_with_plate(
    scene: &Scene,
    at: usize,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Phrase> {
    let mut phrase = unique_phrase(scene, at, lexicon, rng)?;
    Attribute::Plate.take(&Phrase::full(&scene.objects[at], lexicon), &mut phrase);
    Some(phrase)
}

/// The objects of one sprite, counted: `a panda`, `two pandas`.
pub fn counted(phrase: Phrase, scene: &Scene, lexicon: &Lexicon) -> Np {
    match phrase.found(scene, lexicon).len() {
        1 => phrase.with(Determiner::A),
        count => phrase.with(Determiner::Count(count)),
    }
}

/// Another value for one thing that the phrase says; the sprite counts as one. The result may be
/// said in `split`; `None` where nothing else may be.
pub fn altered(
    phrase: &Phrase,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
) -> Option<Phrase> {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        let mut other = phrase.clone();
        match rng.random_range(0..5) {
            0 => {
                let sprite = *lexicon.sprites_of(split).choose(rng)?;
                if other.upside_down.is_some() && !lexicon.sprites[sprite].has_top {
                    continue;
                }
                other.noun = super::phrase::Noun::Sprite(sprite);
            }
            1 => other.colour = other.colour.and_then(|_| Colour::ALL.choose(rng).copied()),
            2 => other.shape = other.shape.and_then(|_| Shape::ALL.choose(rng).copied()),
            3 => {
                other.size = other.size.map(|size| match size {
                    Size::Small => Size::Large,
                    Size::Large => Size::Small,
                });
            }
            _ => {
                other.inside = other.inside.map(|(outline, colour)| match colour {
                    Some(_) => (outline, Colour::ALL.choose(rng).copied()),
                    None => (other_outline(outline), None),
                });
                if other.inside.is_none() {
                    other.upside_down = other.upside_down.map(|upside_down| !upside_down);
                }
            }
        }
        // What is inside an outline is small; a phrase must not say what can never be.
        let possible = other.inside.is_none() || other.size != Some(Size::Large);
        if other != *phrase && possible && other.may_be_said(split, lexicon) {
            return Some(other);
        }
    }
    None
}

fn other_outline(outline: Outline) -> Outline {
    match outline {
        Outline::Ring => Outline::Frame,
        Outline::Frame => Outline::Ring,
    }
}
