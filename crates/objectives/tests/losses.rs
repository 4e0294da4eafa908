//! Each loss against its equation in plain Rust.

use burn::tensor::{Device, Int, Tensor, TensorData};
use proptest::prelude::*;
use weft_objectives::vqa::AnswerLoss;
use weft_objectives::{
    classification, filip, grounding, itc, itm, mcr, mim, mlm, mrm, target, vqa, wpg,
};

fn tensor(values: &[f32], width: usize) -> Tensor<2> {
    let shape = [values.len() / width, width];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn scalar(x: Tensor<1>) -> f64 {
    f64::from(x.into_scalar::<f32>())
}

/// `-log softmax(row)[class]`, in double precision.
fn cross_entropy(row: impl Iterator<Item = f32> + Clone, class: usize) -> f64 {
    let row: Vec<f64> = row.map(f64::from).collect();
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = row.iter().map(|x| (x - highest).exp()).sum();
    highest + total.ln() - row[class]
}

/// Six digits: f32 sums of at most a few hundred terms.
fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 * (1.0 + expected.abs())
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(-20.0f32..20.0, count)
}

#[test]
fn itc_by_hand() {
    // Both directions of [[2, 0], [0, 2]]: log(1 + e^-2) each.
    let loss = scalar(itc::itc_loss(tensor(&[2.0, 0.0, 0.0, 2.0], 2)));
    assert!(close(loss, (1.0 + (-2.0f64).exp()).ln()), "{loss}");
    // Picture 0 sees caption 0 at 1 and caption 1 at 3, and so on; the directions differ.
    let loss = scalar(itc::itc_loss(tensor(&[1.0, 3.0, 0.0, 2.0], 2)));
    let rows = (1.0 + 2f64.exp()).ln() + (1.0 + (-2f64).exp()).ln();
    let columns = (1.0 + (-1f64).exp()).ln() + (1.0 + 1f64.exp()).ln();
    assert!(close(loss, (rows / 2.0 + columns / 2.0) / 2.0), "{loss}");
}

