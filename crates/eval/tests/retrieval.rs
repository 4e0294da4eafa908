//! The metric against a definition that sorts nothing and shares no code with it.

use proptest::prelude::*;
use weft_eval::{EvalError, Retrieval, Truth, chance, retrieval, retrieval_of_embeddings};

/// Share of queries in percent that have a hit: some right candidate with fewer than `k` wrong ones
/// at least as good.
fn recall(right: &[Vec<bool>], score: impl Fn(usize, usize) -> f32, k: usize) -> f64 {
    let hit = |query: usize| {
        let of = &right[query];
        (0..of.len()).filter(|&own| of[own]).any(|own| {
            let before = |other: usize| !of[other] && score(query, other) >= score(query, own);
            (0..of.len()).filter(|&other| before(other)).count() < k
        })
    };
    100.0 * (0..right.len()).filter(|&query| hit(query)).count() as f64 / right.len() as f64
}

fn brute_force(scores: &[f32], counts: &[usize]) -> [f64; 6] {
    let owner: Vec<usize> =
        counts.iter().enumerate().flat_map(|(image, &n)| vec![image; n]).collect();
    let (images, texts) = (counts.len(), owner.len());
    let i2t: Vec<Vec<bool>> =
        (0..images).map(|i| owner.iter().map(|&image| image == i).collect()).collect();
    let t2i: Vec<Vec<bool>> =
        owner.iter().map(|&image| (0..images).map(|i| image == i).collect()).collect();
    let i2t = |k| recall(&i2t, |image, text| scores[image * texts + text], k);
    let t2i = |k| recall(&t2i, |text, image| scores[image * texts + text], k);
    [i2t(1), i2t(5), i2t(10), t2i(1), t2i(5), t2i(10)]
}

fn truth(counts: &[usize]) -> Truth {
    Truth::from_counts(counts).expect("every count is positive")
}

/// Captions per picture and a score matrix; `levels` different scores, so few levels make ties.
fn case() -> impl Strategy<Value = (Vec<usize>, Vec<f32>)> {
    let levels = prop_oneof![Just(1i16), Just(2), Just(3), Just(1000)];
    (proptest::collection::vec(1usize..5, 1..15), levels).prop_flat_map(|(counts, levels)| {
        let size = counts.len() * counts.iter().sum::<usize>();
        let score = (0..levels).prop_map(|level| f32::from(level) - 1.0);
        (Just(counts), proptest::collection::vec(score, size))
    })
}

/// Captions per picture, a width, and embeddings of small integers, whose products are exact.
fn embeddings() -> impl Strategy<Value = (Vec<usize>, usize, Vec<f32>, Vec<f32>)> {
    // One tile holds 256 pictures or captions.
    let counts = prop_oneof![
        proptest::collection::vec(1usize..5, 1..15),
        proptest::collection::vec(1usize..3, 200..300),
    ];
    let levels = prop_oneof![Just(1i16), Just(2), Just(20)];
    (counts, prop_oneof![1usize..6, 60usize..70], levels).prop_flat_map(
        |(counts, width, levels)| {
            let rows = |n: usize| {
                proptest::collection::vec((-levels..=levels).prop_map(f32::from), n * width)
            };
            let texts = rows(counts.iter().sum());
            (Just(counts.clone()), Just(width), rows(counts.len()), texts)
        },
    )
}

