//! Statements: when they are true, and how they are said.

use super::phrase::{Determiner, Np, Phrase};
use super::writer::{Writer, place};
use crate::scenes::relation::{Relation, Truth, all, any, bigger, not};
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Scene, Size};

/// A statement about a scene.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Claim {
    /// There are so many of them.
    There(Np),
    /// What the subject means stands in the relation to what the object means.
    Related {
        subject: Np,
        relation: Relation,
        object: Np,
        negated: bool,
    },
    /// The subject has all the properties of the phrase, whose noun is not said.
    Is {
        subject: Np,
        property: Phrase,
        negated: bool,
    },
    /// There are more of the first.
    More(Phrase, Phrase),
    /// There are as many of both.
    AsMany(Phrase, Phrase),
    /// The first is bigger, or smaller.
    Bigger {
        subject: Np,
        object: Np,
        smaller: bool,
    },
    And(Vec<Claim>),
    Or(Vec<Claim>),
}

impl Claim {
    /// What `scene` says of it.
    pub fn truth(&self, scene: &Scene, lexicon: &Lexicon) -> Truth {
        let count = |phrase: &Phrase| phrase.found(scene, lexicon).len();
        match self {
            Claim::There(np) => np.determiner.truth(count(&np.phrase)),
            Claim::Related { subject, relation, object, negated } => {
                let truth = over(scene, lexicon, subject, |a| {
                    over(scene, lexicon, object, |b| {
                        relation.truth(&scene.objects[a], &scene.objects[b])
                    })
                });
                if *negated { not(truth) } else { truth }
            }
            Claim::Is { subject, property, negated } => over(scene, lexicon, subject, |a| {
                Some(property.matches(&scene.objects[a], lexicon) != *negated)
            }),
            Claim::More(a, b) => Some(count(a) > count(b)),
            Claim::AsMany(a, b) => Some(count(a) == count(b)),
            Claim::Bigger { subject, object, smaller } => over(scene, lexicon, subject, |a| {
                over(scene, lexicon, object, |b| {
                    let (a, b) = (&scene.objects[a], &scene.objects[b]);
                    if *smaller { bigger(b, a) } else { bigger(a, b) }
                })
            }),
            Claim::And(claims) => all(claims.iter().map(|claim| claim.truth(scene, lexicon))),
            Claim::Or(claims) => any(claims.iter().map(|claim| claim.truth(scene, lexicon))),
        }
    }

    /// The phrases in it.
    pub fn phrases(&self) -> Vec<&Phrase> {
        match self {
            Claim::There(np) => vec![&np.phrase],
            Claim::Is { subject, .. } => vec![&subject.phrase],
            Claim::More(a, b) | Claim::AsMany(a, b) => vec![a, b],
            Claim::Related { subject, object, .. } | Claim::Bigger { subject, object, .. } => {
                vec![&subject.phrase, &object.phrase]
            }
            Claim::And(claims) | Claim::Or(claims) => {
                claims.iter().flat_map(Claim::phrases).collect()
            }
        }
    }

    /// Whether sentences of `split` may make the claim: it puts no sprite that training does not
    /// know, nor one on a colour that training keeps from it, into the training split.
    pub fn may_be_said(&self, split: Split, lexicon: &Lexicon) -> bool {
        let phrases = self.phrases().iter().all(|phrase| phrase.may_be_said(split, lexicon));
        let property = match self {
            Claim::Is { subject, property, .. } => {
                Phrase { colour: property.colour, ..subject.phrase.clone() }
                    .may_be_said(split, lexicon)
            }
            Claim::And(claims) | Claim::Or(claims) => {
                claims.iter().all(|claim| claim.may_be_said(split, lexicon))
            }
            _ => true,
        };
        phrases && property
    }

    /// Writes it as a clause: `there is a panda`, `the panda is on a red circle`.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Claim::There(np) => {
                writer.words(if np.determiner.is_plural() { "there are" } else { "there is" });
                writer.np(np);
            }
            Claim::Related { subject, relation, object, negated } => {
                writer.np(subject).words(be(subject, *negated));
                writer.relation(*relation).np(object);
            }
            Claim::Is { subject, property, negated } => {
                writer.np(subject).words(be(subject, *negated));
                let text = predicate(property, subject.determiner.is_plural());
                writer.words(&text);
            }
            Claim::More(a, b) => {
                let (a, b) = (writer.bare(a, true), writer.bare(b, true));
                writer.words(&format!("there are more {a} than {b}"));
            }
            Claim::AsMany(a, b) => {
                let (a, b) = (writer.bare(a, true), writer.bare(b, true));
                writer.words(&format!("there are as many {a} as {b}"));
            }
            Claim::Bigger { subject, object, smaller } => {
                let word = if *smaller { "is smaller than" } else { "is bigger than" };
                writer.np(subject).words(word).np(object);
            }
            Claim::And(claims) => joined(claims, ", and", writer),
            Claim::Or(claims) => joined(claims, ", or", writer),
        }
    }

    /// As a sentence of its own.
    pub fn text(&self, lexicon: &Lexicon, rng: &mut rand_chacha::ChaCha8Rng) -> String {
        let mut writer = Writer::new(lexicon, rng);
        self.write(&mut writer);
        writer.text
    }
}

fn joined(claims: &[Claim], with: &str, writer: &mut Writer) {
    for (at, claim) in claims.iter().enumerate() {
        if at > 0 {
            writer.words(with);
        }
        claim.write(writer);
    }
}

fn be(subject: &Np, negated: bool) -> &'static str {
    match (subject.determiner.is_plural(), negated) {
        (false, false) => "is",
        (false, true) => "is not",
        (true, false) => "are",
        (true, true) => "are not",
    }
}

/// The properties of a phrase after a form of "to be": `large`, `upside down`, `on a red circle`.
pub fn predicate(property: &Phrase, plural: bool) -> String {
    let mut words: Vec<String> = vec![];
    match property.size {
        Some(Size::Small) => words.push("small".into()),
        Some(Size::Large) => words.push("large".into()),
        None => {}
    }
    match property.upside_down {
        Some(true) => words.push("upside down".into()),
        Some(false) => words.push("upright".into()),
        None => {}
    }
    let place = place(property, plural, false);
    if !place.is_empty() {
        words.push(place.join(" "));
    }
    words.join(" and ")
}

/// What `truth` says of the objects that `np` means: of one of them for `a`, of the only one for
/// `the`, of all for a number.
fn over(scene: &Scene, lexicon: &Lexicon, np: &Np, truth: impl Fn(usize) -> Truth) -> Truth {
    let found = np.phrase.found(scene, lexicon);
    match np.determiner {
        Determiner::A => any(found.into_iter().map(truth)),
        Determiner::No => not(any(found.into_iter().map(truth))),
        determiner => match determiner.truth(found.len()) {
            Some(true) => all(found.into_iter().map(truth)),
            _ => None,
        },
    }
}
