//! The targets of MIM against plain loops, through a whole model.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{BATCH, CODES, IMAGE_MASK, PATCH, SIZE};
use proptest::prelude::*;
use weft_objectives::mim::{Mim, MimConfig};
use weft_objectives::{CodeLookup, Loss, Objective, PairBatch, Views};
use weft_vision::MaskMode;

/// Six digits: f32 sums of at most a few hundred terms.
fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-5 * (1.0 + expected.abs())
}

fn host<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f32>().map(f64::from).collect()
}

fn scalar(x: &Tensor<1>) -> f64 {
    f64::from(x.clone().inner().into_scalar::<f32>())
}

/// The pixels of each masked patch of the batch, by channel, row and column, in plain loops.
fn masked_patches() -> Vec<Vec<f64>> {
    let pixels = common::pixels();
    let side = 4;
    let mut patches = Vec::new();
    for place in (0..IMAGE_MASK.len()).filter(|place| IMAGE_MASK[*place] == 1) {
        let (picture, patch) = (place / 4, place % 4);
        let mut values = Vec::new();
        for channel in 0..3 {
            for row in 0..side {
                for column in 0..side {
                    let (y, x) = (patch / 2 * side + row, patch % 2 * side + column);
                    let at = ((picture * 3 + channel) * SIZE + y) * SIZE + x;
                    values.push(f64::from(pixels[at]));
                }
            }
        }
        patches.push(values);
    }
    patches
}

fn standardized(patch: &[f64]) -> Vec<f64> {
    let mean = patch.iter().sum::<f64>() / patch.len() as f64;
    let variance = patch.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / patch.len() as f64;
    patch.iter().map(|x| (x - mean) / (variance + 1e-6).sqrt()).collect()
}

/// The nearest of the common centres, by trying each.
fn code(patch: &[f64]) -> usize {
    let centres = common::centres();
    let distance = |code: usize| -> f64 {
        let centre = &centres[code * PATCH..][..PATCH];
        patch.iter().zip(centre).map(|(x, c)| (x - f64::from(*c)).powi(2)).sum()
    };
    (0..CODES).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap()
}

/// The loss of a table `[objectives.mim]`, with the predictions of the masked patches, row by row.
fn computed(mim: &str, change: impl Fn(PairBatch) -> PairBatch) -> (Loss, Vec<Vec<f64>>) {
    let device = Device::flex();
    let (model, twin) = common::mim_models(mim, MaskMode::Token, &device);
    let (batch, codebook) = (change(common::batch(&device)), common::codebook(&device));
    let config: MimConfig = toml::from_str(mim).unwrap();
    let mut views = Views::new(&model, &twin, &batch, 0).with_codebook(Some(&codebook));
    let loss = Mim(config).compute(&mut views);
    let image = views.fused_patches();
    let image = model.heads.mim_patches(image);
    let [_, patches, width] = image.dims();
    let rows = image.reshape([BATCH * patches, width]).select(0, batch.masked_patches.clone());
    let prediction = model.heads.mim_prediction(rows);
    let [_, output] = prediction.dims();
    (loss, host(prediction.inner()).chunks(output).map(<[f64]>::to_vec).collect())
}

fn same(batch: PairBatch) -> PairBatch {
    batch
}

#[test]
fn pixels() {
    let patches = masked_patches();
    let expected = |rows: &[Vec<f64>], target: &dyn Fn(&[f64]) -> Vec<f64>| {
        let rows = rows.iter().zip(&patches).map(|(row, patch)| {
            assert_eq!(row.len(), PATCH);
            row.iter().zip(target(patch)).map(|(p, t)| (p - t).abs()).sum::<f64>() / PATCH as f64
        });
        rows.sum::<f64>() / patches.len() as f64
    };
    for depth in ["", "head_depth = 1\n"] {
        let (loss, rows) = computed(&format!("{depth}target = \"pixels\""), same);
        let right = expected(&rows, &standardized);
        assert!(close(scalar(&loss.value), right), "{} {right}", scalar(&loss.value));
        let (loss, rows) =
            computed(&format!("{depth}target = \"pixels\"\nstandardize_target = false"), same);
        let right = expected(&rows, &<[f64]>::to_vec);
        assert!(close(scalar(&loss.value), right), "{} {right}", scalar(&loss.value));
        // Pixels cannot collapse: there is nothing to watch.
        assert!(loss.figures.is_empty());
    }
}

