//! k-means: a given number of centres that points are near to.

use std::cmp::Ordering;

use multiversion::multiversion;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::DataError;

/// Rounds after which it is given up that the assignment settles.
const ROUNDS: usize = 25;

/// Numbers that are added up side by side.
const LANES: usize = 16;
/// Additions after which a distance is held against the limit.
const CHECKED: usize = 4;

/// Centres, and how well they fit.
pub(super) struct Fit {
    /// `[codes, width]`
    pub centres: Vec<f32>,
    /// Sum of the squared distances of all points from the centre that each was given to, of each
    /// round.
    pub inertia: Vec<f64>,
}

/// The centre that a point was given to, and the squared distance from it.
type Given = (usize, f32);

/// `codes` centres of `points`, `[points, width]`: k-means++ (Arthur and Vassilvitskii 2007) chooses
/// the first ones, Lloyd's rounds move each to the mean of its points until no point changes.
pub(super) fn k_means(
    points: &[f32],
    width: usize,
    codes: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Fit, DataError> {
    check(points, width, codes)?;
    let centres = first_centres(points, width, codes, rng);
    Ok(lloyd(points, width, centres))
}

/// The nearest of `centres`, `[codes, width]`, of several the one of the lowest number, with its
/// squared distance. Which centre is tried first, `start`, is a matter of time alone.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn nearest(point: &[f32], centres: &[f32], start: usize) -> (usize, f32) {
    let width = point.len();
    let first = &centres[start * width..][..width];
    let mut best = (start, squared_distance(point, first, f32::INFINITY));
    for (code, centre) in centres.chunks_exact(width).enumerate() {
        if code == start {
            continue;
        }
        let distance = squared_distance(point, centre, best.1);
        if distance < best.1 || (distance == best.1 && code < best.0) {
            best = (code, distance);
        }
    }
    best
}

/// The squared distance, or where it is more than `limit`, some number that is more. Sums of squares
/// only grow, rounded too, so that a part of one that is above the limit says that all of it is.
#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32], limit: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let add = |lanes: &mut [f32; LANES], a: &[f32], b: &[f32]| {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            let difference = a - b;
            *lane += difference * difference;
        }
    };
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        add(&mut lanes, a, b);
        if at % CHECKED == CHECKED - 1 {
            let so_far = lanes.iter().sum();
            if so_far > limit {
                return so_far;
            }
        }
    }
    add(&mut lanes, rest_of_a, rest_of_b);
    lanes.iter().sum()
}

fn check(points: &[f32], width: usize, codes: usize) -> Result<(), DataError> {
    if codes == 0 {
        return Err(DataError::Config("a codebook of 0 codes: expected at least 1".into()));
    }
    if let Some(at) = points.iter().position(|value| !value.is_finite()) {
        let detail = format!("pixel {} of it is {}", at % width, points[at]);
        return Err(DataError::Config(format!("patch {} of a codebook: {detail}", at / width)));
    }
    let distinct = distinct(points, width);
    if distinct < codes {
        let sampled = points.len() / width;
        return Err(DataError::Config(format!(
            "{codes} codes of {sampled} patches, of which {distinct} differ: expected at least as \
             many that differ as codes (objectives.mim.codes)"
        )));
    }
    Ok(())
}

/// How many of the points, all of them finite, differ.
fn distinct(points: &[f32], width: usize) -> usize {
    let mut points: Vec<&[f32]> = points.chunks_exact(width).collect();
    points.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    points.dedup();
    points.len()
}

/// Points drawn one after another, each with a probability in proportion to its squared distance from
/// those that were drawn before; at least `codes` points must differ.
fn first_centres(points: &[f32], width: usize, codes: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let count = points.len() / width;
    let mut centres = Vec::with_capacity(codes * width);
    let mut distances = vec![f32::INFINITY; count];
    let mut drawn = rng.random_range(0..count);
    loop {
        let centre = &points[drawn * width..][..width];
        centres.extend_from_slice(centre);
        if centres.len() == codes * width {
            return centres;
        }
        distances.par_iter_mut().zip(points.par_chunks_exact(width)).for_each(|(least, point)| {
            *least = least.min(nearest(point, centre, 0).1);
        });
        drawn = draw(&distances, rng);
    }
}

