//! Words, read one after another.

const COLOURS: [&str; 8] = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "black"];
const NUMBERS: [&str; 7] = ["no", "one", "two", "three", "four", "five", "six"];

/// A phrase that was read.
#[derive(Debug, Clone, Default)]
pub struct Phrase {
    /// `a`, `the`, `no`, `exactly`, `count`, or `bare`.
    pub determiner: &'static str,
    pub count: usize,
    /// Both forms; `animal`, `thing`.
    pub noun: String,
    pub large: Option<bool>,
    pub upside_down: Option<bool>,
    pub colour: Option<String>,
    pub shape: Option<String>,
    pub outline: Option<(String, Option<String>)>,
}

/// Words that are being read.
pub struct Reader<'a> {
    words: Vec<&'a str>,
    pub at: usize,
    nouns: &'a [[String; 2]],
}

pub type Result<T> = std::result::Result<T, String>;

impl<'a> Reader<'a> {
    pub fn new(text: &'a str, nouns: &'a [[String; 2]]) -> Self {
        let words = text
            .split(' ')
            .flat_map(|word| match word.strip_suffix([',', '?']) {
                Some(rest) => vec![rest, &word[rest.len()..]],
                None => vec![word],
            })
            .collect();
        Reader { words, at: 0, nouns }
    }

    pub fn peek(&self) -> &'a str {
        self.words.get(self.at).copied().unwrap_or("")
    }

    /// Takes these words if they are next.
    pub fn take(&mut self, words: &str) -> bool {
        let words: Vec<&str> = words.split(' ').collect();
        let next = self.words[self.at.min(self.words.len())..].starts_with(&words);
        if next {
            self.at += words.len();
        }
        next
    }

    pub fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let word = words.iter().copied().find(|word| *word == self.peek())?;
        self.at += 1;
        Some(word)
    }

    pub fn expect(&mut self, words: &str) -> Result<()> {
        if self.take(words) { Ok(()) } else { self.fail(words) }
    }

    pub fn fail<T>(&self, expected: &str) -> Result<T> {
        Err(format!("expected {expected} at word {} of {:?}", self.at, self.words))
    }

    pub fn end(&self) -> Result<()> {
        if self.at == self.words.len() { Ok(()) } else { self.fail("the end") }
    }

    pub fn colour(&mut self) -> Option<String> {
        self.one_of(&COLOURS).map(String::from)
    }

    pub fn phrase(&mut self) -> Result<Phrase> {
        let mut phrase = Phrase { determiner: "bare", ..Phrase::default() };
        if self.take("a") || self.take("an") {
            phrase.determiner = "a";
        } else if self.take("the") {
            phrase.determiner = "the";
        } else if self.take("exactly") {
            phrase.determiner = "exactly";
            phrase.count = self.number().ok_or("expected a number")?;
        } else if self.take("no") {
            phrase.determiner = "no";
        } else if let Some(count) = self.number() {
            (phrase.determiner, phrase.count) = ("count", count);
        }
        if phrase.determiner == "a" && COLOURS.contains(&self.peek()) {
            let (colour, shape) = self.plate()?;
            self.expect("with")?;
            let inner = self.phrase()?;
            self.expect("on it")?;
            let plain = inner.colour.is_none() && inner.shape.is_none() && inner.determiner == "a";
            if !plain {
                return self.fail("a phrase without a plate");
            }
            return Ok(Phrase { colour, shape, ..inner });
        }
        loop {
            if self.take("small") || self.take("little") {
                phrase.large = Some(false);
            } else if self.take("large") || self.take("big") {
                phrase.large = Some(true);
            } else if self.take("upside-down") {
                phrase.upside_down = Some(true);
            } else if self.take("upright") {
                phrase.upside_down = Some(false);
            } else {
                break;
            }
        }
        let plural = match phrase.determiner {
            "bare" => true,
            "exactly" | "count" => phrase.count != 1,
            _ => false,
        };
        phrase.noun = self.noun(plural)?;
        self.properties(&mut phrase)?;
        Ok(phrase)
    }

    pub fn number(&mut self) -> Option<usize> {
        let at = NUMBERS.iter().position(|number| *number == self.peek())?;
        self.at += 1;
        Some(at)
    }

    /// The longest noun that is next, in the number that the determiner asks for.
    pub fn noun(&mut self, plural: bool) -> Result<String> {
        let mut best: Option<&[String; 2]> = None;
        for noun in self.nouns {
            let words: Vec<&str> = noun[usize::from(plural)].split(' ').collect();
            let next = self.words[self.at.min(self.words.len())..].starts_with(&words);
            if next && best.is_none_or(|best| best[0].len() < noun[0].len()) {
                best = Some(noun);
            }
        }
        let Some(noun) = best else { return self.fail("a noun") };
        self.at += noun[usize::from(plural)].split(' ').count();
        Ok(noun[0].clone())
    }

    /// `red circle`, `shapes`: colour and shape.
    pub fn plate(&mut self) -> Result<(Option<String>, Option<String>)> {
        let colour = self.colour();
        for shape in ["circle", "square", "triangle", "shape"] {
            if self.take(shape) || self.take(&format!("{shape}s")) {
                return Ok((colour, (shape != "shape").then(|| shape.to_string())));
            }
        }
        self.fail("a shape")
    }

    /// `on a red circle inside the ring`.
    pub fn properties(&mut self, phrase: &mut Phrase) -> Result<()> {
        // "On it" belongs to a phrase around this one.
        if self.peek() == "on" && self.words.get(self.at + 1) != Some(&"it") {
            self.at += 1;
            self.one_of(&["a", "an", "the"]);
            (phrase.colour, phrase.shape) = self.plate()?;
        }
        if self.take("inside") {
            self.one_of(&["a", "an", "the"]);
            let colour = self.colour();
            let Some(kind) = self.one_of(&["ring", "frame"]) else { return self.fail("ring") };
            phrase.outline = Some((kind.into(), colour));
        }
        Ok(())
    }

    /// What follows a form of "to be".
    pub fn predicate(&mut self) -> Result<Phrase> {
        let mut phrase = Phrase { noun: "thing".into(), ..Phrase::default() };
        let start = self.at;
        if self.take("small") || self.take("large") {
            phrase.large = Some(self.words[self.at - 1] == "large");
        } else if self.take("upside down") {
            phrase.upside_down = Some(true);
        } else if self.take("upright") {
            phrase.upside_down = Some(false);
        } else {
            self.properties(&mut phrase)?;
        }
        if self.at == start { self.fail("a property") } else { Ok(phrase) }
    }

    pub fn relation(&mut self) -> Option<[i32; 2]> {
        for (words, direction) in [
            ("to the left of", [-1, 0]),
            ("left of", [-1, 0]),
            ("to the right of", [1, 0]),
            ("right of", [1, 0]),
            ("above", [0, -1]),
            ("higher up than", [0, -1]),
            ("below", [0, 1]),
            ("lower down than", [0, 1]),
        ] {
            if self.take(words) {
                return Some(direction);
            }
        }
        None
    }
}
