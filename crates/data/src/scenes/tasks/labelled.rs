//! Pictures of one object, to be told apart by its name or by one of its attributes.

use rand::seq::IndexedRandom;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::phrase::Phrase;
use crate::scenes::sample::sample;
use crate::scenes::split::Split;
use crate::scenes::world::{Colour, Shape, Size};
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{Labelled, TaskData};

/// What the classes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The sprite's name; held-out sprites are classes, too, and only `test_sprites` shows them.
    Sprite,
    /// Colour of the plate.
    Colour,
    /// Shape of the plate.
    Shape,
    Size,
}

/// A scene of one object for each scene of the configuration, and the names of the classes. The
/// sprites are equally frequent in each split.
pub fn labelled(
    config: &ScenesConfig,
    target: Target,
) -> Result<(TaskData<Labelled>, Vec<String>), DataError> {
    let scenes = Scenes::new(config)?;
    let words = |words: Vec<&str>| words.into_iter().map(String::from).collect();
    let classes = match target {
        Target::Sprite => scenes.lexicon.sprites.iter().map(|sprite| sprite.name.clone()).collect(),
        Target::Colour => words(Colour::ALL.iter().map(|value| value.word()).collect()),
        Target::Shape => words(Shape::ALL.iter().map(|value| value.word()).collect()),
        Target::Size => words(Size::ALL.iter().map(|value| value.word()).collect()),
    };
    let data = collect(&scenes, "labelled", 1, |attempt| one(attempt, target))?;
    Ok((data, classes))
}

fn one(mut attempt: Attempt, target: Target) -> Option<Labelled> {
    let (scenes, split) = (attempt.scenes, attempt.split);
    let lexicon = &*scenes.lexicon;
    let sprites = match split {
        Split::TestSprites => lexicon.held_out(),
        _ => lexicon.known(),
    };
    let sprite = sprites[attempt.example as usize % sprites.len()];
    let colour = lexicon.colours_of(split, sprite).choose(&mut attempt.rng).copied();
    let wanted = Phrase { colour, ..Phrase::sprite(sprite) };
    let scene = sample(lexicon, split, Some(1), &[wanted], &mut attempt.rng);
    let object = scene.objects.first()?;
    let class = match target {
        Target::Sprite => object.sprite,
        Target::Colour => object.colour as usize,
        Target::Shape => object.shape as usize,
        Target::Size => object.size as usize,
    };
    let key = attempt.key("labelled");
    Some(Labelled { key, picture: scenes.picture(scene), class })
}