#[test]
fn tokens() {
    let patches = masked_patches();
    for (mim, target) in [
        ("target = \"tokens\"\ncodes = 6", standardized as fn(&[f64]) -> Vec<f64>),
        ("target = \"tokens\"\ncodes = 6\nhead_depth = 2", standardized),
        ("target = \"tokens\"\ncodes = 6\nstandardize_target = false", |patch| patch.to_vec()),
    ] {
        let (loss, rows) = computed(mim, same);
        let codes: Vec<usize> = patches.iter().map(|patch| code(&target(patch))).collect();
        assert!(codes.iter().any(|code| *code != codes[0]), "all patches have one code");
        let entropy = |(row, code): (&Vec<f64>, &usize)| {
            assert_eq!(row.len(), CODES);
            row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[*code]
        };
        let right = rows.iter().zip(&codes).map(entropy).sum::<f64>() / codes.len() as f64;
        assert!(close(scalar(&loss.value), right), "{mim}: {} {right}", scalar(&loss.value));
        let best = |row: &Vec<f64>| (0..CODES).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let hits = rows.iter().zip(&codes).filter(|(row, code)| best(row) == Some(**code)).count();
        let [(name, accuracy)] = &loss.figures[..] else { panic!("one figure") };
        assert_eq!(*name, "mim_accuracy");
        assert!(close(scalar(accuracy), hits as f64 / codes.len() as f64));
    }
}

#[test]
fn pixels_of_shared_pictures_are_each_pair_s_own() {
    let picture_of = |device| Tensor::from_ints([0, 0, 1, 1], &device);
    for mim in ["target = \"pixels\"", "target = \"tokens\"\ncodes = 6"] {
        let (shared, _) = computed(mim, |batch| PairBatch {
            images: batch.images.clone().narrow(0, 0, 2),
            picture_of: Some(picture_of(batch.images.device())),
            ..batch
        });
        let (apart, _) = computed(mim, |batch| PairBatch {
            images: batch.images.clone().select(0, picture_of(batch.images.device())),
            ..batch
        });
        assert!(close(scalar(&shared.value), scalar(&apart.value)), "{mim}");
    }
}

#[test]
fn the_keys_of_a_recipe() {
    let read = |text: &str| toml::from_str::<MimConfig>(text);
    let vision = common::config(MaskMode::Token).vision;
    // The head and the target that there were before there were others.
    let plain = read("").unwrap();
    assert_eq!((plain.head(&vision), plain.codebook(&vision)), (None, None));
    assert!(plain.needs_momentum() && plain.codes == 512);
    let head = |text: &str| read(text).unwrap().head(&vision).map(|head| (head.depth, head.output));
    assert_eq!(head("head_depth = 2"), Some((2, 8)));
    assert_eq!(head("target = \"pixels\""), Some((0, PATCH)));
    assert_eq!(head("target = \"tokens\""), Some((0, 512)));
    let tokens = read("target = \"tokens\"\ncodes = 9").unwrap();
    assert_eq!(tokens.codebook(&vision), Some((9, PATCH)));
    let error = read("target = \"words\"").unwrap_err().to_string();
    for name in ["features", "pixels", "tokens"] {
        assert!(error.contains(name), "{error}");
    }
}

fn lookup(centres: &[f32], width: usize) -> CodeLookup {
    CodeLookup::new(centres, width, &Device::flex())
}

fn nearest(patches: &[f32], centres: &[f32], width: usize) -> Vec<usize> {
    let shape = [patches.len() / width, width];
    let patches = Tensor::from_data(TensorData::new(patches.to_vec(), shape), &Device::flex());
    let codes = lookup(centres, width).nearest(patches);
    codes.into_data().iter::<i64>().map(|code| code as usize).collect()
}

/// The squared distance of each centre from a patch, in double precision.
fn distances(patch: &[f32], centres: &[f32]) -> Vec<f64> {
    let of = |centre: &[f32]| -> f64 {
        patch.iter().zip(centre).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    };
    centres.chunks_exact(patch.len()).map(of).collect()
}

fn least(distances: &[f64]) -> f64 {
    distances.iter().copied().fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of small whole numbers every sum is exact, and ties are many: the lower number wins.
    #[test]
    fn of_equally_near_codes_the_lower_number_is_taken(
        patches in proptest::collection::vec(-2i8..=2, 3 * 40),
        centres in proptest::collection::vec(-2i8..=2, 3 * 30),
    ) {
        let [patches, centres] =
            [patches, centres].map(|all| all.into_iter().map(f32::from).collect::<Vec<_>>());
        let found = nearest(&patches, &centres, 3);
        for (patch, found) in patches.chunks_exact(3).zip(found) {
            let distances = distances(patch, &centres);
            let least = least(&distances);
            prop_assert_eq!(distances.iter().position(|d| *d == least), Some(found));
        }
    }

    #[test]
    fn the_nearest_code_is_found(
        patches in proptest::collection::vec(-3.0f32..3.0, PATCH * 20),
        centres in proptest::collection::vec(-3.0f32..3.0, PATCH * 16),
    ) {
        let found = nearest(&patches, &centres, PATCH);
        for (patch, found) in patches.chunks_exact(PATCH).zip(found) {
            let distances = distances(patch, &centres);
            // Rounding of f32 products of 48 numbers up to 9 may choose between two that are so near.
            prop_assert!(distances[found] <= least(&distances) + 1e-3);
        }
    }
}

#[test]
fn a_lookup_knows_its_size() {
    assert_eq!(lookup(&common::centres(), PATCH).codes(), CODES);
}
