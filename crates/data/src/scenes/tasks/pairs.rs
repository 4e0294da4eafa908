//! Statements about two pictures, each with two pairs of which it is true and two of which it is
//! false: the words alone tell nothing.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::describe::altered;
use crate::scenes::grammar::phrase::{Determiner, Phrase};
use crate::scenes::grammar::words::number;
use crate::scenes::grammar::writer::Writer;
use crate::scenes::relation::{Truth, all, any, not};
use crate::scenes::sample::sample;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Scene, Shape, Size};
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{PairStatement, TaskData};

/// Pairs of pictures with the same statement.
const PAIRS: u64 = 4;
/// Pairs tried for one example before the attempt is given up.
const TRIES: usize = 60;

/// `per_scene` examples for each scene of the configuration; four in a row share their statement.
pub fn pair_statements(
    config: &ScenesConfig,
    per_scene: usize,
) -> Result<TaskData<PairStatement>, DataError> {
    let scenes = Scenes::new(config)?;
    collect(&scenes, "pairs", per_scene, pair)
}

/// A statement about a left and a right picture.
#[derive(Debug, Clone)]
enum Statement {
    Both(Phrase),
    Neither(Phrase),
    OnlyOne(Phrase),
    /// One picture shows the first, the other the second.
    OneEach(Phrase, Phrase),
    /// The left one has more, or the right one.
    More {
        of: Phrase,
        left: bool,
    },
    /// So many in the two pictures together.
    Together(Phrase, usize),
}

fn pair(mut attempt: Attempt) -> Option<PairStatement> {
    let (scenes, split) = (attempt.scenes, attempt.split);
    let lexicon = &*scenes.lexicon;
    let group = attempt.example / PAIRS;
    let label = (attempt.example % PAIRS) < PAIRS / 2;
    let mut words = attempt.shared_rng(group, "pairs: statement");
    let statement = Statement::draw(group, split, lexicon, &mut words)?;
    let text = statement.text(lexicon, &mut words);
    let shown = statement.to_show(split, lexicon, &mut attempt.rng);
    for _ in 0..TRIES {
        let [left, right] = [0, 1].map(|_| some_scene(&shown, split, lexicon, &mut attempt.rng));
        if statement.truth(&left, &right, lexicon) == Some(label) {
            let key = attempt.key("pair");
            let group = format!("{}-{group}", split.name());
            let pictures = [left, right].map(|scene| scenes.picture(scene));
            return Some(PairStatement { key, pictures, text, label: Some(label), group });
        }
    }
    None
}

