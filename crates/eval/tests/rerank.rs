//! Two-stage ranking against a definition that builds the whole ranking of each query.

use std::cell::RefCell;
use std::collections::HashSet;

use proptest::prelude::*;
use weft_eval::{EvalError, RerankConfig, Reranked, Truth, rerank, retrieval};

/// Any dual scores are products: of their rows as pictures with the unit vectors as captions.
struct Case {
    truth: Truth,
    images: usize,
    texts: usize,
    dual: Vec<f32>,
    units: Vec<f32>,
    pair: Vec<f32>,
}

fn units(n: usize) -> Vec<f32> {
    (0..n * n).map(|at| f32::from(u8::from(at / n == at % n))).collect()
}

impl Case {
    fn rerank(&self, k_i2t: usize, k_t2i: usize, chunk: usize) -> Reranked<'_> {
        let config = RerankConfig { k_i2t, k_t2i, chunk };
        let score = |pairs: &[(usize, usize)]| {
            assert!(!pairs.is_empty() && pairs.len() <= chunk);
            Ok(pairs.iter().map(|&(i, t)| self.pair[i * self.texts + t]).collect())
        };
        rerank::<EvalError>(&self.dual, &self.units, self.texts, config, score).unwrap()
    }

    /// Scores of one query, dual and pair, and which candidates are right.
    fn query(&self, i2t: bool, query: usize) -> (Vec<f32>, Vec<f32>, Vec<bool>) {
        let n = if i2t { self.texts } else { self.images };
        let at = |other| if i2t { query * self.texts + other } else { other * self.texts + query };
        let right = |other| {
            let (image, text) = if i2t { (query, other) } else { (other, query) };
            self.truth.image_of(text) == image
        };
        (
            (0..n).map(|other| self.dual[at(other)]).collect(),
            (0..n).map(|other| self.pair[at(other)]).collect(),
            (0..n).map(right).collect(),
        )
    }

    /// With higher scores for the right pairs, so that recall is neither 0 nor 100 %.
    fn raised(mut self) -> Self {
        for text in 0..self.texts {
            let at = self.truth.image_of(text) * self.texts + text;
            let share = (text % 16) as f32;
            // Up to 0.6 % under the highest score of 2^22: among the best few of 300 or so. The others
            // are whole numbers, so none is equal.
            self.dual[at] = (1 << 22) as f32 - 1_500.0 * share - text as f32 - 0.5;
            self.pair[at] = 4096.0 - 20.0 * share;
        }
        self
    }

    fn compare_with_the_whole_ranking(
        &self,
        k_i2t: usize,
        k_t2i: usize,
    ) -> Result<(), TestCaseError> {
        let found = self.rerank(k_i2t, k_t2i, 5).retrieval(&self.truth).unwrap().values();
        let i2t = [1, 5, 10].map(|k| self.recall(true, k_i2t, k));
        let t2i = [1, 5, 10].map(|k| self.recall(false, k_t2i, k));
        prop_assert_eq!(found, [i2t[0], i2t[1], i2t[2], t2i[0], t2i[1], t2i[2]]);
        Ok(())
    }

    /// Recall in percent of the ranking written out: sort by dual score with wrong candidates first
    /// among equals, cut at k, sort the head by pair score with wrong candidates first, count.
    fn recall(&self, i2t: bool, shortlist: usize, k: usize) -> f64 {
        let queries = if i2t { self.images } else { self.texts };
        let hit = |query: &usize| {
            let (dual, pair, right) = self.query(i2t, *query);
            let mut order: Vec<usize> = (0..dual.len()).collect();
            order.sort_by(|&a, &b| dual[b].total_cmp(&dual[a]).then(right[a].cmp(&right[b])));
            let head = shortlist.min(order.len());
            order[..head]
                .sort_by(|&a, &b| pair[b].total_cmp(&pair[a]).then(right[a].cmp(&right[b])));
            let first = order.iter().position(|&other| right[other]).unwrap();
            // With several right ones the best has only wrong ones before it.
            first < k
        };
        100.0 * (0..queries).filter(hit).count() as f64 / queries as f64
    }
}

/// More pictures and captions than one tile of dual scores holds (256).
fn large() -> impl Strategy<Value = Case> {
    (257usize..300, 1u32..1 << 20).prop_map(|(images, seed)| {
        let counts: Vec<usize> = (0..images).map(|image| 1 + image % 2).collect();
        let texts: usize = counts.iter().sum();
        let truth = Truth::from_counts(&counts).expect("every count is positive");
        // Dual scores are all different (and exact in f32): odd multiples modulo a power of 2.
        let dual = |at: u32| (at.wrapping_mul(2 * seed + 1) % (1 << 22)) as f32;
        let pair = |at: u32| (at.wrapping_mul(0x9e37_79b1) >> 20) as f32;
        let n = (images * texts) as u32;
        let (dual, pair) = ((0..n).map(dual).collect(), (0..n).map(pair).collect());
        let case = Case { truth, images, texts, dual, units: units(texts), pair };
        case.raised()
    })
}

