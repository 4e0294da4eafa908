//! Exact search against a stable sort of all products.

use proptest::prelude::*;
use weft_eval::{Candidate, EvalError, top_k_of_embeddings};

/// The best `k` by the definition: all products, sorted stably, the head.
fn sorted(queries: &[f32], candidates: &[f32], width: usize, k: usize) -> Vec<Vec<Candidate>> {
    let head = |query: &[f32]| {
        let dot = |c: &[f32]| query.iter().zip(c).map(|(a, b)| a * b).sum::<f32>();
        let scores = candidates.chunks(width).map(dot).enumerate();
        let mut all: Vec<_> = scores.map(|(index, score)| Candidate { index, score }).collect();
        all.sort_by(|a, b| b.score.partial_cmp(&a.score).expect("no NaN"));
        all.truncate(k);
        all
    };
    queries.chunks(width).map(head).collect()
}

/// Rows on both sides of a tile's end (256), and few.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..5, 250usize..262, 510usize..516, 5usize..600]
}

/// 1, 2 and 3 are paths of their own in a matrix product.
fn width() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..5, 60usize..70]
}

fn rows(n: usize, width: usize, value: BoxedStrategy<f32>) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(value, n * width)
}

/// Queries, candidates and their width.
fn case(value: BoxedStrategy<f32>) -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize)> {
    (prop_oneof![0usize..5, 250usize..262], count(), width()).prop_flat_map(move |(q, c, width)| {
        (rows(q, width, value.clone()), rows(c, width, value.clone()), Just(width))
    })
}

/// Small integers: products are exact, and few levels make many ties.
fn exact() -> impl Strategy<Value = (Vec<f32>, Vec<f32>, usize)> {
    let levels = prop_oneof![Just(0i16), Just(1), Just(20), Just(200)];
    levels.prop_flat_map(|levels| case((-levels..=levels).prop_map(f32::from).boxed()))
}

fn k() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..4, Just(10), 30usize..70, Just(1000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn exact_products_are_found_in_order((queries, candidates, width) in exact(), k in k()) {
        let found = top_k_of_embeddings(&queries, &candidates, width, k).unwrap();
        prop_assert_eq!(found, sorted(&queries, &candidates, width, k));
    }

    #[test]
    fn rounded_products_are_the_best_within_rounding(
        (queries, candidates, width) in case((-1f32..1.0).boxed()),
        k in k(),
    ) {
        let found = top_k_of_embeddings(&queries, &candidates, width, k).unwrap();
        let expected = sorted(&queries, &candidates, width, k);
        prop_assert_eq!(found.len(), expected.len());
        for (query, (found, expected)) in queries.chunks(width).zip(found.iter().zip(&expected)) {
            prop_assert_eq!(found.len(), expected.len());
            // Either sum is within width * epsilon * (sum of the absolute products) of the true one.
            let most = 2.0 * width as f32 * f32::EPSILON * width as f32;
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found.score - expected.score).abs() <= most);
                let own = &candidates[found.index * width..][..width];
                let dot: f32 = query.iter().zip(own).map(|(a, b)| a * b).sum();
                prop_assert!((found.score - dot).abs() <= most);
            }
            let order = |pair: &[Candidate]| {
                let [a, b] = pair else { return false };
                a.score > b.score || (a.score == b.score && a.index < b.index)
            };
            prop_assert!(found.windows(2).all(order));
        }
    }

    #[test]
    fn copies_tie_wherever_they_stand(
        row in proptest::collection::vec(-1f32..1.0, 1..70),
        query in proptest::collection::vec(-1f32..1.0, 70),
        queries in prop_oneof![1usize..5, Just(257)],
        copies in count(),
        k in k(),
    ) {
        let width = row.len();
        let queries = query[..width].repeat(queries);
        let found = top_k_of_embeddings(&queries, &row.repeat(copies), width, k).unwrap();
        for list in &found {
            let order: Vec<_> = list.iter().map(|candidate| candidate.index).collect();
            prop_assert_eq!(order, (0..copies.min(k)).collect::<Vec<_>>());
            prop_assert_eq!(list, &found[0]);
        }
    }

    #[test]
    fn threads_do_not_matter((queries, candidates, width) in case((-1f32..1.0).boxed()), k in k()) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| top_k_of_embeddings(&queries, &candidates, width, k).unwrap())
        };
        let one = with(1);
        prop_assert_eq!(&one, &with(2));
        prop_assert_eq!(&one, &with(5));
    }

    #[test]
    fn nan_is_named(q in 1usize..600, c in 1usize..600, k in 1usize..4, at in any::<[prop::sample::Index; 2]>()) {
        let (query, candidate) = (at[0].index(q), at[1].index(c));
        let (mut queries, mut candidates) = (vec![1.0; 2 * q], vec![1.0; 2 * c]);
        // Only this pair multiplies 0 and infinity.
        queries[2 * query] = 0.0;
        candidates[2 * candidate] = f32::INFINITY;
        let error = top_k_of_embeddings(&queries, &candidates, 2, k).unwrap_err();
        let EvalError::NanProduct { query: found_query, candidate: found } = error else {
            return Err(TestCaseError::fail(error.to_string()));
        };
        prop_assert_eq!((found_query, found), (query, candidate));
    }
}

/// One query `[1]`, so that candidates are their own scores.
fn best_of(scores: &[f32], k: usize) -> Vec<usize> {
    let lists = top_k_of_embeddings(&[1.0], scores, 1, k).unwrap();
    lists[0].iter().map(|candidate| candidate.index).collect()
}

#[test]
fn every_candidate_can_be_better_than_all_before() {
    let rising: Vec<f32> = (0..1000u16).map(f32::from).collect();
    assert_eq!(best_of(&rising, 3), [999, 998, 997]);
    let falling: Vec<f32> = rising.iter().map(|score| -score).collect();
    assert_eq!(best_of(&falling, 3), [0, 1, 2]);
}

#[test]
fn minus_zero_ties_with_zero() {
    assert_eq!(best_of(&[-0.0, 0.0, -0.0], 2), [0, 1]);
    assert_eq!(best_of(&[-0.0, 0.0, -0.0], 3), [0, 1, 2]);
}

#[test]
fn infinities_are_ranked() {
    let scores = [f32::NEG_INFINITY, 1.0, f32::INFINITY, f32::MIN, f32::NEG_INFINITY];
    assert_eq!(best_of(&scores, 2), [2, 1]);
    assert_eq!(best_of(&scores, 9), [2, 1, 3, 0, 4]);
}

#[test]
fn bad_shapes_are_refused() {
    assert!(matches!(
        top_k_of_embeddings(&[0.0; 4], &[0.0; 4], 0, 1),
        Err(EvalError::FeatureCount { got: 4, .. })
    ));
    let error = top_k_of_embeddings(&[0.0; 4], &[0.0; 5], 2, 1).unwrap_err();
    let expected = "expected candidates as rows of 2 features (at least one), got 5 values";
    assert_eq!(error.to_string(), expected);
    let error = top_k_of_embeddings(&[f32::NAN], &[1.0], 1, 1).unwrap_err();
    assert_eq!(error.to_string(), "the inner product of query 0 and candidate 0 is NaN");
}
