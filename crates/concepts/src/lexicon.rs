//! Closed lists of words whose tag does not hang on what stands around them, or which the tagger,
//! trained on news and letters, takes for something else than captions mean.

use crate::tag::Tag;

/// The tag of a word in lower case, where one of the lists has it.
pub fn tag(text: &str) -> Option<Tag> {
    Some(match text {
        "a" | "an" | "the" | "no" => Tag::Article,
        "my" | "your" | "his" | "her" | "its" | "our" | "their" => Tag::Article,
        "some" | "any" | "all" | "both" | "each" | "every" | "another" | "other" | "one" => {
            Tag::Quantity
        }
        "many" | "several" | "few" | "more" | "most" | "various" | "multiple" | "numerous" => {
            Tag::Quantity
        }
        "this" | "these" | "those" => Tag::Quantity,
        "who" | "which" | "that" => Tag::Relative,
        "there" => Tag::Other,
        _ if is_be(text) => Tag::Auxiliary,
        // Colours and patterns.
        "cyan" | "magenta" | "teal" | "maroon" | "turquoise" | "lavender" | "indigo"
        | "brunette" | "plaid" | "striped" => Tag::Adjective,
        "upside-down" | "upright" => Tag::Adjective,
        // Somebody's typing error for "that" made it a determiner.
        "mat" => Tag::Noun,
        _ => return None,
    })
}

pub fn is_be(text: &str) -> bool {
    matches!(text, "is" | "are" | "was" | "were" | "be" | "been" | "being" | "am")
}

pub fn is_have(text: &str) -> bool {
    matches!(text, "has" | "have" | "had" | "having")
}

/// Adverbs that captions use as prepositions: `a scooter below a hexagon`.
pub fn is_place(text: &str) -> bool {
    matches!(
        text,
        "above"
            | "below"
            | "beneath"
            | "underneath"
            | "behind"
            | "beside"
            | "near"
            | "inside"
            | "outside"
            | "over"
            | "under"
            | "up"
            | "down"
            | "along"
            | "across"
            | "around"
            | "through"
            | "past"
            | "off"
    )
}

/// Sides, which in `to the left of` are part of the relation and no objects.
pub fn is_side(text: &str) -> bool {
    matches!(text, "left" | "right" | "top" | "front" | "side")
}

/// Nouns in -ing that follow another noun without being what it does: `a brick building`.
pub fn is_thing_in_ing(text: &str) -> bool {
    matches!(
        text,
        "awning"
            | "bedding"
            | "building"
            | "ceiling"
            | "clothing"
            | "dining"
            | "dressing"
            | "dwelling"
            | "earring"
            | "evening"
            | "flooring"
            | "frosting"
            | "housing"
            | "icing"
            | "king"
            | "landing"
            | "lighting"
            | "lightning"
            | "morning"
            | "painting"
            | "parking"
            | "pudding"
            | "railing"
            | "ring"
            | "roofing"
            | "sling"
            | "spring"
            | "string"
            | "swing"
            | "thing"
            | "wedding"
            | "wing"
    )
}
