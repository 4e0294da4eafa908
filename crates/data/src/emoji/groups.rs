//! Which emoji show the same thing in variants, so that knowing one of them gives the other away.

use emojis::Group;

use super::catalogue::Entry;

/// Words that only tell siblings apart: colours, directions, sizes, degrees.
const VARIANT_WORDS: &[&str] = &[
    "red",
    "pink",
    "orange",
    "yellow",
    "green",
    "blue",
    "light",
    "purple",
    "brown",
    "black",
    "grey",
    "white",
    "left",
    "right",
    "up",
    "down",
    "leftwards",
    "rightwards",
    "upwards",
    "downwards",
    "left-facing",
    "right-facing",
    "front-facing",
    "facing",
    "tilted",
    "curving",
    "up-right",
    "up-left",
    "down-right",
    "down-left",
    "up-down",
    "left-right",
    "pointed",
    "oncoming",
    "large",
    "medium",
    "small",
    "medium-small",
    "1st",
    "2nd",
    "3rd",
    "clockwise",
    "counterclockwise",
    "vertical",
    "horizontal",
    "done",
    "not",
    "low",
    "high",
    "volume",
    "increasing",
    "decreasing",
    "hollow",
    "glowing",
    "shooting",
    "double",
    "small",
    "vertically",
    "horizontally",
    "uppercase",
    "lowercase",
];

/// Parts of names that make siblings of emoji whose names have little else in common.
const FAMILIES: &[(&str, &str)] = &[
    ("o’clock", "clock face"),
    ("-thirty", "clock face"),
    ("keycap: ", "keycap"),
    ("Japanese “", "Japanese button"),
    ("(blood type)", "blood type button"),
    ("globe showing", "globe"),
    ("mailbox", "mailbox"),
    ("no-evil monkey", "monkey"),
    ("magnifying glass", "magnifying glass"),
    ("speaker", "speaker"),
    ("musical note", "musical note"),
    ("backhand index", "pointing hand"),
    ("index pointing", "pointing hand"),
    ("thumbs ", "thumb"),
    ("input ", "input button"),
    ("train", "train"),
    ("airplane", "airplane"),
    ("skull", "skull"),
    ("repeat ", "repeat button"),
    ("question mark", "question mark"),
    ("exclamation mark", "exclamation mark"),
    ("luggage", "luggage"),
    ("heart suit", "card suit"),
    ("spade suit", "card suit"),
    ("club suit", "card suit"),
    ("diamond suit", "card suit"),
    ("new moon", "moon phase"),
    ("full moon", "moon phase"),
    ("quarter moon", "moon phase"),
    ("crescent moon", "moon phase"),
    ("gibbous moon", "moon phase"),
    ("sun behind", "cloud"),
    ("cloud with", "cloud"),
    ("family", "family"),
    ("feeding", "person feeding baby"),
    ("dancing", "dancer"),
    ("ballet dancer", "dancer"),
];

pub(super) const ZODIAC: &[&str] = &[
    "Aries",
    "Taurus",
    "Gemini",
    "Cancer",
    "Leo",
    "Virgo",
    "Libra",
    "Scorpio",
    "Sagittarius",
    "Capricorn",
    "Aquarius",
    "Pisces",
    "Ophiuchus",
];

/// The name of the sibling group: the same for all genders, tones, hair styles, colours and
/// directions of one thing.
pub fn sibling_group(entry: &Entry) -> String {
    if entry.is_flag() {
        return entry.base.clone();
    }
    if entry.emoji.group() == Group::PeopleAndBody && entry.gender.is_some() {
        return undirected(&family_of(&entry.concept).unwrap_or_else(|| entry.concept.clone()));
    }
    if ZODIAC.contains(&entry.base.as_str()) {
        return "zodiac sign".into();
    }
    if let Some(family) = family_of(&entry.base) {
        return family;
    }
    let mut words: Vec<&str> =
        entry.base.split(' ').filter(|word| !VARIANT_WORDS.contains(word)).collect();
    // `dog face` and `dog` are one animal.
    if entry.emoji.group() == Group::AnimalsAndNature && words.last() == Some(&"face") {
        words.pop();
    }
    match words.as_slice() {
        [] => entry.base.clone(),
        // `eyes` and `eye`, `books` and `book`.
        [word] => singular(word).to_string(),
        words => words.join(" "),
    }
}

/// The word without its final `s` where that is the name of an emoji.
fn singular(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(one) if emojis::iter().any(|emoji| emoji.name() == one) => one,
        _ => word,
    }
}

fn family_of(name: &str) -> Option<String> {
    FAMILIES.iter().find(|(part, _)| name.contains(part)).map(|(_, family)| family.to_string())
}

/// The name without left and right: mirror images are one thing.
pub fn undirected(name: &str) -> String {
    const DIRECTIONS: &[&str] =
        &["left", "right", "leftwards", "rightwards", "left-facing", "right-facing", "facing"];
    let words: Vec<&str> = name.split(' ').filter(|word| !DIRECTIONS.contains(word)).collect();
    words.join(" ")
}
