//! The sentences that ask a model for the name of what is in a picture.

use weft_data::dataset::SourceConfig;
use weft_data::scenes;
use weft_eval::TEMPLATES;

/// Templates for scenes, whose captions are of this kind.
const SCENE_TEMPLATES: [&str; 3] = ["a {}", "a picture of a {}", "there is a {}"];

/// The templates for pictures of `config`, `{}` being the name's place: for scenes those of their own captions' form, for all
/// others those of photographs ([`TEMPLATES`]).
pub fn templates(config: &SourceConfig) -> &'static [&'static str] {
    if config.source == scenes::NAME { &SCENE_TEMPLATES } else { &TEMPLATES }
}
