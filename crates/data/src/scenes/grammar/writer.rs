//! Words put one after another, with a note of which objects each phrase means.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::phrase::{Determiner, Noun, Np, Phrase};
use super::words::{article, number};
use crate::scenes::relation::Relation;
use crate::scenes::split::Lexicon;
use crate::scenes::world::{Scene, Size};

/// A noun phrase of a sentence: bytes `start..end` of its text mean these objects of the scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub start: usize,
    pub end: usize,
    pub objects: Vec<usize>,
}

/// A sentence in the making. Where English has several words for the same, chance chooses.
pub struct Writer<'a> {
    pub lexicon: &'a Lexicon,
    pub rng: &'a mut ChaCha8Rng,
    pub text: String,
    pub links: Vec<Link>,
    /// The scene whose objects phrases are linked to, where links are wanted.
    pub scene: Option<&'a Scene>,
    /// Whether plates may come first: `a red circle with a panda on it`.
    pub varied: bool,
    /// Where given, the same words throughout: the other word for a size, the longer for a relation.
    pub style: Option<[bool; 2]>,
}

impl<'a> Writer<'a> {
    pub fn new(lexicon: &'a Lexicon, rng: &'a mut ChaCha8Rng) -> Self {
        Writer {
            lexicon,
            rng,
            text: String::new(),
            links: vec![],
            scene: None,
            varied: true,
            style: None,
        }
    }

    /// Appends words, after a space where one is due.
    pub fn words(&mut self, words: &str) -> &mut Self {
        let joined = self.text.is_empty() || words.starts_with(',') || words.is_empty();
        if !joined {
            self.text.push(' ');
        }
        self.text.push_str(words);
        self
    }

    /// One of several ways to say the same.
    pub fn either(&mut self, ways: &[&str]) -> &mut Self {
        let way = *ways.choose(self.rng).unwrap_or(&"");
        self.words(way)
    }

    /// A relation, in fewer or more words.
    pub fn relation(&mut self, relation: Relation) -> &mut Self {
        let long = self.style.map_or_else(|| self.rng.random_bool(0.5), |[_, long]| long);
        self.words(relation_words(relation, long))
    }

    /// A phrase: `two small pandas on red circles`.
    pub fn np(&mut self, np: &Np) -> &mut Self {
        let turned_round = self.varied
            && np.determiner == Determiner::A
            && np.phrase.colour.is_some()
            && np.phrase.shape.is_some()
            && np.phrase.inside.is_none()
            && self.rng.random_bool(0.15);
        let start = self.text.len() + usize::from(!self.text.is_empty());
        let text = if turned_round { self.plate_with_it(&np.phrase) } else { self.plain(np) };
        self.words(&text);
        if let Some(scene) = self.scene {
            let objects = np.phrase.found(scene, self.lexicon);
            self.links.push(Link { start, end: self.text.len(), objects });
        }
        self
    }

    /// `a red circle with a small panda on it`.
    fn plate_with_it(&mut self, phrase: &Phrase) -> String {
        let bare = Phrase { colour: None, shape: None, ..phrase.clone() };
        let plate = phrase.plate();
        let inner = self.plain(&bare.with(Determiner::A));
        format!("{} {plate} with {inner} on it", article(&plate))
    }

    fn plain(&mut self, Np { determiner, phrase }: &Np) -> String {
        let plural = determiner.is_plural();
        let mut words: Vec<String> = self.adjectives(phrase).into_iter().map(Into::into).collect();
        words.push(self.noun(phrase.noun, plural));
        match determiner {
            Determiner::A => words.insert(0, article(&words[0]).into()),
            Determiner::The => words.insert(0, "the".into()),
            Determiner::Count(count) => words.insert(0, number(*count).into()),
            Determiner::Exactly(count) => words.insert(0, format!("exactly {}", number(*count))),
            Determiner::No => words.insert(0, "no".into()),
        }
        words.extend(place(phrase, plural, *determiner == Determiner::The));
        words.join(" ")
    }

    /// The phrase without determiner: `small pandas on red circles`.
    pub fn bare(&mut self, phrase: &Phrase, plural: bool) -> String {
        let mut words: Vec<String> = self.adjectives(phrase).into_iter().map(Into::into).collect();
        words.push(self.noun(phrase.noun, plural));
        words.extend(place(phrase, plural, false));
        words.join(" ")
    }

    fn adjectives(&mut self, phrase: &Phrase) -> Vec<&'static str> {
        let mut words = vec![];
        if let Some(size) = phrase.size {
            words.push(self.size(size));
        }
        match phrase.upside_down {
            Some(true) => words.push("upside-down"),
            Some(false) => words.push("upright"),
            None => {}
        }
        words
    }

    fn size(&mut self, size: Size) -> &'static str {
        let ways = match size {
            Size::Small => ["small", "little"],
            Size::Large => ["large", "big"],
        };
        let other = self.style.map_or_else(|| self.rng.random_bool(0.4), |[other, _]| other);
        ways[usize::from(other)]
    }

    fn noun(&self, noun: Noun, plural: bool) -> String {
        match (noun, plural) {
            (Noun::Sprite(sprite), false) => self.lexicon.sprites[sprite].name.clone(),
            (Noun::Sprite(sprite), true) => self.lexicon.sprites[sprite].plural.clone(),
            (Noun::Animal, false) => "animal".into(),
            (Noun::Animal, true) => "animals".into(),
            (Noun::Thing, false) => "thing".into(),
            (Noun::Thing, true) => "things".into(),
        }
    }
}

/// `on a red circle`, `on red circles`, `on the red circle inside the ring`.
pub fn place(phrase: &Phrase, plural: bool, definite: bool) -> Vec<String> {
    let with_article = |words: &str| {
        let article = if definite { "the" } else { article(words) };
        format!("{article} {words}")
    };
    let mut words = vec![];
    if phrase.has_place() {
        let plate = phrase.plate();
        let plate = if plural { format!("{plate}s") } else { with_article(&plate) };
        words.push(format!("on {plate}"));
    }
    if let Some(outline) = phrase.outline() {
        let outline = if plural { format!("{outline}s") } else { with_article(&outline) };
        words.push(format!("inside {outline}"));
    }
    words
}

/// `left of`, or in more words `to the left of`.
fn relation_words(relation: Relation, long: bool) -> &'static str {
    let (short, longer) = match relation {
        Relation::LeftOf => ("left of", "to the left of"),
        Relation::RightOf => ("right of", "to the right of"),
        Relation::Above => ("above", "higher up than"),
        Relation::Below => ("below", "lower down than"),
    };
    if long { longer } else { short }
}
