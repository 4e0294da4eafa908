//! Scenes: that what is said of them is so, that the splits are apart, and that pictures show what
//! the facts say.

mod agreement;
mod balance;
mod evaluator;
mod manifest;
mod pictures;
mod source;
mod splits;

use weft_data::record::Picture;
use weft_data::scenes::world::Scene;
use weft_data::scenes::{Scenes, ScenesConfig};

/// Few scenes of each split.
fn small(seed: u64) -> ScenesConfig {
    ScenesConfig { seed, train: 120, val: 60, test: 60, ..ScenesConfig::default() }
}

fn scenes(seed: u64) -> Scenes {
    Scenes::new(&small(seed)).unwrap()
}

/// The facts behind a picture.
fn scene(picture: &Picture) -> &Scene {
    match picture {
        Picture::Generated(drawn) => drawn.scene(),
        other => panic!("expected a drawn picture, found {other:?}"),
    }
}
