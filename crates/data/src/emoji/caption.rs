//! Sentences about an emoji, from its name, its short codes and its group.
//!
//! The first caption is the canonical one and unlike every other picture's. All of them are true of
//! the picture, and name its skin tones where it has any.

use emojis::Group;

use super::catalogue::Entry;
use super::groups::ZODIAC;

/// All captions of one emoji, the canonical one first, without repetition.
pub fn captions(entry: &Entry) -> Vec<String> {
    let phrase = phrase(&entry.base);
    let name = entry.base.replace(": ", ", ");
    let tone = tone_clause(entry);
    let mut captions = vec![
        format!("{phrase}{tone}"),
        format!("an emoji of {phrase}{tone}"),
        format!("a picture from {}: {name}{tone}", group(entry.emoji.group())),
        format!("{name} emoji{tone}"),
    ];
    match entry.tones.as_slice() {
        [] => {}
        [tone] => captions.push(format!("{tone} skin tone: {phrase}")),
        tones => captions.push(format!("{} skin tones: {phrase}", tones.join(" and "))),
    }
    let tones = entry.tones.join(" and ").replace('-', " ");
    for code in entry.shortcodes().filter(|code| is_readable(code)) {
        captions.push(format!("{} {tones}", code.replace('_', " ")).trim().to_string());
    }
    let mut seen = std::collections::HashSet::new();
    captions.retain(|caption| seen.insert(caption.clone()));
    captions
}

/// The canonical caption alone.
pub fn canonical(entry: &Entry) -> String {
    format!("{}{}", phrase(&entry.base), tone_clause(entry))
}

fn tone_clause(entry: &Entry) -> String {
    match entry.tones.as_slice() {
        [] => String::new(),
        [tone] => format!(", {tone} skin tone"),
        tones => format!(", {} skin tones", tones.join(" and ")),
    }
}

/// Short codes of which a reader can make words, and that one would put before a newcomer.
fn is_readable(code: &str) -> bool {
    code.len() >= 3
        && code.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        && !["shit", "hankey", "fu", "man_with_gua_pi_mao"].contains(&code)
}

fn group(group: Group) -> &'static str {
    match group {
        Group::SmileysAndEmotion => "smileys and emotion",
        Group::PeopleAndBody => "people and body",
        Group::AnimalsAndNature => "animals and nature",
        Group::FoodAndDrink => "food and drink",
        Group::TravelAndPlaces => "travel and places",
        Group::Activities => "activities",
        Group::Objects => "objects",
        Group::Symbols => "symbols",
        Group::Flags => "flags",
    }
}

/// The group's name as an annotation.
pub fn group_name(emoji: &emojis::Emoji) -> &'static str {
    group(emoji.group())
}

/// The name as a noun phrase: `woman surfing` -> `a woman surfing`.
fn phrase(base: &str) -> String {
    if let Some((_, phrase)) = PHRASES.iter().find(|(name, _)| *name == base) {
        return phrase.to_string();
    }
    if base.ends_with("o’clock") || base.ends_with("-thirty") {
        return format!("a clock face at {base}");
    }
    if let Some(kind) = base.strip_prefix("input ") {
        return format!("a button to input {kind}");
    }
    match base.split_once(": ") {
        Some(("flag", place)) => format!("the flag of {place}"),
        Some(("keycap", sign)) => format!("a keycap with {sign}"),
        Some(("kiss", members)) => format!("{} kissing", people(members)),
        Some(("couple with heart", members)) => {
            format!("{} with a heart between them", people(members))
        }
        Some(("family", members)) => format!("a family, {}", people(members)),
        Some((person, "bald")) => format!("a bald {person}"),
        Some((person, "beard")) => format!("a {person} with a beard"),
        Some((person, hair)) => format!("a {person} with {hair}"),
        None => with_article(base),
    }
}

/// `man, man, girl` -> `two men and a girl`.
fn people(members: &str) -> String {
    let mut counted: Vec<(&str, usize)> = vec![];
    for member in members.split(", ") {
        match counted.last_mut() {
            Some((last, count)) if *last == member => *count += 1,
            _ => counted.push((member, 1)),
        }
    }
    let parts: Vec<String> = counted
        .iter()
        .map(|(member, count)| match (*member, *count) {
            (one, 1) => with_article(one),
            ("man", _) => "two men".into(),
            ("woman", _) => "two women".into(),
            ("child", _) => "two children".into(),
            (other, _) => format!("two {other}s"),
        })
        .collect();
    match parts.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.join(""),
    }
}

