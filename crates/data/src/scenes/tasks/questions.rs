//! Questions with one answer each.
//!
//! The kind goes round with the number of the question, and the answer is drawn before a scene and
//! words are found for it: `yes` as often as `no`, each colour as often as the others.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::claim::{Claim, predicate};
use crate::scenes::grammar::describe::{Attribute, altered, counted, some_phrase, unique_phrase};
use crate::scenes::grammar::phrase::{Determiner, Noun, Np, Phrase};
use crate::scenes::grammar::propose::{Form, Kind, propose};
use crate::scenes::grammar::writer::Writer;
use crate::scenes::relation::Relation;
use crate::scenes::sample::sample;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Colour, Scene, Shape, Size};
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{Question, TaskData};

/// The kinds of questions.
pub const KINDS: [&str; 10] = [
    "exist",
    "count",
    "attribute-colour",
    "attribute-shape",
    "attribute-size",
    "compare-count",
    "compare-size",
    "relation",
    "relation-object",
    "logic",
];

/// `per_scene` questions for each scene of the configuration.
pub fn questions(config: &ScenesConfig, per_scene: usize) -> Result<TaskData<Question>, DataError> {
    let scenes = Scenes::new(config)?;
    collect(&scenes, "questions", per_scene, question)
}

/// What a question is asked with.
struct Asker<'a> {
    scene: Scene,
    split: Split,
    lexicon: &'a Lexicon,
    rng: ChaCha8Rng,
}

fn question(mut attempt: Attempt) -> Option<Question> {
    let kind = KINDS[(attempt.example % KINDS.len() as u64) as usize];
    let key = attempt.key("question");
    let (scenes, split) = (attempt.scenes, attempt.split);
    // The same in all attempts: else what is easy to find would be asked more often.
    let mut answer_rng = attempt.shared_rng(attempt.example, "answer");
    let lexicon = &*scenes.lexicon;
    let (scene, phrase) = if kind == "count" {
        let (phrase, count) = to_count(split, lexicon, &mut answer_rng)?;
        let wanted = vec![phrase.clone(); count];
        (sample(lexicon, split, None, &wanted, &mut attempt.rng), Some((phrase, count)))
    } else {
        (scenes.scene(split, attempt.scene), None)
    };
    let mut asker = Asker { scene, split, lexicon, rng: attempt.rng };
    let yes = answer_rng.random_bool(0.5);
    let (text, answer) = match (kind, phrase) {
        ("exist", _) => asker.exist(yes),
        ("count", Some((phrase, count))) => asker.count(phrase, count),
        ("attribute-colour", _) => asker.colour(*Colour::ALL.choose(&mut answer_rng)?),
        ("attribute-shape", _) => asker.shape(*Shape::ALL.choose(&mut answer_rng)?),
        ("attribute-size", _) => asker.size(*Size::ALL.choose(&mut answer_rng)?),
        ("compare-count", _) => {
            let kind = if answer_rng.random_bool(0.7) { Kind::More } else { Kind::AsMany };
            asker.claim(Form::of(kind, &mut answer_rng), yes)
        }
        ("compare-size", _) => asker.claim(Form::of(Kind::Bigger, &mut answer_rng), yes),
        ("relation", _) => asker.claim(Form::of(Kind::Related, &mut answer_rng), yes),
        ("relation-object", _) => asker.relation_object(),
        _ => asker.logic(answer_rng.random_range(0..3), yes),
    }?;
    let picture = scenes.picture(asker.scene);
    Some(Question { key, picture, text, answers: vec![answer], kind: kind.into() })
}

