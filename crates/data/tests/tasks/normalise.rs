//! The normal form of answers, against a slow second implementation and against cases worked by
//! hand.

use proptest::prelude::*;
use weft_data::tasks::normalise::normalise;

/// Worked by hand from the rules on the data set's page, and, where it is silent, from what the
/// published evaluation does.
#[test]
fn cases_worked_by_hand() {
    for (answer, expected) in [
        // Case, white space, articles, numbers.
        ("Yes", "yes"),
        ("  a  Dog\n", "dog"),
        ("the man and a woman", "man and woman"),
        ("an", ""),
        ("", ""),
        ("two", "2"),
        ("None", "0"),
        ("twenty one", "twenty 1"),
        ("tennis", "tennis"),
        ("an apple a day", "apple day"),
        // A mark that touches no space becomes one; a mark that does vanishes, wherever it is.
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("black/white /", "blackwhite"),
        ("t-shirt", "t shirt"),
        ("yes!", "yes"),
        ("yes !", "yes"),
        ("what?no", "what no"),
        ("a-b c- d", "ab c d"),
        ("(left)", "left"),
        ("x_y", "x y"),
        // An article that a mark hid.
        ("a-ok", "ok"),
        // A comma between digits goes, and with it every mark without a space.
        ("1,000", "1000"),
        ("1,000-2,000", "10002000"),
        ("red,blue", "red blue"),
        ("red, blue", "red blue"),
        // Apostrophe and colon stay.
        ("10:30", "10:30"),
        ("man's", "man's"),
        // A period stays only before a digit.
        ("2.5", "2.5"),
        ("2.", "2"),
        (".5", ".5"),
        ("st. louis", "st louis"),
        ("u.s.a.", "usa"),
        ("...", ""),
        // Contractions.
        ("dont know", "don't know"),
        ("isnt it", "isn't it"),
        ("its", "its"),
        ("Im", "im"),
        ("somebody'd", "somebodyd"),
        ("mightn'tve", "mightn't've"),
        ("oclock", "o'clock"),
        // Number words are replaced before contractions, so this stays a word.
        ("one's", "one's"),
    ] {
        assert_eq!(normalise(answer), expected, "{answer:?}");
    }
}

/// The published code means to remove all periods and removes 32.
#[test]
fn more_periods_than_the_published_code_removes() {
    assert_eq!(normalise(&".".repeat(32)), "");
    assert_eq!(normalise(&".".repeat(34)), "..");
}

/// The rules once more, by searching and replacing in the text over and over.
fn reference(answer: &str) -> String {
    let text = answer.replace(['\n', '\t'], " ");
    let original = text.trim().to_owned();
    let mut text = original.clone();
    let comma_in_number = (0..10).any(|a| (0..10).any(|b| original.contains(&format!("{a},{b}"))));
    for mark in r#";/[]"{}()=+\_-><@`,?!"#.chars() {
        let (before, after) = (format!(" {mark}"), format!("{mark} "));
        let vanish = original.contains(&before) || original.contains(&after) || comma_in_number;
        text = text.replace(mark, if vanish { "" } else { " " });
    }
    let mut kept = String::new();
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        if c != '.' || next.is_ascii_digit() {
            kept.push(c);
        }
    }
    let mut words = vec![];
    for word in kept.to_lowercase().split_whitespace() {
        let word = match word {
            "none" | "zero" => "0",
            "one" => "1",
            "two" => "2",
            "three" => "3",
            "four" => "4",
            "five" => "5",
            "six" => "6",
            "seven" => "7",
            "eight" => "8",
            "nine" => "9",
            "ten" => "10",
            "dont" => "don't",
            "cant" => "can't",
            "whos" => "who's",
            "yall'll" => "y'all'll",
            other => other,
        };
        if !["a", "an", "the"].contains(&word) {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

proptest! {
    /// Texts of few different characters, so that the rules meet each other.
    #[test]
    fn agrees_with_the_reference(answer in "([ab1]|[.,'?!/-]|[ \t\n]|the|two|Dont|none| a |yall'll){0,12}") {
        prop_assert_eq!(normalise(&answer), reference(&answer));
    }

    #[test]
    fn agrees_with_the_reference_on_any_text(answer in "\\PC{0,30}") {
        prop_assert_eq!(normalise(&answer), reference(&answer));
    }

    #[test]
    fn a_normal_form_is_its_own(answer in "([ab1]|[.,'?!/-]|[ \t\n]|the|two|Dont|somebody'd){0,12}") {
        let once = normalise(&answer);
        prop_assert_eq!(normalise(&once), once);
    }
}
