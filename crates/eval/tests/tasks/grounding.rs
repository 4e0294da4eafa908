use proptest::prelude::*;
use weft_data::tasks::Region;
use weft_eval::{EvalError, HeatMap, choose, grounding, iou};

use super::assert_close;

fn region(x: f32, y: f32, width: f32, height: f32) -> Region {
    Region { x, y, width, height }
}

#[test]
fn overlaps_worked_by_hand() {
    let unit = region(0.0, 0.0, 10.0, 10.0);
    for (other, expected) in [
        (unit, 1.0),
        (region(5.0, 0.0, 10.0, 10.0), 50.0 / 150.0),
        (region(2.0, 2.0, 5.0, 5.0), 0.25),
        // Touching at an edge, and far away.
        (region(10.0, 0.0, 5.0, 5.0), 0.0),
        (region(100.0, 100.0, 5.0, 5.0), 0.0),
        // Empty and inverted.
        (region(3.0, 3.0, 0.0, 0.0), 0.0),
        (region(8.0, 8.0, -5.0, -5.0), 0.0),
    ] {
        assert_close(iou(unit, other), expected);
        assert_close(iou(other, unit), expected);
    }
    assert_eq!(iou(region(1.0, 1.0, 0.0, 0.0), region(1.0, 1.0, 0.0, 0.0)), 0.0);
}

#[test]
fn exactly_half_is_right() {
    let truth = region(0.0, 0.0, 10.0, 10.0);
    let result = grounding([
        (truth, Some(region(0.0, 0.0, 10.0, 5.0))),
        (truth, Some(region(0.0, 0.0, 10.0, 4.9))),
        (truth, Some(truth)),
        (truth, None),
    ])
    .unwrap();
    assert_close(result.accuracy, 50.0);
    assert!((result.mean_iou - 100.0 * (0.5 + 0.49 + 1.0) / 4.0).abs() < 1e-5);
    assert!(matches!(grounding([]), Err(EvalError::NoExamples)));
}

#[test]
fn ties_between_proposals_count_against() {
    let truth = region(0.0, 0.0, 10.0, 10.0);
    let near = region(0.0, 0.0, 10.0, 9.0);
    let far = region(50.0, 50.0, 10.0, 10.0);
    let chosen = |scores: &[f64], proposals: &[Region]| choose(scores, proposals, truth).unwrap();
    assert_eq!(chosen(&[1.0, 1.0], &[near, far]), Some(far));
    assert_eq!(chosen(&[1.0, 1.0], &[far, near]), Some(far));
    assert_eq!(chosen(&[1.1, 1.0], &[near, far]), Some(near));
    assert_eq!(chosen(&[-1.0, -2.0], &[near, far]), Some(near));
    assert_eq!(chosen(&[], &[]), None);
    assert!(choose(&[1.0], &[near, far], truth).is_err());
    assert!(choose(&[f64::NAN], &[near], truth).is_err());
}

#[test]
fn a_map_must_fit() {
    for (values, grid, size) in [
        (vec![1.0; 3], [2, 2], [4, 4]),
        (vec![], [0, 0], [4, 4]),
        (vec![1.0; 4], [2, 2], [0, 4]),
        (vec![1.0, f32::NAN, 1.0, 1.0], [2, 2], [4, 4]),
    ] {
        assert!(HeatMap::new(&values, grid, size).is_err());
    }
}

/// The proposal around the hot cell wins, whether or not it is the largest.
#[test]
fn the_hot_proposal_is_chosen() {
    let mut values = vec![0.0; 16];
    values[5] = 1.0;
    let map = HeatMap::new(&values, [4, 4], [400, 200]).unwrap();
    let hot = region(100.0, 50.0, 100.0, 50.0);
    let all = region(0.0, 0.0, 400.0, 200.0);
    let cold = region(300.0, 150.0, 100.0, 50.0);
    assert!(map.score(hot) > map.score(all) && map.score(all) > map.score(cold));
    assert_eq!(map.score(region(0.0, 0.0, 0.0, 10.0)), 0.0);
}

proptest! {
    /// Overlap by counting cells of a fine grid: regions of whole pixels are sets of pixels.
    #[test]
    fn iou_counts_pixels(a in (0..12u8, 0..12u8, 0..8u8, 0..8u8), b in (0..12u8, 0..12u8, 0..8u8, 0..8u8)) {
        let inside = |(x, y, w, h): (u8, u8, u8, u8), px: u8, py: u8| {
            px >= x && px < x + w && py >= y && py < y + h
        };
        let (mut both, mut either) = (0, 0);
        for px in 0..24 {
            for py in 0..24 {
                let (in_a, in_b) = (inside(a, px, py), inside(b, px, py));
                both += u32::from(in_a && in_b);
                either += u32::from(in_a || in_b);
            }
        }
        let expected = if either == 0 { 0.0 } else { f64::from(both) / f64::from(either) };
        let of = |(x, y, w, h): (u8, u8, u8, u8)| region(x.into(), y.into(), w.into(), h.into());
        assert_close(iou(of(a), of(b)), expected);
    }

    /// Against enlarging the whole map pixel by pixel and adding up the pixels of the region.
    #[test]
    fn scores_equal_those_of_the_enlarged_map(
        values in prop::collection::vec(-1.0..1.0f32, 12),
        size in (1..40u32, 1..40u32),
        corner in (-1.0..30.0f32, -1.0..30.0f32),
        extent in (0.5..20.0f32, 0.5..20.0f32),
    ) {
        let (rows, columns) = (3usize, 4usize);
        let (width, height) = (size.0 as usize, size.1 as usize);
        let at = |row: i64, column: i64| {
            let row = row.clamp(0, rows as i64 - 1) as usize;
            f64::from(values[row * columns + column.clamp(0, columns as i64 - 1) as usize])
        };
        // Keys' cubic convolution kernel with a = -0.75, straight from its definition.
        let kernel = |x: f64| {
            let (x, a) = (x.abs(), -0.75);
            if x <= 1.0 {
                (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0
            } else if x < 2.0 {
                a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a
            } else {
                0.0
            }
        };
        let enlarged = |x: usize, y: usize| {
            let column = (x as f64 + 0.5) * columns as f64 / width as f64 - 0.5;
            let row = (y as f64 + 0.5) * rows as f64 / height as f64 - 0.5;
            let mut value = 0.0;
            for r in row.floor() as i64 - 2..=row.floor() as i64 + 3 {
                for c in column.floor() as i64 - 2..=column.floor() as i64 + 3 {
                    value += kernel(row - r as f64) * kernel(column - c as f64) * at(r, c);
                }
            }
            value
        };
        let region = region(corner.0, corner.1, extent.0, extent.1);
        let from = (region.x.max(0.0) as usize, region.y.max(0.0) as usize);
        let to = ((region.x + region.width).max(0.0) as usize, (region.y + region.height).max(0.0) as usize);
        let mut sum = 0.0;
        for y in from.1..to.1.min(height) {
            for x in from.0..to.0.min(width) {
                sum += enlarged(x, y);
            }
        }
        let expected = sum / (f64::from(region.width) * f64::from(region.height)).sqrt();
        let found = HeatMap::new(&values, [rows, columns], [size.0, size.1]).unwrap().score(region);
        prop_assert!((found - expected).abs() < 1e-9, "{} {}", found, expected);
    }
}
