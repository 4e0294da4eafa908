//! Reads the sentences and asks the facts, without the code that wrote them: only the fields of the
//! scene and the names of the sprites are shared. The grammar is that of `docs/guide/scenes.md`.

mod reader;
mod verdict;

use weft_data::scenes::split::Lexicon;
use weft_data::scenes::world::{Outline, Scene};

use Verdict::{False, Open, True, Vague};
use reader::{Phrase, Reader, Result};
pub use verdict::Verdict;
use verdict::{every, opposite, some, verdict};

/// An object as plain words.
#[derive(Debug, Clone)]
struct Thing {
    names: [String; 2],
    animal: bool,
    large: bool,
    upside_down: bool,
    colour: String,
    shape: String,
    outline: Option<[String; 2]>,
    x: i32,
    y: i32,
}

impl Phrase {
    fn fits(&self, thing: &Thing) -> bool {
        let noun = match self.noun.as_str() {
            "thing" => true,
            "animal" => thing.animal,
            name => thing.names[0] == name,
        };
        let outline = match (&self.outline, &thing.outline) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((kind, colour)), Some([its_kind, its_colour])) => {
                kind == its_kind && colour.as_ref().is_none_or(|colour| colour == its_colour)
            }
        };
        noun && outline
            && self.large.is_none_or(|large| large == thing.large)
            && self.upside_down.is_none_or(|turned| turned == thing.upside_down)
            && self.colour.as_ref().is_none_or(|colour| *colour == thing.colour)
            && self.shape.as_ref().is_none_or(|shape| *shape == thing.shape)
    }
}

/// The facts of one scene, and the words one may use.
pub struct World {
    things: Vec<Thing>,
    /// Singular and plural of all nouns.
    nouns: Vec<[String; 2]>,
}

impl World {
    pub fn new(scene: &Scene, lexicon: &Lexicon) -> Self {
        let thing = |object: &weft_data::scenes::world::Object| {
            let sprite = &lexicon.sprites[object.sprite];
            Thing {
                names: [sprite.name.clone(), sprite.plural.clone()],
                animal: sprite.is_animal,
                large: format!("{:?}", object.size) == "Large",
                upside_down: object.upside_down,
                colour: format!("{:?}", object.colour).to_lowercase(),
                shape: format!("{:?}", object.shape).to_lowercase(),
                outline: object.around.map(|around| {
                    let kind = if around.outline == Outline::Ring { "ring" } else { "frame" };
                    [kind.into(), format!("{:?}", around.colour).to_lowercase()]
                }),
                x: object.x,
                y: object.y,
            }
        };
        let mut nouns: Vec<[String; 2]> = lexicon
            .sprites
            .iter()
            .map(|sprite| [sprite.name.clone(), sprite.plural.clone()])
            .collect();
        nouns.push(["animal".into(), "animals".into()]);
        nouns.push(["thing".into(), "things".into()]);
        World { things: scene.objects.iter().map(thing).collect(), nouns }
    }

    fn found(&self, phrase: &Phrase) -> Vec<usize> {
        (0..self.things.len()).filter(|&at| phrase.fits(&self.things[at])).collect()
    }

    /// Whether it is right to say that there is what the phrase means.
    fn there(&self, phrase: &Phrase) -> Verdict {
        let count = self.found(phrase).len();
        match phrase.determiner {
            "a" => verdict(count > 0),
            "no" => verdict(count == 0),
            "exactly" => verdict(count == phrase.count),
            "count" if count > phrase.count => Vague,
            "count" => verdict(count == phrase.count),
            "the" if count == 1 => True,
            _ => Vague,
        }
    }

    /// A statement about what the phrase means.
    fn of(&self, phrase: &Phrase, says: impl Fn(&Thing) -> Verdict) -> Verdict {
        let verdicts = self.found(phrase).into_iter().map(|at| says(&self.things[at]));
        match phrase.determiner {
            "a" => some(verdicts),
            _ if self.there(phrase) != True => Vague,
            _ => every(verdicts),
        }
    }

    fn direction(a: &Thing, b: &Thing, [across, down]: [i32; 2]) -> Verdict {
        let (dx, dy) = (a.x - b.x, a.y - b.y);
        let (along, aside) = if across != 0 { (dx * across, dy) } else { (dy * down, dx) };
        match along {
            ..=5 => False,
            22.. if aside.abs() <= along => True,
            _ => Vague,
        }
    }

    fn related(&self, subject: &Phrase, direction: [i32; 2], object: &Phrase) -> Verdict {
        self.of(subject, |a| self.of(object, |b| Self::direction(a, b, direction)))
    }

    fn larger(a: &Thing, b: &Thing) -> Verdict {
        if a.large == b.large && a.shape != b.shape { Vague } else { verdict(a.large && !b.large) }
    }

