//! Sides of a picture.

use serde::{Deserialize, Serialize};

/// Height and width in pixels; written as one number where they are equal, else as `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sides", into = "Sides")]
pub struct ImageSize {
    pub height: usize,
    pub width: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Sides {
    Square(usize),
    Both([usize; 2]),
}

impl ImageSize {
    pub fn square(side: usize) -> Self {
        Self { height: side, width: side }
    }

    /// The side of a square picture.
    pub fn side(self) -> Option<usize> {
        (self.height == self.width).then_some(self.height)
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} x {}", self.height, self.width)
    }
}

impl From<Sides> for ImageSize {
    fn from(sides: Sides) -> Self {
        match sides {
            Sides::Square(side) => Self::square(side),
            Sides::Both([height, width]) => Self { height, width },
        }
    }
}

impl From<ImageSize> for Sides {
    fn from(size: ImageSize) -> Self {
        match size.side() {
            Some(side) => Sides::Square(side),
            None => Sides::Both([size.height, size.width]),
        }
    }
}
