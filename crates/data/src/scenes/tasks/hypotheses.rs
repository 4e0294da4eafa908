//! Sentences that the picture entails, contradicts or leaves open.
//!
//! The premise is what one sees. What was or will be, what is outside of the picture and what is
//! hidden in it are left open by every picture; such a clause is joined to clauses about the picture
//! so that the label depends on these:
//!
//! | form | labels |
//! | --- | --- |
//! | `B` | entailed, contradicted |
//! | `U, and B` | open, contradicted |
//! | `either U or B` | entailed, open |
//! | `B, and either B' or U` | entailed, contradicted, open |
//!
//! The last form has half of the examples, the others a sixth each, and within a form the labels are
//! equally frequent: whoever knows only the form is right of 5/12.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::claim::predicate;
use crate::scenes::grammar::describe::{Attribute, altered, some_phrase, unique_phrase};
use crate::scenes::grammar::phrase::{Determiner, Noun, Phrase};
use crate::scenes::grammar::propose::{Form, Kind, propose};
use crate::scenes::grammar::writer::Writer;
use crate::scenes::relation::Relation;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::Scene;
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{Entailment, Hypothesis, TaskData};

/// Words of what the picture cannot show, before and after.
pub const TIMES: [(&str, &str); 4] =
    [("was", "earlier"), ("was", "yesterday"), ("will be", "later"), ("will be", "tomorrow")];

/// `per_scene` hypotheses for each scene of the configuration.
pub fn hypotheses(
    config: &ScenesConfig,
    per_scene: usize,
) -> Result<TaskData<Hypothesis>, DataError> {
    let scenes = Scenes::new(config)?;
    collect(&scenes, "hypotheses", per_scene, hypothesis)
}

fn hypothesis(mut attempt: Attempt) -> Option<Hypothesis> {
    use Entailment::{Contradiction, Entailment as Entailed, Neutral};
    let scenes = attempt.scenes;
    let scene = scenes.scene(attempt.split, attempt.scene);
    let key = attempt.key("hypothesis");
    // 12 examples in a row hold each form as often as it should be, and each of its labels.
    let (form, label) = match attempt.example % 12 {
        0 => ("plain", Entailed),
        1 => ("plain", Contradiction),
        2 => ("and", Neutral),
        3 => ("and", Contradiction),
        4 => ("or", Entailed),
        5 => ("or", Neutral),
        turn => ("both", [Entailed, Contradiction, Neutral][turn as usize % 3]),
    };
    // The same in all attempts, whatever the label: else what is easy to find true would be.
    let mut forms = attempt.shared_rng(attempt.example, "hypotheses: forms");
    let mut chooser = Chooser {
        scene: &scene,
        split: attempt.split,
        lexicon: &scenes.lexicon,
        rng: &mut attempt.rng,
        forms: two_forms(&mut forms),
    };
    let text = match form {
        "plain" => chooser.seen(0, label == Entailed)?,
        "and" => {
            let unseen = chooser.unseen()?;
            format!("{unseen}, and {}", chooser.seen(0, label == Neutral)?)
        }
        "or" => chooser.either(label == Entailed)?,
        _ => {
            let first = chooser.seen(0, label != Contradiction)?;
            let second = match label {
                Entailed => true,
                Neutral => false,
                Contradiction => chooser.rng.random_bool(0.5),
            };
            format!("{first}, and {}", chooser.either(second)?)
        }
    };
    Some(Hypothesis { key, picture: scenes.picture(scene), text, label })
}

/// Two forms of different kinds, one of them at most a comparison of numbers: "more" and "as many"
/// of the same things are never both true.
fn two_forms(rng: &mut ChaCha8Rng) -> [Form; 2] {
    let first = Form::any(rng);
    loop {
        let second = Form::any(rng);
        let compares = |form: Form| matches!(form.kind, Kind::More | Kind::AsMany);
        if second.kind != first.kind && !(compares(first) && compares(second)) {
            return [first, second];
        }
    }
}

struct Chooser<'a> {
    scene: &'a Scene,
    split: Split,
    lexicon: &'a Lexicon,
    rng: &'a mut ChaCha8Rng,
    /// Of the first and the second clause about the picture.
    forms: [Form; 2],
}