    /// What the facts say of a caption, a claim or a hypothesis.
    pub fn judge(&self, text: &str) -> Result<Verdict> {
        if let Some((first, rest)) = text.split_once(", and either ") {
            return Ok(every([self.judge(first)?, self.judge(&format!("either {rest}"))?]));
        }
        if let Some(rest) = text.strip_prefix("either ") {
            let (first, second) = rest.split_once(" or ").ok_or("expected \"or\"")?;
            return Ok(some([self.judge(first)?, self.judge(second)?]));
        }
        let clauses: Result<Vec<Verdict>> =
            text.split(", and ").map(|clause| self.clause(clause)).collect();
        Ok(every(clauses?))
    }

    fn clause(&self, text: &str) -> Result<Verdict> {
        let mut reader = Reader::new(text, &self.nouns);
        let verdict = if reader.take("there is") || reader.take("there are") {
            self.existence(&mut reader)?
        } else {
            reader.take("a picture of");
            let subject = reader.phrase()?;
            self.rest(&mut reader, &subject)?
        };
        reader.end().map(|()| verdict)
    }

    fn existence(&self, reader: &mut Reader) -> Result<Verdict> {
        if let Some(verdict) = self.comparison(reader)? {
            return Ok(verdict);
        }
        let subject = reader.phrase()?;
        if reader.take("outside of the picture") {
            return Ok(Open);
        }
        if reader.take("hidden behind") {
            let behind = reader.phrase()?;
            return Ok(if self.there(&behind) == True { Open } else { Vague });
        }
        self.rest(reader, &subject)
    }

    fn comparison(&self, reader: &mut Reader) -> Result<Option<Verdict>> {
        let more = reader.take("more");
        if !more && !reader.take("as many") {
            return Ok(None);
        }
        let first = self.found(&reader.phrase()?).len();
        reader.expect(if more { "than" } else { "as" })?;
        let second = self.found(&reader.phrase()?).len();
        Ok(Some(verdict(if more { first > second } else { first == second })))
    }

    /// What is said after the first phrase.
    fn rest(&self, reader: &mut Reader, subject: &Phrase) -> Result<Verdict> {
        if let Some(direction) = reader.relation() {
            return Ok(self.related(subject, direction, &reader.phrase()?));
        }
        if reader.take("was") || reader.take("will be") {
            if self.there(subject) != True {
                return Ok(Vague);
            }
            if reader.relation().is_some() {
                reader.phrase()?;
            } else {
                reader.predicate()?;
            }
            let times = ["earlier", "yesterday", "later", "tomorrow"];
            return reader.one_of(&times).map(|_| Open).ok_or("expected a time".into());
        }
        if reader.take("is") || reader.take("are") {
            let negated = reader.take("not");
            let verdict = self.property(reader, subject)?;
            return Ok(if negated { opposite(verdict) } else { verdict });
        }
        let mut verdicts = vec![self.there(subject)];
        while reader.take(",") || reader.take("and") {
            verdicts.push(self.there(&reader.phrase()?));
        }
        Ok(every(verdicts))
    }

    fn property(&self, reader: &mut Reader, subject: &Phrase) -> Result<Verdict> {
        if let Some(direction) = reader.relation() {
            return Ok(self.related(subject, direction, &reader.phrase()?));
        }
        if reader.take("bigger than") {
            let object = reader.phrase()?;
            return Ok(self.of(subject, |a| self.of(&object, |b| Self::larger(a, b))));
        }
        if reader.take("smaller than") {
            let object = reader.phrase()?;
            return Ok(self.of(subject, |a| self.of(&object, |b| Self::larger(b, a))));
        }
        let property = reader.predicate()?;
        Ok(self.of(subject, |thing| verdict(property.fits(thing))))
    }

    /// The answer to a question.
    pub fn answer(&self, text: &str) -> Result<String> {
        let mut reader = Reader::new(text, &self.nouns);
        let answer = self.answered(&mut reader)?;
        reader.expect("?")?;
        reader.end().map(|()| answer)
    }

    fn answered(&self, reader: &mut Reader) -> Result<String> {
        if reader.take("how many") {
            let phrase = reader.phrase()?;
            reader.expect("are there")?;
            return Ok(self.found(&phrase).len().to_string());
        }
        for asks in ["what colour is the shape under", "what is the colour of the shape under"] {
            if reader.take(asks) {
                return Ok(self.only(&reader.phrase()?)?.colour.clone());
            }
        }
        for asks in ["what shape is under", "which shape is under"] {
            if reader.take(asks) {
                return Ok(self.only(&reader.phrase()?)?.shape.clone());
            }
        }
        if reader.take("what is") {
            let Some(direction) = reader.relation() else { return reader.fail("a relation") };
            return self.what_is(direction, &reader.phrase()?);
        }
        if reader.take("are there") {
            let verdict = self.comparison(reader)?.ok_or("expected a comparison")?;
            return yes_or_no(verdict);
        }
        if reader.take("is there") || reader.take("do you see") {
            return yes_or_no(self.is_there(reader)?);
        }
        reader.expect("is")?;
        let subject = reader.phrase()?;
        if reader.take("small or large") || reader.take("large or small") {
            return Ok(if self.only(&subject)?.large { "large" } else { "small" }.into());
        }
        yes_or_no(self.property(reader, &subject)?)
    }

