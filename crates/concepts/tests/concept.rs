//! What the grammar finds, against readings made by hand.

use weft_concepts::{Concept, ConceptKind, concepts};

/// A caption with its objects, attribute pairs and relation triples.
type Reading =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const CAPTIONS: &[Reading] = &[
    (
        "two pandas above a small violin on a red circle",
        &["pandas", "violin", "circle"],
        &["small violin", "red circle"],
        &["pandas above violin", "violin on circle"],
    ),
    (
        "A red circle is left of an upside-down panda.",
        &["circle", "panda"],
        &["red circle", "upside-down panda"],
        &["circle left of panda"],
    ),
    (
        "a large gnu on a blue square",
        &["gnu", "square"],
        &["large gnu", "blue square"],
        &["gnu on square"],
    ),
    (
        "there are three zebras, and a woman surfing in medium-dark skin tone",
        &["zebras", "woman", "skin tone"],
        &["medium-dark skin tone"],
        &["woman surfing in skin tone"],
    ),
    (
        // Wrong, as the grammar is: it is the man who cleans.
        "A man in a blue shirt is standing on a ladder cleaning a window.",
        &["man", "shirt", "ladder", "window"],
        &["blue shirt"],
        &["man in shirt", "man standing on ladder", "ladder cleaning window"],
    ),
    (
        "A black and white dog runs through the tall grass.",
        &["dog", "grass"],
        &["black dog", "white dog", "tall grass"],
        &["dog runs through grass"],
    ),
    (
        "the small panda to the right of the guitar stands on a green triangle",
        &["panda", "guitar", "triangle"],
        &["small panda", "green triangle"],
        &["panda to the right of guitar", "panda stands on triangle"],
    ),
    (
        "Two young, White males are outside near many bushes.",
        &["males", "bushes"],
        &["young males", "white males"],
        &["males outside near bushes"],
    ),
    (
        "a picture with a penguin, an ice cream and two trophies",
        &["picture", "penguin", "ice cream", "trophies"],
        &[],
        &["picture with penguin"],
    ),
    (
        "a kitchen filled with appliances",
        &["kitchen", "appliances"],
        &[],
        &["kitchen filled with appliances"],
    ),
    (
        "a gray scooter below a cyan hexagon holding a big red mushroom",
        &["scooter", "hexagon", "mushroom"],
        &["gray scooter", "cyan hexagon", "big mushroom", "red mushroom"],
        &["scooter below hexagon", "hexagon holding mushroom"],
    ),
    ("", &[], &[], &[]),
    ("!!!", &[], &[], &[]),
    // Ways to say where something is.
    ("the panda is higher up than the bus", &["panda", "bus"], &[], &["panda higher up than bus"]),
    (
        "a small panda lower down than two violins",
        &["panda", "violins"],
        &["small panda"],
        &["panda lower down than violins"],
    ),
    ("the boot is bigger than the key", &["boot", "key"], &[], &["boot bigger than key"]),
    ("a small boot on a rose", &["boot", "rose"], &["small boot"], &["boot on rose"]),
    (
        "a blue square next to a bus on top of a table",
        &["square", "bus", "table"],
        &["blue square"],
        &["square next to bus", "bus on top of table"],
    ),
    (
        "A woman is sitting in front of a laptop computer",
        &["woman", "laptop computer"],
        &[],
        &["woman sitting in front of laptop computer"],
    ),
    (
        "The pandas are not on blue squares",
        &["pandas", "squares"],
        &["blue squares"],
        &["pandas not on squares"],
    ),
    (
        "a woman on the left holding a cup in her right hand",
        &["woman", "cup", "hand"],
        &["right hand"],
        &["woman on the left holding cup", "cup in hand"],
    ),
    // Five words between the objects are too many.
    ("a cat sitting to the left of a window", &["cat", "window"], &[], &[]),
    ("a ring on his left hand", &["ring", "hand"], &["left hand"], &["ring on hand"]),
    // Marks, conjunctions and pronouns end a relation.
    ("a man, holding a camera", &["man", "camera"], &[], &[]),
    ("a man and a woman near a tree", &["man", "woman", "tree"], &[], &["woman near tree"]),
    (
        "a red circle with a small panda on it inside a ring",
        &["circle", "panda", "ring"],
        &["red circle", "small panda"],
        &["circle with panda"],
    ),
    ("there are more pandas than violins", &["pandas", "violins"], &[], &[]),
    ("there are as many pandas as violins", &["pandas", "violins"], &[], &[]),
    ("a dog left of a cat", &["dog", "cat"], &[], &["dog left of cat"]),
    (
        "a man riding a horse down a street",
        &["man", "horse", "street"],
        &[],
        &["man riding horse", "horse down street"],
    ),
    (
        "A dog with its tongue out is in the snow",
        &["dog", "tongue", "snow"],
        &[],
        &["dog with tongue"],
    ),
    // Nouns and adjectives that the tagger takes for something else.
    ("a blue square and red apples", &["square", "apples"], &["blue square", "red apples"], &[]),
    ("two crosses on a hill", &["crosses", "hill"], &[], &["crosses on hill"]),
    ("a house has two windows", &["house", "windows"], &[], &["house has windows"]),
    (
        "a large parked car near a big swimming pool",
        &["car", "pool"],
        &["large car", "parked car", "big pool", "swimming pool"],
        &["car near pool"],
    ),
    (
        "a helmeted rider snuggled with a cat",
        &["rider", "cat"],
        &["helmeted rider"],
        &["rider snuggled with cat"],
    ),
    (
        "exactly two large watches and an upright panda",
        &["watches", "panda"],
        &["large watches", "upright panda"],
        &[],
    ),
    (
        "a can of soda on a round table under a stop sign",
        &["can", "soda", "table", "stop sign"],
        &["round table"],
        &["can of soda", "soda on table", "table under stop sign"],
    ),
    (
        "three large upright potted plants on a mat",
        &["plants", "mat"],
        &["large plants", "upright plants", "potted plants"],
        &["plants on mat"],
    ),
    (
        "A woman sitting in the front row is watching two parked cars",
        // "front" is a noun, and a run of nouns is one head.
        &["woman", "front row", "cars"],
        &["parked cars"],
        &["woman sitting in front row", "woman watching cars"],
    ),
    ("a man riding a horse", &["man", "horse"], &[], &["man riding horse"]),
    (
        "a tall brick building in a city",
        &["brick building", "city"],
        &["tall brick building"],
        &["brick building in city"],
    ),
    (
        "a grinning face with a red and white striped hat",
        &["face", "hat"],
        &["grinning face", "red hat", "white hat", "striped hat"],
        &["face with hat"],
    ),
    (
        "the dog's bone is beside a very small cat",
        &["bone", "cat"],
        &["dog's bone", "small cat"],
        &["bone beside cat"],
    ),
    (
        "A man with a frisbee that is red sleeps under an orange",
        &["man", "frisbee", "orange"],
        &[],
        &["man with frisbee"],
    ),
    ("a dog that is chasing a ball", &["dog", "ball"], &[], &["dog chasing ball"]),
    ("the panda is small and upside-down", &["panda"], &[], &[]),
    ("it is something that she has there", &[], &[], &[]),
];