fn products(images: &[f32], texts: &[f32], width: usize) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let row = |image| texts.chunks(width).map(move |text| dot(image, text));
    images.chunks(width).flat_map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_embeddings_is_that_of_their_products(
        (counts, width, images, texts) in embeddings(),
        turn in 0usize..40,
    ) {
        // Caption t is stored as caption (t + turn) % n, so a picture's captions need not stand
        // together.
        let n = texts.len() / width;
        let moved = |text: usize| (text + turn) % n;
        let mut next = 0..n;
        let of_image = counts.iter().map(|&n| next.by_ref().take(n).map(moved).collect()).collect();
        let truth = Truth::new(of_image).unwrap();
        let scores = products(&images, &texts, width);
        let found = retrieval_of_embeddings(&images, &texts, width, &truth).unwrap();
        prop_assert_eq!(found, retrieval(&scores, &truth).unwrap());
    }

    #[test]
    fn collapsed_embeddings_find_nothing(
        row in proptest::collection::vec(-1f32..1.0, 1..70),
        images in prop_oneof![11usize..40, 250usize..530],
        captions in 1usize..3,
    ) {
        // Rounding must not break the ties.
        let truth = truth(&vec![captions; images]);
        let (width, n) = (row.len(), images * captions);
        let found = retrieval_of_embeddings(&row.repeat(images), &row.repeat(n), width, &truth);
        prop_assert_eq!(found.unwrap().values(), [0.0; 6]);
    }

    #[test]
    fn threads_do_not_matter(seed in 0u32..1000, images in 1usize..600, width in 1usize..40) {
        let value = |at: usize| ((at as f32 + 1.0) * (seed as f32 + 0.37)).sin();
        let rows = |n: usize, from: usize| (from..from + n * width).map(value).collect::<Vec<_>>();
        let (pictures, captions) = (rows(images, 0), rows(images, 1 << 20));
        let truth = truth(&vec![1; images]);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| retrieval_of_embeddings(&pictures, &captions, width, &truth).unwrap())
        };
        prop_assert_eq!(with(1), with(3));
    }
}

proptest! {
    #[test]
    fn agrees_with_brute_force((counts, scores) in case()) {
        let found = retrieval(&scores, &truth(&counts)).unwrap();
        prop_assert_eq!(found.values(), brute_force(&scores, &counts));
    }

    #[test]
    fn numbering_of_captions_does_not_matter((counts, scores) in case(), turn in 0usize..40) {
        // Caption t becomes caption (t + turn) % texts.
        let texts: usize = counts.iter().sum();
        let moved = |text: usize| (text + turn) % texts;
        let mut next = 0..texts;
        let of_image = counts.iter().map(|&n| next.by_ref().take(n).map(moved).collect()).collect();
        let mut turned = scores.clone();
        for (at, &score) in scores.iter().enumerate() {
            turned[at / texts * texts + moved(at % texts)] = score;
        }
        let turned = retrieval(&turned, &Truth::new(of_image).unwrap()).unwrap();
        prop_assert_eq!(turned, retrieval(&scores, &truth(&counts)).unwrap());
    }
}

#[test]
fn constant_scores_find_nothing() {
    for constant in [0.0, -3.0, f32::INFINITY, f32::NEG_INFINITY] {
        let found = retrieval(&[constant; 12 * 24], &truth(&[2; 12])).unwrap();
        assert_eq!(found.values(), [0.0; 6], "{constant}");
    }
}

#[test]
fn constant_scores_find_what_nothing_wrong_can_displace() {
    // One picture: every candidate is right.
    let found = retrieval(&[0.5; 3], &truth(&[3])).unwrap();
    assert_eq!(found.values(), [100.0; 6]);
    // Three wrong candidates at most cannot fill five places.
    let found = retrieval(&[0.5; 3 * 4], &truth(&[1, 2, 1])).unwrap();
    assert_eq!(found.values(), [0.0, 100.0, 100.0, 0.0, 100.0, 100.0]);
}

#[test]
fn a_duplicate_of_the_right_answer_is_a_miss() {
    // Pictures 0 and 1 are the same picture; picture 2 stands alone.
    #[rustfmt::skip]
    let scores = [
        0.9, 0.1, 0.0,
        0.9, 0.1, 0.0,
        0.0, 0.0, 0.7,
    ];
    let found = retrieval(&scores, &truth(&[1, 1, 1])).unwrap();
    assert!((found.t2i_r1 - 100.0 / 3.0).abs() < 1e-9);
    assert!((found.i2t_r1 - 200.0 / 3.0).abs() < 1e-9);
}

#[test]
fn minus_zero_ties_with_zero() {
    let found = retrieval(&[0.0, -0.0, 1.0, 2.0], &truth(&[1, 1])).unwrap();
    assert_eq!((found.i2t_r1, found.t2i_r1), (50.0, 50.0));
}

#[test]
fn nan_is_named() {
    let mut scores = [0.0; 6];
    scores[4] = f32::NAN;
    let error = retrieval(&scores, &truth(&[1, 2])).unwrap_err();
    assert!(matches!(error, EvalError::NanScore { image: 1, text: 1 }), "{error}");
    assert!(matches!(
        retrieval(&scores[1..], &truth(&[1, 2])),
        Err(EvalError::ScoreCount { got: 5, images: 2, texts: 3 })
    ));
}