/// An index with a probability in proportion to its weight; never one without.
fn draw(weights: &[f32], rng: &mut ChaCha8Rng) -> usize {
    // One after another: a sum by threads would depend on who adds first.
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = 0;
    for (index, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = index;
        left -= f64::from(*weight);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Lloyd's rounds from `centres` on; as many points must differ as there are centres.
fn lloyd(points: &[f32], width: usize, mut centres: Vec<f32>) -> Fit {
    let mut given = give(points, width, &centres, None);
    let mut inertia = vec![sum(&given)];
    while inertia.len() < ROUNDS {
        centres = means(points, width, &given, centres.len() / width);
        let next = give(points, width, &centres, Some(&given));
        inertia.push(sum(&next));
        let settled = next.iter().zip(&given).all(|(next, given)| next.0 == given.0);
        given = next;
        if settled {
            break;
        }
    }
    Fit { centres, inertia }
}

/// Gives each point to its nearest centre; `before` is where to look first.
fn give(points: &[f32], width: usize, centres: &[f32], before: Option<&[Given]>) -> Vec<Given> {
    let points = points.par_chunks_exact(width).enumerate();
    let start = |at: usize| before.map_or(0, |given| given[at].0);
    points.map(|(at, point)| nearest(point, centres, start(at))).collect()
}

fn sum(given: &[Given]) -> f64 {
    given.iter().map(|(_, distance)| f64::from(*distance)).sum()
}

/// The mean of the points of each centre. A centre without points is put on the point that is farthest
/// from the mean of its own, of several the first: that shortens one distance and lengthens none.
fn means(points: &[f32], width: usize, given: &[Given], codes: usize) -> Vec<f32> {
    let mut sums = vec![0f64; codes * width];
    let mut counts = vec![0usize; codes];
    for (point, (code, _)) in points.chunks_exact(width).zip(given) {
        counts[*code] += 1;
        let sums = &mut sums[code * width..][..width];
        sums.iter_mut().zip(point).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let mean = |at: usize| (sums[at] / counts[at / width].max(1) as f64) as f32;
    let mut centres: Vec<f32> = (0..codes * width).map(mean).collect();

    let empty: Vec<usize> = (0..codes).filter(|code| counts[*code] == 0).collect();
    if empty.is_empty() {
        return centres;
    }
    let own = |(point, (code, _)): (&[f32], &Given)| {
        nearest(point, &centres[code * width..][..width], 0).1
    };
    let mut distances: Vec<f32> = points.chunks_exact(width).zip(given).map(own).collect();
    for code in empty {
        let farthest = farthest(&distances);
        let centre = &points[farthest * width..][..width];
        // Those that look the same go with it: no two centres are put on one place.
        let points = points.chunks_exact(width);
        distances.iter_mut().zip(points).for_each(|(distance, point)| {
            *distance = distance.min(nearest(point, centre, 0).1);
        });
        centres[code * width..][..width].copy_from_slice(centre);
    }
    centres
}

/// The index of the largest distance, of several the first.
fn farthest(distances: &[f32]) -> usize {
    let mut farthest = 0;
    for (index, distance) in distances.iter().enumerate() {
        if *distance > distances[farthest] {
            farthest = index;
        }
    }
    farthest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn fit(points: &[f32], width: usize, codes: usize, seed: u64) -> Fit {
        k_means(points, width, codes, &mut rng(seed)).unwrap()
    }

    /// In double precision.
    fn exact(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    }

    /// Small whole numbers, so that every sum is exact and ties are many.
    fn whole(width: usize) -> impl Strategy<Value = Vec<f32>> {
        let numbers = proptest::collection::vec(-3i8..=3, 20 * width..60 * width);
        numbers.prop_map(move |numbers| {
            let kept = numbers.len() / width * width;
            numbers[..kept].iter().map(|number| f32::from(*number)).collect()
        })
    }

    fn any(width: usize) -> impl Strategy<Value = Vec<f32>> {
        (10usize..80)
            .prop_flat_map(move |count| proptest::collection::vec(-4.0f32..4.0, count * width))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_point_gets_its_nearest_centre_and_of_equals_the_first(
            points in whole(3), centres in whole(3), start: usize,
        ) {
            let start = start % (centres.len() / 3);
            for point in points.chunks_exact(3) {
                let distances: Vec<f64> = centres.chunks_exact(3).map(|c| exact(point, c)).collect();
                let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
                let first = distances.iter().position(|distance| *distance == least).unwrap();
                prop_assert_eq!(nearest(point, &centres, start), (first, least as f32));
            }
        }

        /// Wide enough that distances are given up half-way.
        #[test]
        fn giving_up_early_changes_nothing(points in any(150), codes in 1usize..9, start: usize) {
            let centres = &points[..codes * 150];
            for point in points.chunks_exact(150) {
                let (code, distance) = nearest(point, centres, start % codes);
                let each = centres.chunks_exact(150);
                let each: Vec<f32> = each.map(|c| squared_distance(point, c, f32::INFINITY)).collect();
                prop_assert!(each.iter().all(|other| *other >= distance));
                prop_assert_eq!(each.iter().position(|other| *other == distance), Some(code));
                // f32 sums of 150 squares, against double precision.
                let exact = exact(point, &centres[code * 150..][..150]);
                prop_assert!((f64::from(distance) - exact).abs() <= 1e-5 * exact);
            }
        }

        /// Up to the rounding of f32 centres and distances.
        #[test]
        fn inertia_never_rises(points in any(4), codes in 1usize..10, seed: u64) {
            let fit = fit(&points, 4, codes, seed);
            for pair in fit.inertia.windows(2) {
                prop_assert!(pair[1] <= pair[0] * (1.0 + 1e-5) + 1e-5, "{:?}", fit.inertia);
            }
            let brute: f64 = points
                .chunks_exact(4)
                .map(|point| {
                    let distances = fit.centres.chunks_exact(4).map(|c| exact(point, c));
                    distances.fold(f64::INFINITY, f64::min)
                })
                .sum();
            let last = fit.inertia[fit.inertia.len() - 1];
            prop_assert!((brute - last).abs() <= 1e-4 * (1.0 + last), "{brute} {last}");
        }

        #[test]
        fn every_code_is_used_where_the_rounds_suffice(points in whole(2), seed: u64) {
            let codes = distinct(&points, 2).min(8);
            let fit = fit(&points, 2, codes, seed);
            prop_assume!(fit.inertia.len() < ROUNDS);
            let given = give(&points, 2, &fit.centres, None);
            for code in 0..codes {
                prop_assert!(given.iter().any(|(given, _)| *given == code), "{:?}", fit.centres);
            }
        }

        #[test]
        fn too_few_points_that_differ_are_an_error(points in whole(2), more in 1usize..5) {
            let distinct = points.chunks_exact(2)
                .map(|point| (point[0] as i32, point[1] as i32))
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            let error = k_means(&points, 2, distinct + more, &mut rng(0)).err().unwrap().to_string();
            prop_assert!(error.contains(&format!("of which {distinct} differ")), "{error}");
            prop_assert!(error.contains("objectives.mim.codes"), "{error}");
            prop_assert!(k_means(&points, 2, distinct, &mut rng(0)).is_ok());
        }
    }

    #[test]
    fn empty_centres_are_put_where_points_are() {
        let points = [0.0, 1.0, 2.0, 10.0, 11.0, 11.0, 30.0];
        // Nobody is near the second, third and fourth.
        let fit = lloyd(&points, 1, vec![5.0, 900.0, 950.0, -900.0]);
        let given = give(&points, 1, &fit.centres, None);
        for code in 0..4 {
            assert!(given.iter().any(|(given, _)| *given == code), "{:?}", fit.centres);
        }
        assert!(fit.inertia.windows(2).all(|pair| pair[1] <= pair[0]), "{:?}", fit.inertia);
    }

    #[test]
    fn clusters_that_lie_apart_are_found() {
        let centres = [[0.0f32, 0.0], [10.0, 0.0], [0.0, 10.0]];
        let points: Vec<f32> = (0..90)
            .flat_map(|at| centres[at % 3].map(|c| c + (at * 31 % 7) as f32 / 7.0 - 3.0 / 7.0))
            .collect();
        for seed in 0..20 {
            let fit = fit(&points, 2, 3, seed);
            for centre in centres {
                let near = fit.centres.chunks_exact(2).any(|found| exact(found, &centre) < 0.5);
                assert!(near, "{:?}", fit.centres);
            }
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let points: Vec<f32> = (0..3000).map(|at| ((at * 7919) % 1013) as f32 / 100.0).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let fit = pool.install(|| fit(&points, 6, 20, 3));
            (fit.centres, fit.inertia)
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn what_is_no_number_is_named() {
        let message =
            |points: &[f32]| k_means(points, 2, 1, &mut rng(0)).err().unwrap().to_string();
        assert!(message(&[0.0, 1.0, 2.0, f32::NAN]).contains("patch 1"));
        assert!(message(&[]).contains("0 patches"));
    }
}