fn names(found: &[Concept], kind: ConceptKind) -> Vec<&str> {
    found
        .iter()
        .filter(|concept| concept.kind == kind)
        .map(|concept| concept.name.as_str())
        .collect()
}

#[test]
fn captions_are_read_as_by_hand() {
    let mut wrong = vec![];
    for (caption, objects, attributes, relations) in CAPTIONS {
        let found = concepts(caption);
        let expected = [
            (ConceptKind::Object, objects),
            (ConceptKind::Attribute, attributes),
            (ConceptKind::Relation, relations),
        ];
        for (kind, expected) in expected {
            let found = names(&found, kind);
            if found != **expected {
                wrong
                    .push(format!("{caption:?}: {kind:?}: found {found:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn objects_come_first_and_relations_last() {
    let kinds: Vec<ConceptKind> = concepts("a red dog on a blue square near a cat")
        .into_iter()
        .map(|concept| concept.kind)
        .collect();
    assert!(kinds.is_sorted());
    assert_eq!(kinds.len(), 3 + 2 + 2);
}

#[test]
fn spans_count_characters_before_the_phrase() {
    let found = concepts("Café «é» — 🐼: a Red panda on an ICE cream");
    let spans = |name: &str| {
        let concept = found.iter().find(|concept| concept.name == name).unwrap();
        concept.spans.iter().map(|span| (span.start, span.end)).collect::<Vec<_>>()
    };
    assert_eq!(spans("panda"), [(20, 25)]);
    assert_eq!(spans("red panda"), [(16, 19), (20, 25)]);
    assert_eq!(spans("ice cream"), [(32, 35), (36, 41)]);
    assert_eq!(spans("panda on ice cream"), [(20, 25), (26, 28), (32, 35), (36, 41)]);
}

#[test]
fn an_attribute_skips_what_stands_between() {
    let found = concepts("a black and white dog");
    let black = found.iter().find(|concept| concept.name == "black dog").unwrap();
    assert_eq!(black.spans, [2..7, 18..21]);
}

#[test]
fn spans_of_repeated_names_are_merged() {
    let found = concepts("a red dog on a dog on a red dog");
    let all: Vec<_> = found.into_iter().map(|concept| (concept.name, concept.spans)).collect();
    assert_eq!(
        all,
        [
            ("dog".to_string(), vec![6..9, 15..18, 28..31]),
            ("red dog".to_string(), vec![2..5, 6..9, 24..27, 28..31]),
            ("dog on dog".to_string(), vec![6..9, 10..12, 15..18, 19..21, 28..31]),
        ]
    );
}

#[test]
fn case_does_not_matter() {
    for (caption, ..) in CAPTIONS {
        assert_eq!(concepts(caption), concepts(&caption.to_uppercase()), "{caption}");
    }
}

#[test]
fn kinds_are_written_in_kebab_case() {
    assert_eq!(serde_json::to_string(&ConceptKind::Relation).unwrap(), "\"relation\"");
}
