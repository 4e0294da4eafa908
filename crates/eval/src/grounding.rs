//! Regions that phrases refer to: intersection over union, and the choice among proposals by a heat
//! map (RefCOCO+, as ALBEF evaluates it without ever having seen a box).

use serde::{Deserialize, Serialize};
use weft_data::tasks::Region;

use crate::EvalError;

/// From this intersection over union on, a region is right.
const ENOUGH: f64 = 0.5;

/// ALBEF's exponent of the area by which a proposal's sum is divided: between the sum, which
/// favours the largest proposal, and the mean, which favours the smallest.
const AREA_EXPONENT: f64 = 0.5;

/// Accuracy and mean overlap of chosen regions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grounding {
    /// Number of phrases.
    pub n: usize,
    /// Share of the phrases with an intersection over union of at least 0.5, in percent.
    pub accuracy: f64,
    /// Mean intersection over union, in percent.
    pub mean_iou: f64,
}

/// Area of the intersection of two regions divided by that of their union: 0 where they do not
/// meet, or both are empty.
///
/// Regions are continuous. ALBEF's code counts pixels and calls an overlap of at most one pixel in
/// width or height none, which can only make a difference to regions of about that size.
pub fn iou(a: Region, b: Region) -> f64 {
    let overlap = |start: [f32; 2], length: [f32; 2]| {
        let [start, length] = [start, length].map(|pair| pair.map(f64::from));
        let end = (start[0] + length[0]).min(start[1] + length[1]);
        (end - start[0].max(start[1])).max(0.0)
    };
    let intersection =
        overlap([a.x, b.x], [a.width, b.width]) * overlap([a.y, b.y], [a.height, b.height]);
    let union = area(a) + area(b) - intersection;
    if union > 0.0 { intersection / union } else { 0.0 }
}

fn area(region: Region) -> f64 {
    f64::from(region.width).max(0.0) * f64::from(region.height).max(0.0)
}

/// Scores chosen regions, given as pairs of truth and choice; a choice may be absent, and is then
/// wrong.
///
/// # Errors
/// No pairs.
pub fn grounding(
    pairs: impl IntoIterator<Item = (Region, Option<Region>)>,
) -> Result<Grounding, EvalError> {
    let overlap =
        |(truth, choice): (Region, Option<Region>)| choice.map_or(0.0, |choice| iou(truth, choice));
    let overlaps: Vec<f64> = pairs.into_iter().map(overlap).collect();
    if overlaps.is_empty() {
        return Err(EvalError::NoExamples);
    }
    let n = overlaps.len();
    let right = overlaps.iter().filter(|overlap| **overlap >= ENOUGH).count();
    let accuracy = 100.0 * right as f64 / n as f64;
    Ok(Grounding { n, accuracy, mean_iou: 100.0 * overlaps.iter().sum::<f64>() / n as f64 })
}

/// The proposal with the highest score, of equals the one that overlaps the truth least: ties count
/// against the model, as everywhere. Absent where there are no proposals.
///
/// # Errors
/// Another number of scores than of proposals, or a score that is NaN.
pub fn choose(
    scores: &[f64],
    proposals: &[Region],
    truth: Region,
) -> Result<Option<Region>, EvalError> {
    if scores.len() != proposals.len() || scores.iter().any(|score| score.is_nan()) {
        let expected = format!("a number as score of each of {} proposals", proposals.len());
        return Err(EvalError::FeatureCount { expected, got: scores.len() });
    }
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let tied = proposals.iter().zip(scores).filter(|(_, score)| **score == best);
    let worst = tied.min_by(|a, b| iou(*a.0, truth).total_cmp(&iou(*b.0, truth)));
    Ok(worst.map(|(region, _)| *region))
}

/// A heat map over a picture, ready to be summed over regions.
///
/// The map is thought enlarged to the picture's size with the cubic kernel of
/// `torch.nn.functional.interpolate(mode="bicubic")` (a = -0.75, edges repeated, pixel centres
/// aligned), as in ALBEF's evaluation. Sums are linear in the map, so the enlarged map is never
/// made: a sum over rows and columns of pixels is one over the map's cells, with weights.
pub struct HeatMap<'a> {
    values: &'a [f32],
    /// `rows.0[y]`: weight of each row of the map in the pixel rows before `y`.
    rows: Cumulative,
    columns: Cumulative,
}

impl<'a> HeatMap<'a> {
    /// # Shapes
    /// `values`: `[rows, columns]`, row-major. `size`: width and height of the picture in pixels.
    ///
    /// # Errors
    /// An empty map or picture, another number of values, or one that is not finite.
    pub fn new(values: &'a [f32], grid: [usize; 2], size: [u32; 2]) -> Result<Self, EvalError> {
        let [rows, columns] = grid;
        let fits = !values.is_empty() && rows.checked_mul(columns) == Some(values.len());
        if !fits || size.contains(&0) || values.iter().any(|value| !value.is_finite()) {
            let expected = format!(
                "{rows} x {columns} finite values over a picture of {} x {}",
                size[0], size[1]
            );
            return Err(EvalError::FeatureCount { expected, got: values.len() });
        }
        let rows = Cumulative::new(rows, size[1] as usize);
        Ok(HeatMap { values, rows, columns: Cumulative::new(columns, size[0] as usize) })
    }

    /// The sum of the enlarged map over the pixels of a region (its edges rounded down to whole
    /// pixels, as ALBEF's code does), divided by the square root of the region's area.
    pub fn score(&self, region: Region) -> f64 {
        let sum = self.sum(region);
        let area = area(region);
        if area > 0.0 { sum / area.powf(AREA_EXPONENT) } else { 0.0 }
    }

    fn sum(&self, region: Region) -> f64 {
        let rows = self.rows.between(region.y, region.height);
        let columns = self.columns.between(region.x, region.width);
        let lines = self.values.chunks(columns.len()).zip(&rows);
        lines
            .map(|(line, row)| {
                let cells = line.iter().zip(&columns);
                row * cells.map(|(value, column)| f64::from(*value) * column).sum::<f64>()
            })
            .sum()
    }
}

/// For each pixel edge, how much of each cell lies before it.
struct Cumulative(Vec<Vec<f64>>);

impl Cumulative {
    fn new(cells: usize, pixels: usize) -> Self {
        let mut sums = vec![vec![0.0; cells]];
        for pixel in 0..pixels {
            let mut sum = sums[pixel].clone();
            let at = (pixel as f64 + 0.5) * cells as f64 / pixels as f64 - 0.5;
            let below = at.floor();
            for (offset, weight) in (-1..=2).zip(cubic(at - below)) {
                let cell = (below as i64 + offset).clamp(0, cells as i64 - 1);
                sum[cell as usize] += weight;
            }
            sums.push(sum);
        }
        Cumulative(sums)
    }

    /// The weight of each cell in the pixels from `start` on.
    fn between(&self, start: f32, length: f32) -> Vec<f64> {
        let edge = |at: f32| (at.max(0.0) as usize).min(self.0.len() - 1);
        let (from, to) = (&self.0[edge(start)], &self.0[edge(start + length)]);
        to.iter().zip(from).map(|(to, from)| to - from).collect()
    }
}

/// Weights of the four cells around a point, `t` behind the second (Keys, 1981, with a = -0.75).
fn cubic(t: f64) -> [f64; 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}