/// What is to be counted, and how many of it there are to be.
fn to_count(split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<(Phrase, usize)> {
    const MOST: usize = 4;
    let sprites = match split {
        Split::TestSprites => lexicon.held_out(),
        _ => lexicon.known(),
    };
    let sprite = *sprites.choose(rng)?;
    let has_animals = lexicon.known().iter().any(|&sprite| lexicon.sprites[sprite].is_animal);
    let colour = *lexicon.colours_of(split, sprite).choose(rng)?;
    let phrase = match rng.random_range(0..6) {
        0 if has_animals => Phrase::of(Noun::Animal),
        // Four large ones leave no place for others.
        1 => Phrase { size: Some(Size::Small), ..Phrase::sprite(sprite) },
        2 => Phrase { shape: Shape::ALL.choose(rng).copied(), ..Phrase::sprite(sprite) },
        3 => Phrase { colour: Some(colour), ..Phrase::sprite(sprite) },
        _ => Phrase::sprite(sprite),
    };
    Some((phrase, rng.random_range(0..=MOST)))
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes".into() } else { "no".into() }
}

impl Asker<'_> {
    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.lexicon, &mut self.rng)
    }

    fn any_object(&mut self) -> usize {
        self.rng.random_range(0..self.scene.objects.len())
    }

    /// A phrase for something that may be there or not.
    fn maybe_there(&mut self) -> Option<Phrase> {
        let at = self.any_object();
        let phrase = some_phrase(&self.scene, at, self.lexicon, &mut self.rng);
        if self.rng.random_bool(0.5) {
            return Some(phrase);
        }
        altered(&phrase, self.split, self.lexicon, &mut self.rng)
    }

    fn is_there(&self, phrase: &Phrase) -> bool {
        !phrase.found(&self.scene, self.lexicon).is_empty()
    }

    fn exist(&mut self, yes: bool) -> Option<(String, String)> {
        let phrase = self.maybe_there().filter(|phrase| self.is_there(phrase) == yes)?;
        let mut writer = self.writer();
        writer.either(&["is there", "do you see"]).np(&phrase.with(Determiner::A));
        Some((format!("{}?", writer.text), yes_or_no(yes)))
    }

    fn count(&mut self, phrase: Phrase, count: usize) -> Option<(String, String)> {
        (phrase.found(&self.scene, self.lexicon).len() == count).then_some(())?;
        let things = self.writer().bare(&phrase, true);
        Some((format!("how many {things} are there?"), count.to_string()))
    }

    /// A phrase that means one object of which `is` is true, without speaking of the plate or, where
    /// `without_size`, of the size.
    fn asked_of(
        &mut self,
        without: &[Attribute],
        is: impl Fn(usize, &Scene) -> bool,
    ) -> Option<Np> {
        let found: Vec<usize> =
            (0..self.scene.objects.len()).filter(|&at| is(at, &self.scene)).collect();
        let at = *found.choose(&mut self.rng)?;
        let mut phrase = unique_phrase(&self.scene, at, self.lexicon, &mut self.rng)?;
        without.iter().for_each(|attribute| attribute.remove(&mut phrase));
        let unique = phrase.found(&self.scene, self.lexicon) == [at];
        unique.then_some(phrase.with(Determiner::The))
    }

    fn colour(&mut self, colour: Colour) -> Option<(String, String)> {
        let np =
            self.asked_of(&[Attribute::Plate], |at, scene| scene.objects[at].colour == colour)?;
        let mut writer = self.writer();
        writer.either(&["what colour is the shape under", "what is the colour of the shape under"]);
        writer.np(&np);
        Some((format!("{}?", writer.text), colour.word().into()))
    }

    fn shape(&mut self, shape: Shape) -> Option<(String, String)> {
        let np =
            self.asked_of(&[Attribute::Plate], |at, scene| scene.objects[at].shape == shape)?;
        let mut writer = self.writer();
        writer.either(&["what shape is under", "which shape is under"]).np(&np);
        Some((format!("{}?", writer.text), shape.word().into()))
    }

    fn size(&mut self, size: Size) -> Option<(String, String)> {
        // What is inside an outline is always small.
        let without = [Attribute::Size, Attribute::Inside];
        let np = self.asked_of(&without, |at, scene| scene.objects[at].size == size)?;
        let mut writer = self.writer();
        writer.words("is").np(&np).either(&["small or large", "large or small"]);
        Some((format!("{}?", writer.text), size.word().into()))
    }

    /// A claim turned into a question: `is the panda left of the violin?`
    fn claim(&mut self, form: Form, yes: bool) -> Option<(String, String)> {
        let claim = propose(form, yes, &self.scene, self.split, self.lexicon, &mut self.rng)?;
        let text = match &claim {
            Claim::Related { subject, relation, object, negated: false } => {
                let mut writer = self.writer();
                writer.words("is").np(subject);
                writer.relation(*relation).np(object);
                writer.text
            }
            Claim::Bigger { subject, object, smaller } => {
                let word = if *smaller { "smaller than" } else { "bigger than" };
                let mut writer = self.writer();
                writer.words("is").np(subject).words(word).np(object);
                writer.text
            }
            Claim::More(..) | Claim::AsMany(..) => {
                let text = claim.text(self.lexicon, &mut self.rng);
                text.replacen("there are", "are there", 1)
            }
            _ => return None,
        };
        Some((format!("{text}?"), yes_or_no(yes)))
    }

    /// `what is left of the violin?`, where it is clear what is and what is not.
    fn relation_object(&mut self) -> Option<(String, String)> {
        let mut asked: Vec<(usize, Relation)> = (0..self.scene.objects.len())
            .flat_map(|at| Relation::ALL.iter().map(move |relation| (at, *relation)))
            .collect();
        asked.shuffle(&mut self.rng);
        let (at, relation, only) = asked
            .into_iter()
            .find_map(|(at, relation)| Some((at, relation, self.only_one(at, relation)?)))?;
        let object = unique_phrase(&self.scene, at, self.lexicon, &mut self.rng)?;
        let objects = &self.scene.objects;
        let answer = self.lexicon.sprites[objects[only].sprite].name.clone();
        let mut writer = self.writer();
        writer.words("what is").relation(relation).np(&object.with(Determiner::The));
        Some((format!("{}?", writer.text), answer))
    }

    /// The only object in this relation to object `at`, where it is clear of all.
    fn only_one(&self, at: usize, relation: Relation) -> Option<usize> {
        let objects = &self.scene.objects;
        let mut there = vec![];
        for (other, candidate) in objects.iter().enumerate().filter(|(other, _)| *other != at) {
            if relation.truth(candidate, &objects[at])? {
                there.push(other);
            }
        }
        match there[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    fn logic(&mut self, form: usize, yes: bool) -> Option<(String, String)> {
        let (first, second) = (self.maybe_there()?, self.maybe_there()?);
        if form == 2 {
            return self.is_not(yes);
        }
        let (a, b) = (self.is_there(&first), self.is_there(&second));
        let truth = if form == 0 { a && b } else { a || b };
        // "A panda and a violin on a red circle" might put both on it.
        let clear = first.has_place() == second.has_place()
            && first.inside.is_some() >= second.inside.is_some();
        if truth != yes || first.noun == second.noun || !clear {
            return None;
        }
        let mut writer = self.writer();
        writer.words("is there").np(&first.with(Determiner::A));
        writer.words(if form == 0 { "and" } else { "or" }).np(&second.with(Determiner::A));
        Some((format!("{}?", writer.text), yes_or_no(yes)))
    }

    /// `is there a panda that is not on a red circle?`
    fn is_not(&mut self, yes: bool) -> Option<(String, String)> {
        let at = self.any_object();
        let full = Phrase::full(&self.scene.objects[at], self.lexicon);
        let attribute = *Attribute::ALL.choose(&mut self.rng)?;
        let mut property = Phrase::of(Noun::Thing);
        attribute.take(&full, &mut property);
        let mut subject = some_phrase(&self.scene, at, self.lexicon, &mut self.rng);
        attribute.remove(&mut subject);
        if self.rng.random_bool(0.5) {
            property = altered(&property, self.split, self.lexicon, &mut self.rng)
                .filter(|property| property.noun == Noun::Thing)?;
        }
        let pair = Phrase { colour: property.colour, ..subject.clone() };
        let found = subject.found(&self.scene, self.lexicon);
        let is_not = |at: &usize| !property.matches(&self.scene.objects[*at], self.lexicon);
        let good = found.iter().any(is_not) == yes
            && property != Phrase::of(Noun::Thing)
            && pair.may_be_said(self.split, self.lexicon);
        good.then_some(())?;
        let np = counted(subject, &self.scene, self.lexicon).phrase.with(Determiner::A);
        let property = predicate(&property, false);
        let mut writer = Writer { varied: false, ..self.writer() };
        writer.words("is there").np(&np).words("that is not").words(&property);
        Some((format!("{}?", writer.text), yes_or_no(yes)))
    }
}