impl Chooser<'_> {
    /// A clause of which one sees whether it is true.
    fn seen(&mut self, clause: usize, truth: bool) -> Option<String> {
        let form = self.forms[clause];
        let claim = propose(form, truth, self.scene, self.split, self.lexicon, self.rng)?;
        Some(claim.text(self.lexicon, self.rng))
    }

    /// One clause that is seen and one that is not, in either order.
    fn either(&mut self, truth: bool) -> Option<String> {
        let (seen, unseen) = (self.seen(1, truth)?, self.unseen()?);
        Some(match self.rng.random_bool(0.5) {
            true => format!("either {seen} or {unseen}"),
            false => format!("either {unseen} or {seen}"),
        })
    }

    /// A clause that no picture tells to be true or false, of the same words as the others.
    fn unseen(&mut self) -> Option<String> {
        let at = self.rng.random_range(0..self.scene.objects.len());
        match self.rng.random_range(0..4) {
            0 => self.outside(at),
            1 => self.hidden(at),
            2 => self.another_place(at),
            _ => self.another_time(at),
        }
    }

    /// `there is a panda on a red circle outside of the picture`.
    fn outside(&mut self, at: usize) -> Option<String> {
        let phrase = some_phrase(self.scene, at, self.lexicon, self.rng);
        let phrase = altered(&phrase, self.split, self.lexicon, self.rng)?;
        let mut writer = Writer::new(self.lexicon, self.rng);
        writer.words("there is").np(&phrase.with(Determiner::A)).words("outside of the picture");
        Some(writer.text)
    }

    /// `there is a violin hidden behind the panda`.
    fn hidden(&mut self, at: usize) -> Option<String> {
        let behind = unique_phrase(self.scene, at, self.lexicon, self.rng)?;
        let sprite = *self.lexicon.sprites_of(self.split).choose(self.rng)?;
        let mut writer = Writer::new(self.lexicon, self.rng);
        writer.words("there is").np(&Phrase::sprite(sprite).with(Determiner::A));
        writer.words("hidden behind").np(&behind.with(Determiner::The));
        Some(writer.text)
    }

    /// `the panda was on a blue square earlier`.
    fn another_time(&mut self, at: usize) -> Option<String> {
        let mut subject = unique_phrase(self.scene, at, self.lexicon, self.rng)?;
        let attribute =
            *[Attribute::Plate, Attribute::Colour, Attribute::Shape].choose(self.rng)?;
        attribute.remove(&mut subject);
        (subject.found(self.scene, self.lexicon) == [at]).then_some(())?;
        let mut property = Phrase::of(Noun::Thing);
        attribute.take(&Phrase::full(&self.scene.objects[at], self.lexicon), &mut property);
        if self.rng.random_bool(0.5) {
            property = altered(&property, self.split, self.lexicon, self.rng)
                .filter(|property| property.noun == Noun::Thing)?;
        }
        let pair = Phrase { colour: property.colour, ..subject.clone() };
        pair.may_be_said(self.split, self.lexicon).then_some(())?;
        let (verb, time) = *TIMES.choose(self.rng)?;
        let mut writer = Writer::new(self.lexicon, self.rng);
        writer.np(&subject.with(Determiner::The)).words(verb);
        writer.words(&predicate(&property, false)).words(time);
        Some(writer.text)
    }

    /// `the panda will be left of the violin tomorrow`.
    fn another_place(&mut self, at: usize) -> Option<String> {
        let other = self.rng.random_range(0..self.scene.objects.len());
        let [subject, object] =
            [at, other].map(|at| unique_phrase(self.scene, at, self.lexicon, self.rng));
        let [subject, object] = [subject?, object?].map(|phrase| phrase.with(Determiner::The));
        let clear = crate::scenes::grammar::caption::is_clear(&subject, &object);
        (at != other && clear).then_some(())?;
        let relation = *Relation::ALL.choose(self.rng)?;
        let (verb, time) = *TIMES.choose(self.rng)?;
        let mut writer = Writer::new(self.lexicon, self.rng);
        writer.np(&subject).words(verb).relation(relation).np(&object);
        writer.words(time);
        Some(writer.text)
    }
}
