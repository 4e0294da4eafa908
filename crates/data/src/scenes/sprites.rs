//! The things that stand in scenes: emoji with simple names, or a folder of pictures with alpha.

use std::path::Path;

use image::RgbaImage;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use twemoji_assets::png::PngTwemojiAsset;

use super::grammar::words::plural;
use crate::error::DataError;
use crate::random::addressed;

/// Fewer leave too little to hold out.
pub const FEWEST: usize = 12;

/// A thing with its name and its picture.
#[derive(Debug, Clone)]
pub struct Sprite {
    /// Singular, in lower case.
    pub name: String,
    pub plural: String,
    pub is_animal: bool,
    /// Whether one sees at once that it stands upside down; only then it ever does.
    pub has_top: bool,
    pub picture: RgbaImage,
}

/// The built-in sprites: picture, name, whether one sees that it stands upside down.
///
/// Left out are people, flags and symbols, names without a plural of its own (fish, sheep), names
/// that are another's kind (bear beside panda, cat beside lion) and pictures that look alike.
const ANIMALS: &[(&str, &str, bool)] = &[
    ("🐼", "panda", true),
    ("🐶", "dog", true),
    ("🦊", "fox", true),
    ("🦁", "lion", true),
    ("🐯", "tiger", true),
    ("🐷", "pig", true),
    ("🐸", "frog", true),
    ("🐵", "monkey", true),
    ("🐰", "rabbit", true),
    ("🐨", "koala", true),
    ("🐔", "chicken", true),
    ("🐧", "penguin", true),
    ("🦉", "owl", true),
    ("🦆", "duck", true),
    ("🐢", "turtle", true),
    ("🐍", "snake", false),
    ("🐙", "octopus", true),
    ("🦀", "crab", false),
    ("🐳", "whale", true),
    ("🐬", "dolphin", false),
    ("🐌", "snail", true),
    ("🦋", "butterfly", true),
    ("🐝", "bee", false),
    ("🐞", "ladybird", false),
    ("🐘", "elephant", true),
    ("🦒", "giraffe", true),
    ("🦓", "zebra", true),
    ("🐫", "camel", true),
    ("🦘", "kangaroo", true),
    ("🐊", "crocodile", true),
    ("🦩", "flamingo", true),
    ("🦔", "hedgehog", true),
    ("🦈", "shark", true),
    ("🐄", "cow", true),
    ("🐎", "horse", true),
    ("🐿️", "squirrel", true),
    ("🦜", "parrot", true),
    ("🦚", "peacock", true),
    ("🦄", "unicorn", true),
    ("🦖", "dinosaur", true),
    ("🦞", "lobster", false),
    ("🦂", "scorpion", false),
    ("🐭", "mouse", true),
    ("🦥", "sloth", false),
    ("🦭", "seal", true),
];

const THINGS: &[(&str, &str, bool)] = &[
    ("🍎", "apple", true),
    ("🍐", "pear", true),
    ("🍋", "lemon", false),
    ("🍌", "banana", false),
    ("🍓", "strawberry", true),
    ("🍍", "pineapple", true),
    ("🥕", "carrot", false),
    ("🍄", "mushroom", true),
    ("🥑", "avocado", false),
    ("🍔", "hamburger", false),
    ("🍦", "ice cream", true),
    ("🧁", "cupcake", true),
    ("🎂", "cake", true),
    ("🥐", "croissant", false),
    ("🥨", "pretzel", false),
    ("🥪", "sandwich", false),
    ("🌮", "taco", true),
    ("🥥", "coconut", false),
    ("🎻", "violin", false),
    ("🎸", "guitar", false),
    ("🥁", "drum", false),
    ("🎷", "saxophone", false),
    ("🚗", "car", true),
    ("🚌", "bus", true),
    ("🚚", "truck", true),
    ("🚂", "locomotive", true),
    ("🚜", "tractor", true),
    ("🚲", "bicycle", true),
    ("🚁", "helicopter", true),
    ("🚀", "rocket", false),
    ("⛵", "sailboat", true),
    ("⚓", "anchor", true),
    ("🪑", "chair", true),
    ("🛏️", "bed", true),
    ("🚪", "door", false),
    ("🔔", "bell", true),
    ("💡", "light bulb", true),
    ("🕯️", "candle", true),
    ("☂️", "umbrella", true),
    ("👑", "crown", true),
    ("🎩", "hat", true),
    ("👢", "boot", true),
    ("👗", "dress", true),
    ("👜", "handbag", true),
    ("🎒", "backpack", true),
    ("☎️", "telephone", true),
    ("📷", "camera", true),
    ("🔑", "key", false),
    ("🔨", "hammer", false),
    ("🧲", "magnet", false),
    ("🔭", "telescope", true),
    ("🔬", "microscope", true),
    ("🏆", "trophy", true),
    ("🎁", "gift", true),
    ("🎈", "balloon", true),
    ("⛄", "snowman", true),
    ("🌵", "cactus", true),
    ("🌲", "tree", true),
    ("🌷", "tulip", true),
    ("🌻", "sunflower", true),
    ("🌹", "rose", true),
    ("🏠", "house", true),
    ("🏰", "castle", true),
    ("⛺", "tent", true),
    ("🤖", "robot", true),
    ("👻", "ghost", true),
    ("🎃", "pumpkin", true),
    ("📺", "television", true),
    ("💻", "laptop", true),
    ("⌚", "watch", false),
    ("⏰", "alarm clock", true),
    ("🪣", "bucket", true),
    ("🧹", "broom", false),
    ("🪜", "ladder", false),
    ("✏️", "pencil", false),
    ("📎", "paperclip", false),
    ("🦷", "tooth", true),
    ("🛷", "sled", false),
    ("🛹", "skateboard", false),
    ("🪁", "kite", false),
    ("🪴", "potted plant", true),
    ("🛋️", "sofa", true),
    ("🪞", "mirror", false),
    ("🔦", "torch", false),
];