/// A scene with up to two of the things to be shown.
fn some_scene(shown: &[Phrase], split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Scene {
    let count = rng.random_range(0..=2);
    let wanted: Vec<Phrase> = (0..count).filter_map(|_| shown.choose(rng).cloned()).collect();
    sample(lexicon, split, None, &wanted, rng)
}

impl Statement {
    /// The form goes round with the number.
    fn draw(group: u64, split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Self> {
        let [first, second] = [0, 1].map(|_| some_thing(split, lexicon, rng));
        let (first, mut second) = (first?, second?);
        // "One picture shows a panda, and the other shows a panda" would never be clearly true.
        while second == first {
            second = some_thing(split, lexicon, rng)?;
        }
        Some(match group % 6 {
            0 => Statement::Both(first),
            1 => Statement::Neither(first),
            2 => Statement::OnlyOne(first),
            3 => Statement::OneEach(first, second),
            4 => Statement::More { of: first, left: rng.random_bool(0.5) },
            _ => Statement::Together(first, rng.random_range(1..=3)),
        })
    }

    fn phrases(&self) -> Vec<&Phrase> {
        match self {
            Statement::OneEach(first, second) => vec![first, second],
            Statement::Both(phrase)
            | Statement::Neither(phrase)
            | Statement::OnlyOne(phrase)
            | Statement::More { of: phrase, .. }
            | Statement::Together(phrase, _) => vec![phrase],
        }
    }

    /// What the pictures are to show: what the statement names, and what differs a little from it.
    fn to_show(&self, split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Vec<Phrase> {
        let mut shown = vec![];
        for phrase in self.phrases() {
            shown.extend([phrase.clone(), phrase.clone()]);
            let others = (0..4).filter_map(|_| altered(phrase, split, lexicon, rng));
            shown.extend(others.filter(|other| other.may_be_shown(split, lexicon)).take(1));
        }
        shown
    }

    fn truth(&self, left: &Scene, right: &Scene, lexicon: &Lexicon) -> Truth {
        let counts =
            |phrase: &Phrase| [left, right].map(|scene| phrase.found(scene, lexicon).len());
        let shown = |phrase: &Phrase| counts(phrase).map(|count| Some(count > 0));
        match self {
            Statement::Both(phrase) => all(shown(phrase)),
            Statement::Neither(phrase) => not(any(shown(phrase))),
            Statement::OnlyOne(phrase) => {
                Some(shown(phrase).into_iter().filter(|shown| *shown == Some(true)).count() == 1)
            }
            Statement::OneEach(first, second) => {
                let (first, second) = (shown(first), shown(second));
                let ways = [all([first[0], second[1]]), all([first[1], second[0]])];
                // Where both ways are open one may ask which picture is "one" and which "the other".
                if ways == [Some(true); 2] { None } else { any(ways) }
            }
            Statement::More { of, left } => {
                let [of_left, of_right] = counts(of);
                Some(if *left { of_left > of_right } else { of_right > of_left })
            }
            Statement::Together(phrase, count) => {
                Some(counts(phrase).into_iter().sum::<usize>() == *count)
            }
        }
    }

    fn text(&self, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> String {
        let a = |phrase: &Phrase| phrase.clone().with(Determiner::A);
        let mut writer = Writer::new(lexicon, rng);
        match self {
            Statement::Both(phrase) => {
                writer.either(&["both pictures show", "each picture shows"]).np(&a(phrase));
            }
            Statement::Neither(phrase) => {
                writer.either(&["neither picture shows", "no picture shows"]).np(&a(phrase));
            }
            Statement::OnlyOne(phrase) => {
                writer.either(&["only one of the pictures shows", "exactly one picture shows"]);
                writer.np(&a(phrase));
            }
            Statement::OneEach(first, second) => {
                writer.words("one picture shows").np(&a(first));
                writer.words(", and the other shows").np(&a(second));
            }
            Statement::More { of, left } => {
                let sides = if *left { ["left", "right"] } else { ["right", "left"] };
                let things = writer.bare(of, true);
                writer.words(&format!(
                    "the {} picture has more {things} than the {} picture",
                    sides[0], sides[1]
                ));
            }
            Statement::Together(phrase, count) => {
                let things = writer.bare(phrase, *count != 1);
                let verb = if *count == 1 { "is" } else { "are" };
                let number = number(*count);
                writer.words(&format!(
                    "there {verb} exactly {number} {things} in the two pictures together"
                ));
            }
        }
        writer.text
    }
}

/// A sprite of the split with up to two attributes, as a scene of the split may show it.
fn some_thing(split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Phrase> {
    let sprites = match split {
        Split::TestSprites => lexicon.held_out(),
        _ => lexicon.known(),
    };
    let sprite = *sprites.choose(rng)?;
    let mut phrase = Phrase::sprite(sprite);
    if rng.random_bool(0.6) {
        phrase.colour = lexicon.colours_of(split, sprite).choose(rng).copied();
    }
    if rng.random_bool(0.4) {
        phrase.shape = Shape::ALL.choose(rng).copied();
    }
    match rng.random_range(0..6) {
        0 | 1 => phrase.size = Size::ALL.choose(rng).copied(),
        2 if lexicon.sprites[sprite].has_top => phrase.upside_down = Some(true),
        _ => {}
    }
    Some(phrase)
}