#[test]
fn a_uniform_model_is_at_the_logarithm_of_its_choices() {
    assert!(close(scalar(itc::itc_loss(tensor(&[0.5; 64], 8))), 8f64.ln()));
    assert!(close(scalar(itm::itm_loss(tensor(&[0.0; 8], 2), tensor(&[0.0; 16], 2))), 2f64.ln()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn itc(similarity in values(49)) {
        let n = 7;
        let expected: f64 = (0..n)
            .map(|i| {
                let row = similarity[i * n..(i + 1) * n].iter().copied();
                let column = (0..n).map(|j| similarity[j * n + i]);
                (cross_entropy(row, i) + cross_entropy(column, i)) / 2.0
            })
            .sum::<f64>()
            / n as f64;
        let found = scalar(itc::itc_loss(tensor(&similarity, n)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn mcr(logits in values(4 * 6), concepts in proptest::collection::vec(0usize..6, 4)) {
        let rows = logits.chunks(6).zip(&concepts);
        let expected: f64 =
            rows.map(|(row, concept)| cross_entropy(row.iter().copied(), *concept)).sum::<f64>() / 4.0;
        let concepts: Vec<i32> = concepts.iter().map(|concept| *concept as i32).collect();
        let concepts = Tensor::<1, Int>::from_data(TensorData::new(concepts, [4]), &Device::flex());
        let found = scalar(mcr::mcr_loss(tensor(&logits, 6), concepts));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn wpg(right in values(5), wrong in values(5), margin in 0.0f32..3.0) {
        let hinge = |(r, w): (&f32, &f32)| f64::from((margin + w - r).max(0.0));
        let expected: f64 = right.iter().zip(&wrong).map(hinge).sum::<f64>() / 5.0;
        let row = |values: &[f32]| tensor(values, 5).reshape([5]);
        let found = scalar(wpg::wpg_loss(row(&right), row(&wrong), f64::from(margin)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn a_phrase_is_scored_by_the_region_that_was_picked(
        phrases in values(3 * 4),
        regions in values(3 * 5 * 4),
        picked in proptest::collection::vec(0usize..3, 3),
        there in proptest::collection::vec(1usize..=5, 3),
        all in proptest::bool::ANY,
    ) {
        let cosine = |a: &[f32], b: &[f32]| -> f32 {
            let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
            a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / (length(a) * length(b))
        };
        let device = Device::flex();
        let ints: Vec<i32> = picked.iter().map(|at| *at as i32).collect();
        let ints = Tensor::<1, Int>::from_data(TensorData::new(ints, [3]), &device);
        let shaped = TensorData::new(regions.clone(), [3, 5, 4]);
        let shaped = Tensor::<3>::from_data(shaped, &device);
        let hidden = |at: usize| if at % 5 < there[at / 5] { 0.0 } else { f32::MIN };
        let hidden: Vec<f32> = (0..15).map(hidden).collect();
        let hidden = (!all).then(|| tensor(&hidden, 5));
        let found = wpg::phrase_scores(tensor(&phrases, 4), shaped, hidden, 3, ints);
        let found: Vec<f32> = found.into_data().iter::<f32>().collect();
        for (phrase, found) in found.into_iter().enumerate() {
            let own = &phrases[phrase * 4..][..4];
            let regions = regions[phrase * 20..][..20].chunks(4);
            let regions = regions.take(if all { 5 } else { there[phrase] });
            let mut cosines: Vec<f32> = regions.map(|region| cosine(own, region)).collect();
            cosines.sort_by(|a, b| b.total_cmp(a));
            let expected = cosines[picked[phrase].min(cosines.len() - 1)];
            prop_assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn filip(
        patches in values(3 * 4 * 5),
        words in values(3 * 6 * 5),
        lengths in proptest::collection::vec(1usize..=6, 3),
    ) {
        let unit = |rows: &[f32]| -> Vec<f32> {
            let rows = rows.chunks(5).map(|row| {
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
                row.iter().map(move |x| x / length)
            });
            rows.flatten().collect()
        };
        let (patches, words) = (unit(&patches), unit(&words));
        let similarity = |picture: usize, patch: usize, caption: usize, word: usize| -> f64 {
            let patch = &patches[(picture * 4 + patch) * 5..][..5];
            let word = &words[(caption * 6 + word) * 5..][..5];
            patch.iter().zip(word).map(|(a, b)| f64::from(a * b)).sum()
        };
        let most = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::NEG_INFINITY, f64::max);
        let (mut by_patches, mut by_words) = (vec![], vec![]);
        for picture in 0..3 {
            for (caption, seen) in lengths.iter().copied().enumerate() {
                let best_word = |patch| most(&mut (0..seen).map(|w| similarity(picture, patch, caption, w)));
                let best_patch = |word| most(&mut (0..4).map(|p| similarity(picture, p, caption, word)));
                by_patches.push((0..4).map(best_word).sum::<f64>() as f32 / 4.0);
                by_words.push((0..seen).map(best_patch).sum::<f64>() as f32 / seen as f32);
            }
        }
        let visible: Vec<f32> =
            lengths.iter().flat_map(|length| (0..6).map(move |w| f32::from(w < *length))).collect();
        let three = |rows: &[f32], each| tensor(rows, 5).reshape([3, each, 5]);
        let (found_patches, found_words) =
            filip::token_similarities(three(&patches, 4), three(&words, 6), tensor(&visible, 6));
        let pairs = [(&found_patches, &by_patches), (&found_words, &by_words)];
        for (found, expected) in pairs {
            for (found, expected) in found.clone().into_data().iter::<f32>().zip(expected) {
                prop_assert!(close(f64::from(found), f64::from(*expected)), "{found} {expected}");
            }
        }
        let across = |i: usize| cross_entropy(by_patches[i * 3..][..3].iter().copied(), i);
        let down = |i: usize| cross_entropy((0..3).map(|j| by_words[j * 3 + i]), i);
        let expected = (0..3).map(|i| across(i) + down(i)).sum::<f64>() / 6.0;
        let found = scalar(filip::filip_loss(found_patches, found_words));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn itm(positives in values(6), negatives in values(10)) {
        let sum = |rows: &[f32], class| -> f64 {
            rows.chunks(2).map(|row| cross_entropy(row.iter().copied(), class)).sum()
        };
        let expected = (sum(&positives, 1) + sum(&negatives, 0)) / 8.0;
        let found = scalar(itm::itm_loss(tensor(&positives, 2), tensor(&negatives, 2)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn mlm(logits in values(55), words in proptest::collection::vec(0usize..11, 5)) {
        let expected = logits
            .chunks(11)
            .zip(&words)
            .map(|(row, word)| cross_entropy(row.iter().copied(), *word))
            .sum::<f64>()
            / 5.0;
        let ids: Vec<i32> = words.iter().map(|word| *word as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [5]), &Device::flex());
        let found = scalar(mlm::mlm_loss(tensor(&logits, 11), ids));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn mrm_and_mim(image in values(24), target in values(24), text in values(8), words in values(8)) {
        let mean = |a: &[f32], b: &[f32], f: &dyn Fn(f64) -> f64| {
            a.iter().zip(b).map(|(a, b)| f(f64::from(*a) - f64::from(*b))).sum::<f64>()
                / a.len() as f64
        };
        let squares = |a: &[f32], b: &[f32]| mean(a, b, &|d| d * d);
        let expected = squares(&image, &target) + squares(&text, &words);
        let found = scalar(mrm::mrm_loss(
            tensor(&image, 4), tensor(&target, 4), tensor(&text, 4), tensor(&words, 4),
        ));
        prop_assert!(close(found, expected), "{found} {expected}");
        let expected = mean(&image, &target, &f64::abs);
        let found = scalar(mim::mim_loss(tensor(&image, 4), tensor(&target, 4)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn vqa(logits in values(28), scores in proptest::collection::vec(0f32..1.0, 28)) {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let rows = || logits.chunks(7).zip(scores.chunks(7));
        let binary = |(z, s): (&[f32], &[f32])| -> f64 {
            let of = |(z, s): (&f32, &f32)| {
                let (z, s) = (f64::from(*z), f64::from(*s));
                -s * sigmoid(z).ln() - (1.0 - s) * sigmoid(-z).ln()
            };
            z.iter().zip(s).map(of).sum()
        };
        let softmax = |(z, s): (&[f32], &[f32])| -> f64 {
            let of = |class: usize| f64::from(s[class]) * cross_entropy(z.iter().copied(), class);
            (0..7).map(of).sum()
        };
        let found = |loss| scalar(vqa::vqa_loss(tensor(&logits, 7), tensor(&scores, 7), loss));
        let (expected, got) = (rows().map(binary).sum::<f64>() / 4.0, found(AnswerLoss::Binary));
        prop_assert!(close(got, expected), "{got} {expected}");
        let (expected, got) = (rows().map(softmax).sum::<f64>() / 4.0, found(AnswerLoss::Softmax));
        prop_assert!(close(got, expected), "{got} {expected}");
        // The score of the class with the largest logit.
        let best = |(z, s): (&[f32], &[f32])| {
            let best = (0..7).max_by(|a, b| z[*a].total_cmp(&z[*b])).unwrap();
            f64::from(s[best])
        };
        let expected = rows().map(best).sum::<f64>() / 4.0;
        let got = scalar(classification::mean_score(tensor(&logits, 7), tensor(&scores, 7)));
        prop_assert!(close(got, expected), "{got} {expected}");
    }

    #[test]
    fn grounding(a in proptest::collection::vec(0.01f32..1.0, 12), b in proptest::collection::vec(0.01f32..1.0, 12)) {
        let expected = a.chunks(4).zip(b.chunks(4)).map(|(a, b)| rectangle_loss(a, b)).sum::<f64>() / 3.0;
        let found = scalar(grounding::grounding_loss(tensor(&a, 4), tensor(&b, 4)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }

    #[test]
    fn spread_is_the_mean_standard_deviation(target in values(30)) {
        let deviation = |d: usize| {
            let column: Vec<f64> = target.iter().skip(d).step_by(5).map(|x| f64::from(*x)).collect();
            let mean = column.iter().sum::<f64>() / 6.0;
            (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0).sqrt()
        };
        let expected = (0..5).map(deviation).sum::<f64>() / 5.0;
        let found = scalar(target::target_spread(tensor(&target, 5)));
        prop_assert!(close(found, expected), "{found} {expected}");
    }
}

#[test]
fn a_collapsed_target_has_no_spread() {
    assert!(scalar(target::target_spread(tensor(&[1.0, -2.0, 1.0, -2.0], 2))) < 1e-6);
}

/// One rectangle's distance and GIoU, from the definition, in double precision.
fn rectangle_loss(a: &[f32], b: &[f32]) -> f64 {
    let corners = |r: &[f32]| {
        let [x, y, w, h] = [0, 1, 2, 3].map(|i| f64::from(r[i]));
        [x, y, x + w, y + h]
    };
    let centred = |[left, top, right, bottom]: [f64; 4]| {
        [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
    };
    let area =
        |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let (a, b) = (corners(a), corners(b));
    let distance: f64 = centred(a).iter().zip(centred(b)).map(|(a, b)| (a - b).abs()).sum();
    let common = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let around = area([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]);
    let union = area(a) + area(b) - common;
    distance + 1.0 - (common / union - (around - union) / around)
}

#[test]
fn a_rectangle_lies_around_its_centre() {
    let regions = grounding::regions_of(tensor(&[0.5, 0.25, 0.5, 0.125], 4));
    let expected = [0.25, 0.1875, 0.5, 0.125];
    assert_eq!(regions.into_data().iter::<f32>().collect::<Vec<_>>(), expected);
}

#[test]
fn the_right_rectangle_costs_nothing_and_one_far_off_more_than_one_near() {
    let truth = || tensor(&[0.1, 0.1, 0.2, 0.2], 4);
    let loss = |region: [f32; 4]| scalar(grounding::grounding_loss(tensor(&region, 4), truth()));
    assert!(loss([0.1, 0.1, 0.2, 0.2]).abs() < 1e-5);
    // Neither overlaps: the plain IoU could not tell them apart.
    assert!(loss([0.4, 0.1, 0.2, 0.2]) < loss([0.7, 0.1, 0.2, 0.2]));
}
