//! Minimal pairs: two captions that differ in one respect, a picture of which only the first is true, and one of
//! which only the second is. One of the pictures is the other with a change; lot decides which stands first.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Attempt, collect};
use crate::error::DataError;
use crate::scenes::grammar::caption::is_clear;
use crate::scenes::grammar::claim::Claim;
use crate::scenes::grammar::describe::{Attribute, altered, some_phrase, unique_phrase};
use crate::scenes::grammar::phrase::{Determiner, Noun, Phrase};
use crate::scenes::grammar::writer::Writer;
use crate::scenes::layout;
use crate::scenes::relation::Relation;
use crate::scenes::split::{Lexicon, Split};
use crate::scenes::world::{Around, Object, Scene};
use crate::scenes::{Scenes, ScenesConfig};
use crate::tasks::{Contrast, TaskData};

/// What differs.
pub const KINDS: [&str; 7] = [
    "swap-attributes",
    "swap-objects",
    "flip-relation",
    "count",
    "negate",
    "replace-attribute",
    "replace-object",
];

/// `per_scene` contrasts for each scene of the configuration, the kinds in turn. All have a second
/// picture.
pub fn contrasts(config: &ScenesConfig, per_scene: usize) -> Result<TaskData<Contrast>, DataError> {
    let scenes = Scenes::new(config)?;
    collect(&scenes, "contrasts", per_scene, contrast)
}

/// Two claims, and the scene changed so that the second is true.
struct Edit {
    claims: [Claim; 2],
    objects: Vec<Object>,
}

fn contrast(mut attempt: Attempt) -> Option<Contrast> {
    let (scenes, split) = (attempt.scenes, attempt.split);
    let lexicon = &*scenes.lexicon;
    let kind = KINDS[(attempt.example % KINDS.len() as u64) as usize];
    let scene = scenes.scene(split, attempt.scene);
    let key = attempt.key("contrast");
    let rng = &mut attempt.rng;
    let edit = match kind {
        "swap-attributes" => swap_attributes(&scene, lexicon, rng),
        "swap-objects" => swap_places(&scene, lexicon, rng, false),
        "flip-relation" => swap_places(&scene, lexicon, rng, true),
        "count" => change_count(&scene, lexicon, rng),
        "negate" => negate(&scene, split, lexicon, rng),
        "replace-attribute" => replace(&scene, split, lexicon, rng, false),
        _ => replace(&scene, split, lexicon, rng, true),
    }?;
    let other = Scene { background: scene.background.clone(), objects: edit.objects };
    let [first, second] = &edit.claims;
    let truths = |claim: &Claim| [claim.truth(&scene, lexicon), claim.truth(&other, lexicon)];
    let good = truths(first) == [Some(true), Some(false)]
        && truths(second) == [Some(false), Some(true)]
        && second.may_be_said(split, lexicon)
        && layout::is_valid(&other.objects)
        && other.objects.len() >= split.objects()[0]
        && lexicon.admits(split, &other);
    good.then_some(())?;
    // The same words for what is the same in both.
    let style = [rng.random_bool(0.5), rng.random_bool(0.5)];
    let mut captions = edit.claims.map(|claim| caption(&claim, lexicon, style, rng));
    let (mut picture, mut other) = (scenes.picture(scene), scenes.picture(other));
    // By lot, or the first caption could be guessed without a picture: where scenes have few objects, an edit can
    // add one more often than it can take one away, and the greater number would be the wrong one.
    if rng.random_bool(0.5) {
        captions.reverse();
        std::mem::swap(&mut picture, &mut other);
    }
    Some(Contrast { key, kind: kind.into(), captions, picture, other: Some(other) })
}

/// The claim as a caption: what there is, one after the other, without "there is".
fn caption(claim: &Claim, lexicon: &Lexicon, style: [bool; 2], rng: &mut ChaCha8Rng) -> String {
    let mut writer = Writer { varied: false, style: Some(style), ..Writer::new(lexicon, rng) };
    match claim {
        Claim::And(claims) => {
            for (at, claim) in claims.iter().enumerate() {
                if at > 0 {
                    writer.words("and");
                }
                if let Claim::There(np) = claim {
                    writer.np(np);
                }
            }
        }
        claim => claim.write(&mut writer),
    }
    writer.text
}

/// Two different objects of the scene.
fn two(scene: &Scene, rng: &mut ChaCha8Rng) -> Option<[usize; 2]> {
    let count = scene.objects.len();
    let (a, b) = (rng.random_range(0..count), rng.random_range(0..count));
    (a != b).then_some([a, b])
}

