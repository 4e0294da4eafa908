//! Every emoji that has both a name and a picture, and what its name says.
//!
//! The names are Unicode's (crate `emojis`), the pictures Twemoji's (crate `twemoji-assets`); the
//! two are joined by the emoji's code points.

use emojis::{Emoji, Group};
use twemoji_assets::png::PngTwemojiAsset;

/// The invisible mark that asks for a coloured picture; Twemoji's keys often leave it out.
const VARIATION_SELECTOR: char = '\u{fe0f}';

/// One emoji with its picture.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Hexadecimal code points, such as `1f3c4-1f3fe-200d-2640-fe0f`.
    pub key: String,
    pub emoji: &'static Emoji,
    /// The PNG file, 72 x 72 pixels with alpha.
    pub png: &'static [u8],
    /// The name without skin tones: `woman surfing`, `man: bald`, `kiss: woman, man`.
    pub base: String,
    /// The skin tones in the name's order: none, one, or two for couples. `medium-dark`.
    pub tones: Vec<&'static str>,
    /// What is shown, whoever does it: `person surfing`, `health worker`, `kiss`.
    pub concept: String,
    /// Who is shown, where the emoji comes in several genders: `woman`, `man and man`.
    pub gender: Option<&'static str>,
    /// `red hair`, `bald`, `beard`, ...
    pub hair: Option<String>,
}

impl Entry {
    pub fn is_flag(&self) -> bool {
        self.base.starts_with("flag: ")
    }

    /// The tones as one text, `light, dark`; empty where there are none.
    pub fn tone(&self) -> String {
        self.tones.join(", ")
    }

    /// The GitHub short codes, which only the emoji without a tone carries.
    pub fn shortcodes(&self) -> impl Iterator<Item = &'static str> {
        let plain = self.emoji.with_skin_tone(emojis::SkinTone::Default).unwrap_or(self.emoji);
        plain.shortcodes()
    }
}

/// All emoji with a picture, in Unicode's order.
pub fn catalogue() -> Vec<Entry> {
    let mut entries = Vec::new();
    for emoji in emojis::iter() {
        match emoji.skin_tones() {
            Some(tones) => entries.extend(tones.filter_map(entry)),
            None => entries.extend(entry(emoji)),
        }
    }
    entries
}

fn entry(emoji: &'static Emoji) -> Option<Entry> {
    let text = emoji.as_str();
    let asset = PngTwemojiAsset::from_emoji(text)
        .or_else(|| PngTwemojiAsset::from_emoji(&text.replace(VARIATION_SELECTOR, "")))?;
    let points: Vec<String> = text.chars().map(|point| format!("{:x}", point as u32)).collect();
    let (base, tones) = split_tones(emoji.name());
    let person = emoji.group() == Group::PeopleAndBody;
    let (concept, gender, hair) = if person { describe(&base) } else { (base.clone(), None, None) };
    Some(Entry {
        key: points.join("-"),
        emoji,
        png: asset.data.0,
        base,
        tones,
        concept,
        gender,
        hair,
    })
}

/// Takes the skin tones out of a name: `man: dark skin tone, bald` -> (`man: bald`, [`dark`]).
fn split_tones(name: &'static str) -> (String, Vec<&'static str>) {
    let Some((head, tail)) = name.split_once(": ") else { return (name.into(), vec![]) };
    let (mut tones, mut rest) = (vec![], vec![]);
    for part in tail.split(", ") {
        match part.strip_suffix(" skin tone") {
            Some(tone) => tones.push(tone),
            None => rest.push(part),
        }
    }
    // Two tones need the two people in the name, which the emoji without tones leaves out.
    if rest == ["person", "person"] {
        rest.clear();
    }
    if rest.is_empty() {
        (head.into(), tones)
    } else {
        (format!("{head}: {}", rest.join(", ")), tones)
    }
}

/// Names of which the gender is part of the word, with concept and gender.
const GENDERED_WORDS: &[(&str, &str, &str)] = &[
    ("prince", "person with crown", "man"),
    ("princess", "person with crown", "woman"),
    ("person with crown", "person with crown", "person"),
    ("merman", "merperson", "man"),
    ("mermaid", "merperson", "woman"),
    ("merperson", "merperson", "person"),
    ("Santa Claus", "Claus", "man"),
    ("Mrs. Claus", "Claus", "woman"),
    ("Mx Claus", "Claus", "person"),
    ("boy", "child", "man"),
    ("girl", "child", "woman"),
    ("child", "child", "person"),
    ("old man", "older person", "man"),
    ("old woman", "older person", "woman"),
    ("older person", "older person", "person"),
    ("kiss", "kiss", "person and person"),
    ("couple with heart", "couple with heart", "person and person"),
    ("breast-feeding", "person feeding baby", "woman"),
];

/// Concept, gender and hair of a person's name without tones.
fn describe(base: &str) -> (String, Option<&'static str>, Option<String>) {
    if let Some((_, concept, gender)) = GENDERED_WORDS.iter().find(|(name, ..)| *name == base) {
        return (concept.to_string(), Some(gender), None);
    }
    if let Some((head, tail)) = base.split_once(": ") {
        return match head {
            "man" => ("person".into(), Some("man"), Some(tail.into())),
            "woman" => ("person".into(), Some("woman"), Some(tail.into())),
            "person" => ("person".into(), Some("person"), Some(tail.into())),
            _ => (head.into(), couple(tail), None),
        };
    }
    if let Some(rest) = base.strip_prefix("woman and man ") {
        return (format!("people {rest}"), Some("woman and man"), None);
    }
    let words: Vec<&str> = base.split(' ').collect();
    let gender = words.iter().find_map(|word| match *word {
        "man" | "men" => Some("man"),
        "woman" | "women" => Some("woman"),
        "person" | "people" => Some("person"),
        _ => None,
    });
    let neutral: Vec<&str> = words
        .iter()
        .map(|word| match *word {
            "man" | "woman" => "person",
            "men" | "women" => "people",
            other => other,
        })
        .collect();
    let neutral = neutral.join(" ");
    // "man health worker" shows what "health worker" shows.
    let concept = match neutral.strip_prefix("person ") {
        Some(role) if emojis::iter().any(|emoji| emoji.name() == role) => role.to_string(),
        _ => neutral,
    };
    let gender = gender.or_else(|| is_role(base).then_some("person"));
    (concept, gender, None)
}

/// Whether the name is a role that women and men have emoji of their own for.
fn is_role(base: &str) -> bool {
    let woman = format!("woman {base}");
    emojis::iter().any(|emoji| emoji.name() == woman)
}

fn couple(members: &str) -> Option<&'static str> {
    match members {
        "woman, man" => Some("woman and man"),
        "man, man" => Some("man and man"),
        "woman, woman" => Some("woman and woman"),
        _ => None,
    }
}
