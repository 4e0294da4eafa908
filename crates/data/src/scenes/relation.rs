//! Where objects are with respect to each other, said only where it is clear.

use super::world::Object;

/// What the world says of a sentence; `None` where it is not clear, and then the sentence is never
/// used. Put together by Kleene's rules.
pub type Truth = Option<bool>;

/// A position is clear from this distance of centres on, in units.
pub const CLEAR: i32 = 22;
/// Up to this distance a position is clearly not there.
pub const CLEARLY_NOT: i32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    LeftOf,
    RightOf,
    Above,
    Below,
}

impl Relation {
    pub const ALL: &[Relation] =
        &[Relation::LeftOf, Relation::RightOf, Relation::Above, Relation::Below];

    /// The relation that holds the other way round.
    pub fn opposite(self) -> Self {
        match self {
            Relation::LeftOf => Relation::RightOf,
            Relation::RightOf => Relation::LeftOf,
            Relation::Above => Relation::Below,
            Relation::Below => Relation::Above,
        }
    }

    /// Whether `a` is in this relation to `b`.
    ///
    /// True from [`CLEAR`] units on, where the distance along the axis is at least the one across
    /// it; false where `a` lies up to [`CLEARLY_NOT`] units that way, or the other way.
    pub fn truth(self, a: &Object, b: &Object) -> Truth {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let (along, across) = match self {
            Relation::LeftOf => (dx, dy),
            Relation::RightOf => (-dx, dy),
            Relation::Above => (dy, dx),
            Relation::Below => (-dy, dx),
        };
        if along <= CLEARLY_NOT {
            Some(false)
        } else if along >= CLEAR && along >= across.abs() {
            Some(true)
        } else {
            None
        }
    }
}

/// Whether `a` is bigger than `b`, both with their plates.
pub fn bigger(a: &Object, b: &Object) -> Truth {
    if a.size == b.size && a.shape != b.shape {
        // A triangle is as wide as a circle and covers less.
        return None;
    }
    Some(a.size > b.size)
}

/// True if all are, false if one is.
pub fn all(truths: impl IntoIterator<Item = Truth>) -> Truth {
    not(any(truths.into_iter().map(not)))
}

/// True if one is, false if none is.
pub fn any(truths: impl IntoIterator<Item = Truth>) -> Truth {
    let mut result = Some(false);
    for truth in truths {
        match truth {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}

pub fn not(truth: Truth) -> Truth {
    truth.map(|truth| !truth)
}
