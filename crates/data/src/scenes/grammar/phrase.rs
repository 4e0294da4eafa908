//! Noun phrases: which objects they mean, and how they are said.

use crate::scenes::relation::Truth;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Colour, Object, Outline, Scene, Shape, Size};

/// The head of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    Sprite(usize),
    Animal,
    Thing,
}

/// What a phrase says of each object that it means. What is `None` is not said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phrase {
    pub noun: Noun,
    pub size: Option<Size>,
    pub upside_down: Option<bool>,
    /// Of the plate.
    pub colour: Option<Colour>,
    pub shape: Option<Shape>,
    /// The outline that it is inside of, and the outline's colour.
    pub inside: Option<(Outline, Option<Colour>)>,
}

/// The word before a phrase, and with it how many objects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Determiner {
    /// At least one; used where it is exactly one.
    A,
    /// The only one there is.
    The,
    /// So many. Of more it is not clear whether it is true; then it is not said.
    Count(usize),
    /// So many and no more.
    Exactly(usize),
    No,
}

/// A phrase with its determiner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Np {
    pub determiner: Determiner,
    pub phrase: Phrase,
}

impl Phrase {
    pub fn of(noun: Noun) -> Self {
        Phrase { noun, size: None, upside_down: None, colour: None, shape: None, inside: None }
    }

    pub fn sprite(sprite: usize) -> Self {
        Phrase::of(Noun::Sprite(sprite))
    }

    /// All that can be said of `object`.
    pub fn full(object: &Object, lexicon: &Lexicon) -> Self {
        let has_top = lexicon.sprites[object.sprite].has_top;
        Phrase {
            noun: Noun::Sprite(object.sprite),
            size: Some(object.size),
            upside_down: has_top.then_some(object.upside_down),
            colour: Some(object.colour),
            shape: Some(object.shape),
            inside: object.around.map(|around| (around.outline, Some(around.colour))),
        }
    }

    /// Whether the phrase is true of `object`.
    pub fn matches(&self, object: &Object, lexicon: &Lexicon) -> bool {
        let noun = match self.noun {
            Noun::Sprite(sprite) => sprite == object.sprite,
            Noun::Animal => lexicon.sprites[object.sprite].is_animal,
            Noun::Thing => true,
        };
        let inside = self.inside.is_none_or(|(outline, colour)| {
            object.around.is_some_and(|around| {
                around.outline == outline && colour.is_none_or(|colour| colour == around.colour)
            })
        });
        noun && inside
            && self.size.is_none_or(|size| size == object.size)
            && self.upside_down.is_none_or(|upside_down| upside_down == object.upside_down)
            && self.colour.is_none_or(|colour| colour == object.colour)
            && self.shape.is_none_or(|shape| shape == object.shape)
    }

    /// The objects of `scene` that the phrase is true of.
    pub fn found(&self, scene: &Scene, lexicon: &Lexicon) -> Vec<usize> {
        let objects = scene.objects.iter().enumerate();
        objects.filter(|(_, object)| self.matches(object, lexicon)).map(|(at, _)| at).collect()
    }

    /// Whether sentences of `split` may use the phrase.
    pub fn may_be_said(&self, split: Split, lexicon: &Lexicon) -> bool {
        match self.noun {
            Noun::Sprite(sprite) => lexicon.may_say(split, sprite, self.colour),
            _ => true,
        }
    }

    /// Whether a scene of `split` may show such an object.
    pub fn may_be_shown(&self, split: Split, lexicon: &Lexicon) -> bool {
        let colour = |sprite, colour| lexicon.colours_of(split, sprite).contains(&colour);
        match (self.noun, self.colour) {
            (Noun::Sprite(sprite), Some(said)) => {
                lexicon.may_say(split, sprite, None) && colour(sprite, said)
            }
            (Noun::Sprite(sprite), None) => lexicon.may_say(split, sprite, None),
            _ => true,
        }
    }

    /// Whether it says anything of the plate.
    pub fn has_place(&self) -> bool {
        self.colour.is_some() || self.shape.is_some()
    }

    /// The plate as words: `red circle`, `red shape`, `circle`.
    pub fn plate(&self) -> String {
        let shape = self.shape.map_or("shape", Shape::word);
        match self.colour {
            Some(colour) => format!("{} {shape}", colour.word()),
            None => shape.into(),
        }
    }

    /// The outline as words: `blue ring`, `frame`.
    pub fn outline(&self) -> Option<String> {
        self.inside.map(|(outline, colour)| match colour {
            Some(colour) => format!("{} {}", colour.word(), outline.word()),
            None => outline.word().to_string(),
        })
    }

    pub fn with(self, determiner: Determiner) -> Np {
        Np { determiner, phrase: self }
    }
}

impl Determiner {
    /// Whether the noun after it is plural.
    pub fn is_plural(self) -> bool {
        match self {
            Determiner::Count(count) | Determiner::Exactly(count) => count != 1,
            _ => false,
        }
    }

    /// Whether it is right to say of `count` objects that there are "determiner phrase".
    pub fn truth(self, count: usize) -> Truth {
        match self {
            Determiner::A => Some(count >= 1),
            Determiner::The if count == 1 => Some(true),
            Determiner::The => None,
            Determiner::Count(said) if count > said => None,
            Determiner::Count(said) | Determiner::Exactly(said) => Some(count == said),
            Determiner::No => Some(count == 0),
        }
    }
}