    fn is_there(&self, reader: &mut Reader) -> Result<Verdict> {
        let first = reader.phrase()?;
        if reader.take("and") {
            return Ok(every([self.there(&first), self.there(&reader.phrase()?)]));
        }
        if reader.take("or") {
            return Ok(some([self.there(&first), self.there(&reader.phrase()?)]));
        }
        if reader.take("that is not") {
            let property = reader.predicate()?;
            return Ok(self.of(&first, |thing| verdict(!property.fits(thing))));
        }
        Ok(self.there(&first))
    }

    fn only(&self, phrase: &Phrase) -> Result<&Thing> {
        match self.found(phrase)[..] {
            [only] if phrase.determiner == "the" => Ok(&self.things[only]),
            _ => Err(format!("{phrase:?} means {} objects", self.found(phrase).len())),
        }
    }

    fn what_is(&self, direction: [i32; 2], phrase: &Phrase) -> Result<String> {
        let from = self.only(phrase)?;
        let mut there = vec![];
        for thing in self.things.iter().filter(|thing| [thing.x, thing.y] != [from.x, from.y]) {
            match Self::direction(thing, from, direction) {
                True => there.push(thing.names[0].clone()),
                False => {}
                other => return Err(format!("{other:?}: {thing:?}")),
            }
        }
        match &there[..] {
            [only] => Ok(only.clone()),
            _ => Err(format!("{there:?} are there")),
        }
    }

    /// The object that an expression means.
    pub fn meant(&self, text: &str) -> Result<usize> {
        let mut reader = Reader::new(text, &self.nouns);
        let phrase = reader.phrase()?;
        let mut found = self.found(&phrase);
        if let Some(direction) = reader.relation() {
            let other = reader.phrase()?;
            self.only(&other)?;
            let mut there = vec![];
            for at in found {
                match self.of(&other, |b| Self::direction(&self.things[at], b, direction)) {
                    True => there.push(at),
                    False => {}
                    other => return Err(format!("{other:?}")),
                }
            }
            found = there;
        }
        reader.end()?;
        match found[..] {
            [only] => Ok(only),
            _ => Err(format!("means {found:?}")),
        }
    }

    /// The objects that the phrase `text`, a part of a caption, means.
    pub fn phrase_objects(&self, text: &str) -> Result<Vec<usize>> {
        let mut reader = Reader::new(text, &self.nouns);
        let phrase = reader.phrase()?;
        reader.end().map(|()| self.found(&phrase))
    }
}

fn yes_or_no(verdict: Verdict) -> Result<String> {
    match verdict {
        True => Ok("yes".into()),
        False => Ok("no".into()),
        other => Err(format!("{other:?}")),
    }
}

/// What two pictures say of a statement about both.
pub fn judge_pair([left, right]: &[World; 2], text: &str) -> Result<Verdict> {
    let mut reader = Reader::new(text, &left.nouns);
    let shows = |phrase: &Phrase| [left.there(phrase), right.there(phrase)];
    let counts = |phrase: &Phrase| [left.found(phrase).len(), right.found(phrase).len()];
    let result = if reader.take("both pictures show") || reader.take("each picture shows") {
        every(shows(&reader.phrase()?))
    } else if reader.take("neither picture shows") || reader.take("no picture shows") {
        opposite(some(shows(&reader.phrase()?)))
    } else if reader.take("only one of the pictures shows")
        || reader.take("exactly one picture shows")
    {
        let [left, right] = shows(&reader.phrase()?);
        verdict((left == True) != (right == True))
    } else if reader.take("one picture shows") {
        let [a_left, a_right] = shows(&reader.phrase()?);
        reader.expect(",")?;
        reader.expect("and the other shows")?;
        let [b_left, b_right] = shows(&reader.phrase()?);
        let one = a_left == True && b_right == True;
        let other = a_right == True && b_left == True;
        if one && other { Vague } else { verdict(one || other) }
    } else if reader.take("there is exactly") || reader.take("there are exactly") {
        reader.at -= 1;
        let phrase = reader.phrase()?;
        reader.expect("in the two pictures together")?;
        verdict(counts(&phrase).iter().sum::<usize>() == phrase.count)
    } else {
        reader.expect("the")?;
        let left_first = reader.take("left");
        if !left_first {
            reader.expect("right")?;
        }
        reader.expect("picture has more")?;
        let [left, right] = counts(&reader.phrase()?);
        reader.expect(if left_first {
            "than the right picture"
        } else {
            "than the left picture"
        })?;
        verdict(if left_first { left > right } else { right > left })
    };
    reader.end().map(|()| result)
}
