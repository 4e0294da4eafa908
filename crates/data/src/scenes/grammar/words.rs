//! Forms of words.

/// Plurals that no rule gives.
const IRREGULAR: &[(&str, &str)] = &[
    ("mouse", "mice"),
    ("tooth", "teeth"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("man", "men"),
    ("woman", "women"),
    ("snowman", "snowmen"),
    ("child", "children"),
    ("person", "people"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("wolf", "wolves"),
    ("loaf", "loaves"),
    ("potato", "potatoes"),
    ("tomato", "tomatoes"),
    ("hero", "heroes"),
    ("ox", "oxen"),
];

/// The plural of a noun; of several words the last one takes it.
pub fn plural(noun: &str) -> String {
    let (start, last) = match noun.rsplit_once(' ') {
        Some((start, last)) => (format!("{start} "), last),
        None => (String::new(), noun),
    };
    if let Some((_, plural)) = IRREGULAR.iter().find(|(singular, _)| *singular == last) {
        return format!("{start}{plural}");
    }
    let before_y = last.strip_suffix('y').filter(|rest| !rest.ends_with(is_vowel));
    let hissing = ["s", "x", "z", "ch", "sh"].iter().any(|end| last.ends_with(end));
    match before_y {
        Some(rest) => format!("{start}{rest}ies"),
        None if hissing => format!("{start}{last}es"),
        None => format!("{start}{last}s"),
    }
}

fn is_vowel(letter: char) -> bool {
    "aeiou".contains(letter)
}

/// `a` or `an` before `word`.
pub fn article(word: &str) -> &'static str {
    let sounds_like_a_consonant = ["uni", "eu", "one", "ukulele", "user"];
    let consonant = sounds_like_a_consonant.iter().any(|start| word.starts_with(start));
    if word.starts_with(is_vowel) && !consonant { "an" } else { "a" }
}

/// The number as a word, up to twelve.
pub fn number(count: usize) -> &'static str {
    const NUMBERS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    NUMBERS[count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (singular, expected) in [
            ("panda", "pandas"),
            ("mouse", "mice"),
            ("light bulb", "light bulbs"),
            ("bus", "buses"),
            ("butterfly", "butterflies"),
            ("monkey", "monkeys"),
            ("fox", "foxes"),
            ("watch", "watches"),
            ("snowman", "snowmen"),
        ] {
            assert_eq!(plural(singular), expected);
        }
        let with_article = |word: &str| format!("{} {word}", article(word));
        for phrase in ["an owl", "a unicorn", "an umbrella", "an upside-down owl", "a panda"] {
            assert_eq!(with_article(phrase.split_once(' ').unwrap().1), phrase);
        }
    }
}
