//! Where objects are put.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::world::{Object, SIDE};

/// The least distance between what is drawn of two objects, sideways or upwards, and to the edge.
const GAP: i32 = 2;
const EDGE: i32 = 1;
/// Places tried for one object before all are taken up again.
const TRIES: usize = 60;

/// Gives the objects places at which nothing overlaps; `false` where chance found none.
pub fn place(objects: &mut [Object], rng: &mut ChaCha8Rng) -> bool {
    // What is big has the fewest places.
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(width(&objects[at])));
    for (done, &at) in order.iter().enumerate() {
        if !place_one(objects, at, &order[..done], rng) {
            return false;
        }
    }
    true
}

/// Gives object `at` a place apart from the objects `others`.
pub fn place_one(
    objects: &mut [Object],
    at: usize,
    others: &[usize],
    rng: &mut ChaCha8Rng,
) -> bool {
    (0..TRIES).any(|_| {
        let object = &mut objects[at];
        (object.x, object.y) = (0, 0);
        let reach = object.footprint();
        object.x = rng.random_range(EDGE - reach.left..=SIDE - EDGE - reach.right);
        object.y = rng.random_range(EDGE - reach.top..=SIDE - EDGE - reach.bottom);
        let drawn = objects[at].footprint();
        others.iter().all(|&other| drawn.is_apart(&objects[other].footprint(), GAP))
    })
}

/// Whether the objects lie within the picture and apart from each other.
pub fn is_valid(objects: &[Object]) -> bool {
    objects.iter().enumerate().all(|(at, object)| {
        let drawn = object.footprint();
        let within = drawn.left >= EDGE
            && drawn.top >= EDGE
            && drawn.right <= SIDE - EDGE
            && drawn.bottom <= SIDE - EDGE;
        let apart = |other: &Object| drawn.is_apart(&other.footprint(), GAP);
        within && objects[at + 1..].iter().all(apart)
    })
}

fn width(object: &Object) -> i32 {
    let drawn = object.footprint();
    drawn.right - drawn.left
}
