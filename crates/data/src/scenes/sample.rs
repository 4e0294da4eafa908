//! Scenes drawn by chance.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::grammar::phrase::{Noun, Phrase};
use super::layout;
use super::split::{Lexicon, Split};
use super::world::{Around, Background, Colour, Object, Outline, Scene, Shape, Size};

/// How often an object is of the same sort as one before it, so that there is something to count.
const REPEATED: f64 = 0.4;
/// How often it then stands on the same plate, too.
const SAME_PLATE: f64 = 0.3;
/// Halves, so that neither word is a better guess.
const SMALL: f64 = 0.5;
const UPSIDE_DOWN: f64 = 0.5;
/// How often a scene has an outline around one of its small objects.
const OUTLINED: f64 = 0.35;
/// Layouts tried for the same objects.
const LAYOUTS: usize = 60;

/// A scene of `split`. The first objects are as `wanted` says; `count` is the number of objects,
/// by chance where it is `None`.
///
/// Never ends where `wanted` has more than the split allows, or sprites or pairs that it has not.
/// Where nothing is wanted, no two objects are alike.
pub fn sample(
    lexicon: &Lexicon,
    split: Split,
    count: Option<usize>,
    wanted: &[Phrase],
    rng: &mut ChaCha8Rng,
) -> Scene {
    let [fewest, most] = split.objects();
    let background = background(rng);
    loop {
        let count = count.unwrap_or_else(|| rng.random_range(fewest.max(wanted.len())..=most));
        let mut objects: Vec<Object> = vec![];
        for at in 0..count {
            let object = match wanted.get(at) {
                Some(phrase) => wanted_object(lexicon, split, phrase, rng),
                None => another_object(lexicon, split, &objects, rng),
            };
            objects.push(object);
        }
        if wanted.iter().all(|phrase| phrase.inside.is_none()) && rng.random_bool(OUTLINED) {
            outline_one(&mut objects, wanted.len(), rng);
        }
        if wanted.is_empty() && !all_differ(&objects) {
            continue;
        }
        for _ in 0..LAYOUTS {
            if !layout::place(&mut objects, rng) {
                continue;
            }
            let scene = Scene { background: background.clone(), objects };
            if lexicon.owns(split, scene.anchor()) {
                return scene;
            }
            objects = scene.objects;
        }
    }
}

/// Whether each object can be told from the others without saying where it is.
fn all_differ(objects: &[Object]) -> bool {
    let equal = |a: &Object, b: &Object| *a == Object { x: a.x, y: a.y, ..b.clone() };
    objects.iter().enumerate().all(|(at, a)| objects[at + 1..].iter().all(|b| !equal(a, b)))
}

/// An object by chance, of the same sort as one of `objects` now and then.
fn another_object(
    lexicon: &Lexicon,
    split: Split,
    objects: &[Object],
    rng: &mut ChaCha8Rng,
) -> Object {
    let again = objects.choose(rng).filter(|_| rng.random_bool(REPEATED)).cloned();
    let sprite = match &again {
        Some(object) => object.sprite,
        None => any_sprite(lexicon, split, objects.is_empty(), rng),
    };
    let mut object = wanted_object(lexicon, split, &Phrase::sprite(sprite), rng);
    if let Some(again) = again.filter(|_| rng.random_bool(SAME_PLATE)) {
        (object.colour, object.shape) = (again.colour, again.shape);
    }
    object
}

/// A sprite of the split; in the split of held-out sprites, always one of them as the first.
fn any_sprite(lexicon: &Lexicon, split: Split, first: bool, rng: &mut ChaCha8Rng) -> usize {
    let held_out = split == Split::TestSprites && (first || rng.random_bool(0.5));
    let from = if held_out { lexicon.held_out() } else { lexicon.known() };
    *from.choose(rng).expect("at least one sprite is held out and one is not")
}

/// An object of which `phrase` is true; what it does not say is by chance.
fn wanted_object(lexicon: &Lexicon, split: Split, phrase: &Phrase, rng: &mut ChaCha8Rng) -> Object {
    let sprite = match phrase.noun {
        Noun::Sprite(sprite) => sprite,
        Noun::Thing => any_sprite(lexicon, split, false, rng),
        Noun::Animal => loop {
            let sprite = any_sprite(lexicon, split, false, rng);
            if lexicon.sprites[sprite].is_animal {
                break sprite;
            }
        },
    };
    let colours = lexicon.colours_of(split, sprite);
    let colour = colours.choose(rng).copied().unwrap_or(Colour::Red);
    let shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())];
    let size = if rng.random_bool(SMALL) { Size::Small } else { Size::Large };
    let upside_down = rng.random_bool(UPSIDE_DOWN) && lexicon.sprites[sprite].has_top;
    let around = phrase
        .inside
        .map(|(outline, colour)| Around { outline, colour: colour.unwrap_or(any_colour(rng)) });
    Object {
        x: 0,
        y: 0,
        sprite,
        colour: phrase.colour.unwrap_or(colour),
        shape: phrase.shape.unwrap_or(shape),
        size: if around.is_some() { Size::Small } else { phrase.size.unwrap_or(size) },
        upside_down: phrase.upside_down.unwrap_or(upside_down),
        around,
    }
}

/// Puts an outline around one of the small objects from `first` on.
fn outline_one(objects: &mut [Object], first: usize, rng: &mut ChaCha8Rng) {
    let small: Vec<usize> =
        (first..objects.len()).filter(|&at| objects[at].size == Size::Small).collect();
    let outline = Outline::ALL[rng.random_range(0..Outline::ALL.len())];
    let colour = any_colour(rng);
    if let Some(&at) = small.choose(rng) {
        objects[at].around = Some(Around { outline, colour });
    }
}

fn any_colour(rng: &mut ChaCha8Rng) -> Colour {
    Colour::ALL[rng.random_range(0..Colour::ALL.len())]
}

/// Plain, graded or noisy, always pale, so that every plate stands out.
fn background(rng: &mut ChaCha8Rng) -> Background {
    let mut pale = || [0; 3].map(|_: i32| rng.random_range(205..=250));
    let (colour, to) = (pale(), pale());
    match rng.random_range(0..3) {
        0 => Background::Plain(colour),
        1 => {
            let along = *[[100, 0], [0, 100], [50, 50]].choose(rng).unwrap_or(&[100, 0]);
            Background::Gradient { from: colour, to, along }
        }
        _ => Background::Noise {
            colour: colour.map(|level| level.min(235)),
            strength: rng.random_range(6..=20),
            seed: rng.random(),
        },
    }
}