/// `a small panda and a large violin`, `a large panda and a small violin`.
fn swap_attributes(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Edit> {
    let [a, b] = two(scene, rng)?;
    let attribute = *[Attribute::Size, Attribute::Plate, Attribute::Colour].choose(rng)?;
    let full = [a, b].map(|at| Phrase::full(&scene.objects[at], lexicon));
    let phrase = |object: usize, values: &Phrase| {
        let mut phrase = Phrase::sprite(scene.objects[object].sprite);
        attribute.take(values, &mut phrase);
        Claim::There(phrase.with(Determiner::A))
    };
    let mut objects = scene.objects.clone();
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    match attribute {
        Attribute::Size => (objects[a].size, objects[b].size) = (second.size, first.size),
        _ => (objects[a].colour, objects[b].colour) = (second.colour, first.colour),
    }
    if attribute == Attribute::Plate {
        (objects[a].shape, objects[b].shape) = (second.shape, first.shape);
    }
    let claims = [
        Claim::And(vec![phrase(a, &full[0]), phrase(b, &full[1])]),
        Claim::And(vec![phrase(a, &full[1]), phrase(b, &full[0])]),
    ];
    Some(Edit { claims, objects })
}

/// `the panda is left of the violin`, and either the nouns or the relation the other way round; in
/// the picture the two change places.
fn swap_places(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng, flip: bool) -> Option<Edit> {
    let [a, b] = two(scene, rng)?;
    let relation = *Relation::ALL.choose(rng)?;
    let [subject, object] = [a, b].map(|at| unique_phrase(scene, at, lexicon, rng));
    let [subject, object] = [subject?, object?].map(|phrase| phrase.with(Determiner::The));
    (is_clear(&subject, &object) && is_clear(&object, &subject)).then_some(())?;
    let claim = |subject: &_, relation, object: &_| {
        let (subject, object) = (Clone::clone(subject), Clone::clone(object));
        Claim::Related { subject, relation, object, negated: false }
    };
    let first = claim(&subject, relation, &object);
    let second = match flip {
        true => claim(&subject, relation.opposite(), &object),
        false => claim(&object, relation, &subject),
    };
    let mut objects = scene.objects.clone();
    (objects[a].x, objects[a].y) = (scene.objects[b].x, scene.objects[b].y);
    (objects[b].x, objects[b].y) = (scene.objects[a].x, scene.objects[a].y);
    Some(Edit { claims: [first, second], objects })
}

/// `exactly two pandas`, `exactly three pandas`.
fn change_count(scene: &Scene, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Edit> {
    let at = rng.random_range(0..scene.objects.len());
    let phrase = Phrase::sprite(scene.objects[at].sprite);
    let count = phrase.found(scene, lexicon).len();
    let mut objects = scene.objects.clone();
    let changed = if rng.random_bool(0.5) {
        objects.push(Object { around: None, ..scene.objects[at].clone() });
        let others: Vec<usize> = (0..scene.objects.len()).collect();
        let added = objects.len() - 1;
        layout::place_one(&mut objects, added, &others, rng).then_some(count + 1)?
    } else {
        objects.remove(at);
        (count > 1).then_some(count - 1)?
    };
    let claim = |count| Claim::There(phrase.clone().with(Determiner::Exactly(count)));
    Some(Edit { claims: [claim(count), claim(changed)], objects })
}

/// `there is a panda on a red circle`, `there is no panda on a red circle`, in either order.
fn negate(scene: &Scene, split: Split, lexicon: &Lexicon, rng: &mut ChaCha8Rng) -> Option<Edit> {
    let at = rng.random_range(0..scene.objects.len());
    let there = some_phrase(scene, at, lexicon, rng);
    let other = altered(&there, split, lexicon, rng)?;
    let mut objects = scene.objects.clone();
    objects[at] = changed(&objects[at], &other)?;
    let claim = |phrase: &Phrase, determiner| Claim::There(phrase.clone().with(determiner));
    let claims = if rng.random_bool(0.5) {
        [claim(&there, Determiner::A), claim(&there, Determiner::No)]
    } else {
        [claim(&other, Determiner::No), claim(&other, Determiner::A)]
    };
    Some(Edit { claims, objects })
}

/// `there is a panda on a red circle`, `there is a panda on a blue circle`.
fn replace(
    scene: &Scene,
    split: Split,
    lexicon: &Lexicon,
    rng: &mut ChaCha8Rng,
    noun: bool,
) -> Option<Edit> {
    let at = rng.random_range(0..scene.objects.len());
    let there = some_phrase(scene, at, lexicon, rng);
    let other = altered(&there, split, lexicon, rng)?;
    ((other.noun != there.noun) == noun).then_some(())?;
    let mut objects = scene.objects.clone();
    objects[at] = changed(&objects[at], &other)?;
    let claim = |phrase: Phrase| Claim::There(phrase.with(Determiner::A));
    Some(Edit { claims: [claim(there), claim(other)], objects })
}

/// The object with what `phrase` says of it.
fn changed(object: &Object, phrase: &Phrase) -> Option<Object> {
    let mut object = object.clone();
    if let Noun::Sprite(sprite) = phrase.noun {
        object.sprite = sprite;
    }
    object.size = phrase.size.unwrap_or(object.size);
    object.upside_down = phrase.upside_down.unwrap_or(object.upside_down);
    object.colour = phrase.colour.unwrap_or(object.colour);
    object.shape = phrase.shape.unwrap_or(object.shape);
    if let (Some((outline, colour)), Some(around)) = (phrase.inside, object.around) {
        object.around = Some(Around { outline, colour: colour.unwrap_or(around.colour) });
    }
    let room = object.around.is_none() || object.size == crate::scenes::world::Size::Small;
    room.then_some(object)
}