/// The built-in sprites, the animals first.
pub fn built_in() -> Result<Vec<Sprite>, DataError> {
    let animals = ANIMALS.iter().map(|entry| (true, entry));
    let all: Vec<_> = animals.chain(THINGS.iter().map(|entry| (false, entry))).collect();
    all.into_par_iter()
        .map(|(is_animal, &(emoji, name, has_top))| {
            let malformed =
                |detail| DataError::Malformed { origin: format!("emoji {emoji}"), detail };
            let asset = PngTwemojiAsset::from_emoji(emoji)
                .or_else(|| PngTwemojiAsset::from_emoji(&emoji.replace('\u{fe0f}', "")))
                .ok_or_else(|| malformed("expected a picture of it in Twemoji".into()))?;
            let picture = image::load_from_memory(asset.data.0)
                .map_err(|error| malformed(format!("expected a PNG: {error}")))?
                .to_rgba8();
            Ok(Sprite { is_animal, has_top, picture, ..named(name) })
        })
        .collect()
}

/// The pictures of a folder, in order of their names, which are the nouns: `light-bulb.png` is a
/// light bulb.
///
/// # Errors
///
/// Where the folder has fewer than [`FEWEST`] pictures, one cannot be read or has no transparent
/// pixel, or a name is not of letters.
pub fn from_folder(folder: &Path) -> Result<Vec<Sprite>, DataError> {
    let entries = std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))?;
    let mut files = vec![];
    for entry in entries {
        let path = entry.map_err(|error| DataError::io(folder, error))?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if matches!(extension.as_deref(), Some("png" | "webp" | "gif")) {
            files.push(path);
        }
    }
    files.sort();
    if files.len() < FEWEST {
        return Err(DataError::NotFound {
            looked_for: format!(
                "at least {FEWEST} pictures (.png, .webp, .gif) in {}",
                folder.display()
            ),
            found: files.len().to_string(),
        });
    }
    let sprites: Vec<Sprite> = files.par_iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    for (first, second) in sprites.iter().zip(&sprites[1..]) {
        if first.name == second.name {
            return Err(DataError::Malformed {
                origin: folder.display().to_string(),
                detail: format!("expected one picture of each name, found two of {}", first.name),
            });
        }
    }
    Ok(sprites)
}

fn read(file: &Path) -> Result<Sprite, DataError> {
    let malformed =
        |detail: String| DataError::Malformed { origin: file.display().to_string(), detail };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = stem.replace(['-', '_'], " ");
    let is_word = |word: &str| !word.is_empty() && word.chars().all(char::is_alphabetic);
    if !name.split(' ').all(is_word) {
        return Err(malformed("expected a noun as the file's name, such as light-bulb.png".into()));
    }
    let picture = image::open(file)
        .map_err(|error| malformed(format!("expected a PNG, WebP or GIF: {error}")))?
        .to_rgba8();
    if picture.pixels().all(|pixel| pixel[3] == 255) {
        return Err(malformed("expected a picture with transparent pixels".into()));
    }
    Ok(Sprite { picture, ..named(&name) })
}

fn named(name: &str) -> Sprite {
    Sprite {
        name: name.into(),
        plural: plural(name),
        is_animal: false,
        has_top: true,
        picture: RgbaImage::new(1, 1),
    }
}

/// `kinds` of the sprites, chosen by the seed, in their order.
pub(crate) fn some_of(
    sprites: Vec<Sprite>,
    kinds: usize,
    seed: u64,
) -> Result<Vec<Sprite>, DataError> {
    if !(FEWEST..=sprites.len()).contains(&kinds) {
        return Err(DataError::Config(format!(
            "data.scenes.kinds is {kinds}; expected {FEWEST} to {}, the number of sprites",
            sprites.len()
        )));
    }
    let mut order: Vec<usize> = (0..sprites.len()).collect();
    order.shuffle(&mut addressed(seed, 0, "", "scenes: kinds"));
    order.truncate(kinds);
    let chosen = |at: &usize| order.contains(at);
    Ok(sprites.into_iter().enumerate().filter(|(at, _)| chosen(at)).map(|(_, it)| it).collect())
}