#[test]
fn bad_embeddings_are_refused() {
    let truth = truth(&[1, 2]);
    let find = |images: &[f32], texts: &[f32], width| {
        retrieval_of_embeddings(images, texts, width, &truth).unwrap_err()
    };
    assert!(matches!(find(&[0.0; 4], &[0.0; 6], 0), EvalError::FeatureCount { got: 4, .. }));
    let error = find(&[0.0; 4], &[0.0; 7], 2);
    assert_eq!(
        error.to_string(),
        "expected captions as rows of 2 features (at least one), got 7 values"
    );
    assert!(matches!(
        find(&[0.0; 4], &[0.0; 8], 2),
        EvalError::TruthMismatch { images: 2, texts: 4, truth_images: 2, truth_texts: 3 }
    ));
    let mut texts = [1.0; 6];
    texts[3] = f32::NAN;
    assert!(matches!(find(&[0.0; 4], &texts, 2), EvalError::NanScore { image: 0, text: 1 }));
    // 0 times infinity.
    texts[3] = f32::INFINITY;
    let images = [1.0, 1.0, 1.0, 0.0];
    assert!(matches!(find(&images, &texts, 2), EvalError::NanScore { image: 1, text: 1 }));
}

#[test]
fn bad_truths_are_refused() {
    use EvalError::*;
    assert!(matches!(Truth::new(vec![]), Err(NoImages)));
    assert!(matches!(Truth::from_counts(&[1, 0]), Err(NoCaption { image: 1 })));
    let twice = Truth::new(vec![vec![0, 1], vec![1]]);
    assert!(matches!(twice, Err(CaptionTwice { text: 1, first: 0, second: 1 })));
    let gap = Truth::new(vec![vec![0], vec![2]]);
    assert!(matches!(gap, Err(CaptionOutOfRange { image: 1, text: 2, texts: 2 })));
    let truth = Truth::new(vec![vec![2, 0], vec![1]]).unwrap();
    assert_eq!((truth.texts_of(0), truth.image_of(1), truth.image_of(2)), (&[2, 0][..], 1, 0));
}

#[test]
fn chance_in_closed_form() {
    // One caption each: k / n in both directions.
    let found = chance(&truth(&[1; 40]));
    for (value, k) in found.values().iter().zip([1.0, 5.0, 10.0, 1.0, 5.0, 10.0]) {
        assert!((value - 100.0 * k / 40.0).abs() < 1e-9);
    }
    // 2 of 6 captions right: at k = 5 a miss is impossible; 2 of 12 at k = 5: C(10,5) / C(12,5).
    assert_eq!(chance(&truth(&[2; 3])).i2t_r5, 100.0);
    let miss = 252.0 / 792.0;
    assert!((chance(&truth(&[2; 6])).i2t_r5 - 100.0 * (1.0 - miss)).abs() < 1e-9);
    assert_eq!(chance(&truth(&[1])).values(), [100.0; 6]);
}

#[test]
fn chance_is_the_mean_of_random_rankings() {
    let counts = [1, 5, 2, 3, 1, 4, 2, 1, 1, 2, 3, 1];
    let truth = truth(&counts);
    let size = truth.images() * truth.texts();
    // xorshift: 24 random bits a score, so ties are too rare to matter.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32
    };
    const RUNS: usize = 4000;
    let mut mean = [0.0; 6];
    for _ in 0..RUNS {
        let scores: Vec<f32> = (0..size).map(|_| random()).collect();
        let found = retrieval(&scores, &truth).unwrap().values();
        mean.iter_mut().zip(found).for_each(|(mean, value)| *mean += value / RUNS as f64);
    }
    // One query's hit has a standard deviation under 50, so the mean of 12 * 4000 under 0.25.
    for ((name, mean), exact) in Retrieval::NAMES.iter().zip(mean).zip(chance(&truth).values()) {
        assert!((mean - exact).abs() < 1.0, "{name}: {mean} is not {exact}");
    }
}

#[test]
fn rmean_is_the_mean() {
    let found = retrieval(&[1.0, 0.0, 0.0, 0.0], &truth(&[1, 1])).unwrap();
    assert_eq!(found.values(), [50.0, 100.0, 100.0, 50.0, 100.0, 100.0]);
    assert!((found.rmean() - 500.0 / 6.0).abs() < 1e-9);
}
