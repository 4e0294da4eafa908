//! Whether a rectangle lies in its picture.

use super::Region;
use super::source::{Checked, Fault};
use crate::error::Cause;
use crate::record;

const OVERHANG: f32 = record::OVERHANG as f32;

impl Region {
    /// The region itself; a fault where it is not finite, inverted, empty or outside a picture of
    /// `size` (width, height) by more than a pixel.
    pub(crate) fn within(self, size: [u32; 2]) -> Checked<Self> {
        let Region { x, y, width, height } = self;
        let [across, down] = size.map(|length| length as f32);
        let problem = if [x, y, width, height].iter().any(|number| !number.is_finite()) {
            "expected finite numbers"
        } else if width <= 0.0 || height <= 0.0 {
            "inverted or empty; expected a width and a height above 0"
        } else if x < -OVERHANG
            || y < -OVERHANG
            || x + width > across + OVERHANG
            || y + height > down + OVERHANG
        {
            "reaches out of the picture"
        } else {
            return Ok(self);
        };
        let detail = format!(
            "{width} x {height} at {x}, {y} in a picture of {} x {}: {problem}",
            size[0], size[1]
        );
        Err(Fault::new(Cause::BadRegion, detail))
    }
}