fn case(dual_levels: i16, pair_levels: i16) -> impl Strategy<Value = Case> {
    proptest::collection::vec(1usize..4, 1..10).prop_flat_map(move |counts| {
        let (images, texts) = (counts.len(), counts.iter().sum::<usize>());
        let scores = |levels: i16| {
            proptest::collection::vec((0..levels).prop_map(f32::from), images * texts)
        };
        (scores(dual_levels), scores(pair_levels)).prop_map(move |(dual, pair)| {
            let truth = Truth::from_counts(&counts).expect("every count is positive");
            Case { truth, images, texts, dual, units: units(texts), pair }
        })
    })
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}\ndual {:?}\npair {:?}", self.truth, self.dual, self.pair)
    }
}

/// From no different scores to all different ones, at both stages.
fn every_level() -> impl Strategy<Value = Case> {
    let levels = || prop_oneof![Just(1i16), Just(2), Just(30), Just(30_000)];
    (levels(), levels()).prop_flat_map(|(dual, pair)| case(dual, pair))
}

/// Dual scores (almost) all different, as in practice; pair scores with many ties or none.
fn clear_shortlists() -> impl Strategy<Value = Case> {
    prop_oneof![case(30_000, 1), case(30_000, 2), case(30_000, 30_000)]
}

proptest! {
    #[test]
    fn shortlists_of_everything_leave_the_pair_scorer_alone(case in every_level()) {
        let both = case.rerank(case.texts, case.images + 3, 7).retrieval(&case.truth).unwrap();
        prop_assert_eq!(both, retrieval(&case.pair, &case.truth).unwrap());
    }

    #[test]
    fn empty_shortlists_leave_the_dual_encoder_alone(case in every_level()) {
        let both = case.rerank(0, 0, 7).retrieval(&case.truth).unwrap();
        prop_assert_eq!(both, retrieval(&case.dual, &case.truth).unwrap());
    }

    #[test]
    fn agrees_with_the_whole_ranking(case in clear_shortlists(), k_i2t in 0usize..9, k_t2i in 0usize..9) {
        case.compare_with_the_whole_ranking(k_i2t, k_t2i)?;
    }

    #[test]
    fn constant_dual_scores_find_nothing_by_their_numbers(
        counts in proptest::collection::vec(1usize..4, 2..10),
        k in 0usize..9,
    ) {
        // A perfect pair scorer behind a dual encoder that says nothing: the shortlist is luck, so
        // a query is answered only if the shortlist holds everything.
        let truth = Truth::from_counts(&counts).unwrap();
        let (images, texts) = (truth.images(), truth.texts());
        let pair = (0..images * texts).map(|at| {
            f32::from(u8::from(truth.image_of(at % texts) == at / texts))
        }).collect();
        let (dual, units) = (vec![0.5; images * texts], units(texts));
        let case = Case { truth, images, texts, dual, units, pair };
        let found = case.rerank(0, k, 4).retrieval(&case.truth).unwrap();
        let expected = if k >= images { 100.0 } else { 0.0 };
        prop_assert_eq!(found.t2i_r1, expected);
    }

    #[test]
    fn chunks_do_not_matter(case in every_level(), k in 0usize..9, chunk in 1usize..40) {
        let (one, other) = (case.rerank(k, k, usize::MAX), case.rerank(k, k, chunk));
        for image in 0..case.images {
            prop_assert_eq!(one.captions_of(image), other.captions_of(image));
        }
        for text in 0..case.texts {
            prop_assert_eq!(one.pictures_of(text), other.pictures_of(text));
        }
    }

    #[test]
    fn scores_each_needed_pair_once(case in every_level(), k_i2t in 0usize..9, k_t2i in 0usize..9) {
        let seen = RefCell::new(Vec::new());
        let config = RerankConfig { k_i2t, k_t2i, chunk: 3 };
        let score = |pairs: &[(usize, usize)]| {
            seen.borrow_mut().extend_from_slice(pairs);
            Ok(vec![0.0; pairs.len()])
        };
        rerank::<EvalError>(&case.dual, &case.units, case.texts, config, score).unwrap();
        let seen = seen.into_inner();
        let once: HashSet<_> = seen.iter().copied().collect();
        prop_assert_eq!(once.len(), seen.len());
        prop_assert!(seen.len() <= config.most_pairs(case.images, case.texts));
        let mut needed = HashSet::new();
        for image in 0..case.images {
            let (dual, ..) = case.query(true, image);
            needed.extend(head(&dual, k_i2t).into_iter().map(|text| (image, text)));
        }
        for text in 0..case.texts {
            let (dual, ..) = case.query(false, text);
            needed.extend(head(&dual, k_t2i).into_iter().map(|image| (image, text)));
        }
        prop_assert_eq!(once, needed);
    }

    #[test]
    fn equal_pair_scores_leave_the_dual_encoders_order(case in every_level(), k in 1usize..9) {
        let constant = Case { pair: vec![0.0; case.pair.len()], ..case };
        let reranked = constant.rerank(k, k, 5);
        for image in 0..constant.images {
            let (dual, ..) = constant.query(true, image);
            let found: Vec<_> = reranked.captions_of(image).iter().map(|found| found.index).collect();
            prop_assert_eq!(found, head(&dual, k));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn agrees_with_the_whole_ranking_of_many(case in large(), k_i2t in 0usize..9, k_t2i in 0usize..9) {
        let found = case.rerank(k_i2t, k_t2i, 5).retrieval(&case.truth).unwrap();
        // A recall of 0 or 100 % would compare nothing.
        prop_assert!(found.i2t_r1 > 0.0 && found.t2i_r1 < 100.0, "{:?}", found);
        case.compare_with_the_whole_ranking(k_i2t, k_t2i)?;
    }
}

/// The first `k` of a stable sort.
fn head(scores: &[f32], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(k);
    order
}

#[test]
fn shortlists_are_ordered_by_pair_score() {
    let dual = [0.9, 0.8, 0.7, 0.1];
    let score = |pairs: &[(usize, usize)]| -> Result<Vec<f32>, EvalError> {
        Ok(pairs.iter().map(|&(_, text)| [1.0, 3.0, 1.0, 9.0][text]).collect())
    };
    let config = RerankConfig { k_i2t: 3, k_t2i: 1, chunk: 2 };
    let texts = units(4);
    let reranked = rerank(&dual, &texts, 4, config, score).unwrap();
    let order: Vec<_> = reranked.captions_of(0).iter().map(|found| found.index).collect();
    assert_eq!(order, [1, 0, 2]);
    assert_eq!(reranked.captions_of(0)[0].score, 3.0);
    assert_eq!(reranked.pictures_of(3)[0].score, 9.0);
}

#[test]
fn bad_input_is_refused() {
    let dual = [0.0; 6];
    let config = RerankConfig { k_i2t: 2, k_t2i: 1, chunk: 4 };
    let zeros = |pairs: &[(usize, usize)]| Ok(vec![0.0; pairs.len()]);
    let none = RerankConfig { chunk: 0, ..config };
    let texts = units(3);
    assert!(matches!(rerank(&dual, &texts, 3, none, zeros), Err(EvalError::ZeroChunk)));
    for (width, got) in [(0, 6), (4, 6), (2, 9)] {
        let error = rerank(&dual, &texts, width, config, zeros).unwrap_err();
        assert!(matches!(error, EvalError::FeatureCount { got: found, .. } if found == got));
    }
    let broken = [0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0];
    for k_i2t in [0, 2] {
        let config = RerankConfig { k_i2t, ..config };
        let error = rerank(&broken, &texts, 3, config, zeros).unwrap_err();
        assert!(matches!(error, EvalError::NanScore { image: 1, text: 0 }), "{error}");
    }
    let few = |_: &[(usize, usize)]| Ok(vec![0.0]);
    assert!(matches!(
        rerank(&dual, &texts, 3, config, few),
        Err(EvalError::PairScoreCount { expected: 4, got: 1 })
    ));
    let nan = |pairs: &[(usize, usize)]| {
        Ok(pairs.iter().map(|&pair| if pair == (1, 0) { f32::NAN } else { 0.0 }).collect())
    };
    assert!(matches!(
        rerank(&dual, &texts, 3, config, nan),
        Err(EvalError::NanScore { image: 1, text: 0 })
    ));
    let reranked = rerank::<EvalError>(&dual, &texts, 3, config, zeros).unwrap();
    let other = Truth::from_counts(&[1, 1]).unwrap();
    assert!(matches!(reranked.retrieval(&other), Err(EvalError::TruthMismatch { .. })));
}

#[test]
fn the_scorers_error_comes_through() {
    let config = RerankConfig { k_i2t: 1, k_t2i: 1, chunk: 1 };
    let fail =
        |_: &[(usize, usize)]| Err::<Vec<f32>, Box<dyn std::error::Error>>("out of paper".into());
    let error = rerank(&[0.0], &[0.0], 1, config, fail).unwrap_err();
    assert_eq!(error.to_string(), "out of paper");
}
