//! Which old pixels a new one is made of, and how much of each.

use std::ops::Range;

use super::{Interpolation, Side};

/// Bits behind the point of a weight, Pillow's 32 less 8 for the byte and 2 for sums that leave its
/// range.
pub(super) const FRACTION_BITS: u32 = 22;

/// For each new pixel of a side, neighbouring old ones and their weights in fixed point.
#[derive(Default)]
pub(super) struct Taps {
    each: Vec<Tap>,
    /// Of all new pixels, behind each other.
    weights: Vec<i32>,
}

struct Tap {
    /// The first of the old pixels.
    first: usize,
    /// Where their weights are.
    weights: Range<usize>,
}

impl Taps {
    /// How many new pixels there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// The first old pixel and the weights of it and its successors, for each new one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &[i32])> {
        self.each.iter().map(|tap| (tap.first, &self.weights[tap.weights.clone()]))
    }

    /// Counts the old pixels from the first that is needed; returns the range of those needed.
    pub fn rebase(&mut self) -> Range<usize> {
        let start = self.each.iter().map(|tap| tap.first).min().unwrap_or(0);
        let end = self.each.iter().map(|tap| tap.first + tap.weights.len()).max().unwrap_or(0);
        self.each.iter_mut().for_each(|tap| tap.first -= start);
        start..end
    }

    /// Adds a new pixel, without those at either end that weigh nothing.
    fn push(&mut self, first: usize, weights: impl Iterator<Item = i32>) {
        let begin = self.weights.len();
        let mut weights = weights.peekable();
        let mut zeros = 0;
        while weights.next_if_eq(&0).is_some() {
            zeros += 1;
        }
        self.weights.extend(weights);
        while self.weights.len() > begin && self.weights.last() == Some(&0) {
            self.weights.pop();
        }
        self.each.push(Tap { first: first + zeros, weights: begin..self.weights.len() });
    }
}

impl Side {
    pub(super) fn taps(&self, interpolation: Interpolation) -> Taps {
        let mut taps = match interpolation {
            Interpolation::Nearest => self.nearest(),
            _ => self.filtered(interpolation),
        };
        if self.mirrored {
            taps.each.reverse();
        }
        taps
    }

    fn filtered(&self, interpolation: Interpolation) -> Taps {
        let (start, length) = (self.source.start as usize, self.source.len());
        let scale = length as f64 / self.resized as f64;
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        let mut taps = Taps::default();
        let mut weights = Vec::new();
        for at in self.kept.clone() {
            let middle = (at as f64 + 0.5) * scale;
            // The casts cut, and make 0 of what is below.
            let first = (middle - support + 0.5) as usize;
            let end = ((middle + support + 0.5) as usize).min(length);
            weights.clear();
            weights.extend((first..end).map(|pixel| {
                interpolation.weight((pixel as f64 - middle + 0.5) * (1.0 / stretch))
            }));
            let total: f64 = weights.iter().sum();
            taps.push(start + first, weights.iter().map(|weight| fixed(weight / total)));
        }
        taps
    }

    fn nearest(&self) -> Taps {
        /// A longer side is more than Pillow can hold a picture of.
        const LONGEST: usize = 1 << 20;
        let scale = self.source.len() as f64 / self.resized as f64;
        let begin = self.kept.start;
        // A running sum, as Pillow has it: its rounding decides where a middle is on an edge.
        let mut middle = if begin < LONGEST {
            (0..begin).fold(0.5 * scale, |middle, _| middle + scale)
        } else {
            (begin as f64 + 0.5) * scale
        };
        let mut taps = Taps::default();
        for _ in self.kept.clone() {
            let pixel = (middle as usize).min(self.source.len() - 1);
            middle += scale;
            taps.push(self.source.start as usize + pixel, std::iter::once(fixed(1.0)));
        }
        taps
    }
}

fn fixed(weight: f64) -> i32 {
    // The cast cuts towards zero: this rounds halves away from it.
    (weight * f64::from(1 << FRACTION_BITS) + 0.5_f64.copysign(weight)) as i32
}