/// Names that are no noun phrase of themselves.
const PHRASES: &[(&str, &str)] = &[
    ("kiss", "two people kissing"),
    ("couple with heart", "two people with a heart between them"),
    ("rolling on the floor laughing", "a face rolling on the floor laughing"),
    ("star-struck", "a star-struck face"),
    ("woman and man holding hands", "a woman and a man holding hands"),
    ("breast-feeding", "a woman breast-feeding a baby"),
    ("selfie", "a hand taking a selfie"),
    ("palms up together", "two palms up together"),
    ("call me hand", "a call-me hand"),
    ("horse racing", "a jockey racing on a horse"),
    ("foggy", "a foggy city"),
    ("cooking", "an egg cooking in a pan"),
    ("camping", "a camping site"),
    ("hundred points", "a hundred points"),
    ("nail polish", "nail polish on a hand"),
    ("locked", "a closed lock"),
    ("unlocked", "an open lock"),
    ("locked with pen", "a closed lock with a pen"),
    ("locked with key", "a closed lock with a key"),
    ("dizzy", "a dizzy star"),
    ("dashing away", "a puff of dashing away"),
    ("pouring liquid", "a glass pouring liquid"),
    ("hourglass done", "an hourglass that is done"),
    ("hourglass not done", "an hourglass that is not done"),
    ("Statue of Liberty", "the Statue of Liberty"),
    ("milky way", "the milky way"),
    ("radioactive", "a radioactive sign"),
    ("biohazard", "a biohazard sign"),
    ("warning", "a warning sign"),
    ("copyright", "a copyright sign"),
    ("registered", "a registered sign"),
    ("multiply", "a multiply sign"),
    ("divide", "a divide sign"),
    ("plus", "a plus sign"),
    ("minus", "a minus sign"),
    ("no one under eighteen", "a sign for no one under eighteen"),
];

/// Heads that stand without an article: mass nouns, proper names, activities.
const BARE: &[&str] = &[
    "Santa Claus",
    "Mrs. Claus",
    "Mx Claus",
    "ZZZ",
    "bacon",
    "bread",
    "butter",
    "salt",
    "garlic",
    "ginger root",
    "popcorn",
    "spaghetti",
    "sushi",
    "oden",
    "fondue",
    "sake",
    "ice",
    "ice cream",
    "soft ice cream",
    "shaved ice",
    "bubble tea",
    "curry rice",
    "cooked rice",
    "canned food",
    "green salad",
    "broccoli",
    "leafy green",
    "honey",
    "fire",
    "fog",
    "wood",
    "coral",
    "lightning",
    "confetti",
    "badminton",
    "bowling",
    "ping pong",
    "lacrosse",
    "field hockey",
    "ice hockey",
    "tennis",
    "american football",
    "rugby football",
    "dna",
    "money with wings",
    "yarn",
    "thread",
    "soap",
    "infinity",
    "baggage claim",
    "customs",
    "passport control",
    "left luggage",
    "mount fuji",
    "performing arts",
    "khanda",
    "high voltage",
    "construction",
    "information",
    "wireless",
    "vibration mode",
    "potable water",
    "non-potable water",
    "building construction",
];

/// Words that end in `s` and still mean one thing.
const SINGULAR_S: &[&str] = &[
    "bus",
    "trolleybus",
    "minibus",
    "cactus",
    "octopus",
    "lotus",
    "hibiscus",
    "rhinoceros",
    "hippopotamus",
    "compass",
    "dress",
    "cross",
    "glass",
    "circus",
    "abacus",
    "tennis",
    "T-Rex",
    "princess",
    "kiss",
    "Claus",
    "fleur-de-lis",
    "plus",
    "minus",
];

fn with_article(name: &str) -> String {
    if BARE.contains(&name) || ZODIAC.contains(&name) || is_plural(name) || name.starts_with("no ")
    {
        return name.to_string();
    }
    let first = name.split([' ', '-', '!']).next().unwrap_or(name);
    let letters = first.len() <= 3 && first.chars().all(|c| c.is_ascii_uppercase());
    let vowel = if letters && !["NEW", "UP", "TOP", "CL", "VS"].contains(&first) {
        // Spelled out: an SOS button, an ID button, a P button.
        first.starts_with(['A', 'E', 'F', 'H', 'I', 'L', 'M', 'N', 'O', 'R', 'S', 'X'])
    } else if first.starts_with("uni") || first.starts_with("eu") || ["one", "ewe"].contains(&first)
    {
        false
    } else {
        first.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U'])
            || ["hourglass", "x"].contains(&first)
    };
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// Whether the head of the name is plural: the last word before a preposition ends in `s`.
fn is_plural(name: &str) -> bool {
    const PREPOSITIONS: &[&str] =
        &["with", "of", "on", "in", "at", "from", "and", "without", "behind", "showing", "for"];
    let words: Vec<&str> = name.split(' ').collect();
    let first = words[0];
    if ["men", "women", "people"].contains(&first) || first == "clapping" || first == "raising" {
        return true;
    }
    let head_at = words.iter().position(|word| PREPOSITIONS.contains(word)).unwrap_or(words.len());
    let head = words[head_at.saturating_sub(1)];
    let person = ["man", "woman", "person"].contains(&first);
    !person && head.ends_with('s') && !head.ends_with("’s") && !SINGULAR_S.contains(&head)
}
