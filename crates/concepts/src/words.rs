//! Captions split into words.

use std::ops::Range;

/// A word, or a mark that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// In lower case.
    pub text: String,
    /// Where it stands in the caption, in characters.
    pub span: Range<usize>,
}

/// Words and marks in their order. Hyphens and apostrophes between letters belong to the word
/// around them; every other character that is no letter, no digit and no space is a mark by itself.
pub fn split(caption: &str) -> Vec<Word> {
    let letters: Vec<char> = caption.chars().collect();
    let mut words = vec![];
    let mut at = 0;
    while at < letters.len() {
        let end = if is_letter(letters[at]) { end_of_word(&letters, at) } else { at + 1 };
        if !letters[at].is_whitespace() {
            let text = letters[at..end].iter().collect::<String>().to_lowercase();
            words.push(Word { text, span: at..end });
        }
        at = end;
    }
    words
}

fn end_of_word(letters: &[char], start: usize) -> usize {
    let goes_on = |at: usize| letters.get(at).is_some_and(|&letter| is_letter(letter));
    let mut end = start;
    while goes_on(end) || (letters.get(end).is_some_and(is_joint) && goes_on(end + 1)) {
        end += 1;
    }
    end
}

/// Accents may be characters of their own, which follow the letter they belong to.
fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&letter)
}

fn is_joint(letter: &char) -> bool {
    matches!(letter, '-' | '\u{2010}' | '\u{2011}' | '\'' | '\u{2019}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(caption: &str) -> Vec<String> {
        split(caption).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn hyphens_and_apostrophes_between_letters_stay() {
        assert_eq!(
            texts("An upside-down  dog's 'bed' -- medium-dark cat’s."),
            ["an", "upside-down", "dog's", "'", "bed", "'", "-", "-", "medium-dark", "cat’s", "."]
        );
    }

    #[test]
    fn spans_count_characters() {
        let words = split("É🐼 a\u{301}b, Ice");
        let spans: Vec<_> =
            words.iter().map(|word| (word.text.as_str(), word.span.clone())).collect();
        assert_eq!(
            spans,
            [("é", 0..1), ("🐼", 1..2), ("a\u{301}b", 3..6), (",", 6..7), ("ice", 8..11)]
        );
    }

    #[test]
    fn nothing_but_space_has_no_words() {
        assert!(split("").is_empty());
        assert!(split(" \t\n").is_empty());
    }
}
