//! Patches for a codebook, and the codes of patches.

mod common;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_data::codebook::{Codebook, PatchSample, cut, standardize};
use weft_data::pipeline::Pipeline;
use weft_data::record::{Picture, Record};

const SAMPLE: PatchSample = PatchSample { patches: 100, standardized: true };

/// Of a picture of 32 pixels, 16 patches of 8.
const WIDTH: usize = 3 * 8 * 8;

fn rows(patches: &[f32]) -> Vec<Vec<u32>> {
    patches.chunks_exact(WIDTH).map(|p| p.iter().map(|x| x.to_bits()).collect()).collect()
}

#[test]
fn a_sample_is_of_patches_as_evaluation_sees_them() {
    let (records, pipeline) = (common::records(40), common::pipeline());
    let all: BTreeSet<Vec<u32>> = records
        .iter()
        .flat_map(|record| {
            let picture = pipeline.picture(record).unwrap();
            (0..16).flat_map(move |at| standardize(&cut(&picture, 32, 8, at))).collect::<Vec<_>>()
        })
        .collect::<Vec<f32>>()
        .chunks_exact(WIDTH)
        .map(|p| p.iter().map(|x| x.to_bits()).collect())
        .collect();
    let taken = rows(&SAMPLE.take(&records, &pipeline));
    assert_eq!(taken.len(), SAMPLE.patches);
    assert!(taken.iter().all(|patch| all.contains(patch)));
    let raw = PatchSample { standardized: false, ..SAMPLE };
    assert_ne!(rows(&raw.take(&records, &pipeline)), taken);
}

#[test]
fn a_sample_depends_on_the_seed_and_not_on_threads_or_augmentation() {
    let (records, pipeline) = (common::records(40), common::pipeline());
    let take = |pipeline: &Pipeline| SAMPLE.take(&records, pipeline);
    let taken = take(&pipeline);
    assert_eq!(taken, take(&Pipeline { augment: None, ..pipeline.clone() }));
    assert_ne!(taken, take(&Pipeline { seed: 6, ..pipeline.clone() }));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(taken, pool.install(|| take(&pipeline)));
}

#[test]
fn few_pictures_give_all_their_patches_and_bad_ones_none() {
    let pipeline = common::pipeline();
    let mut records = common::records(3);
    records.push(Record::new("bad", vec!["bad".into()], Picture::Embedded(b"no picture")));
    assert_eq!(rows(&SAMPLE.take(&records, &pipeline)).len(), 3 * 16);
    assert!(SAMPLE.take(&records[3..], &pipeline).is_empty());
    assert!(SAMPLE.take(&[], &pipeline).is_empty());
}

#[test]
fn what_was_learned_is_told() {
    let (records, pipeline) = (common::records(40), common::pipeline());
    let patches = SAMPLE.take(&records, &pipeline);
    let (few, of_few) = Codebook::learn(&patches, WIDTH, 2, 1).unwrap();
    let (more, of_more) = Codebook::learn(&patches, WIDTH, 20, 1).unwrap();
    assert_eq!([few.codes(), more.codes(), more.width()], [2, 20, WIDTH]);
    assert_eq!(of_few.patches, SAMPLE.patches);
    assert!(of_more.distortion < of_few.distortion && of_few.distortion < 1.0);
    let error = Codebook::learn(&patches, WIDTH, 101, 1).unwrap_err().to_string();
    assert!(error.contains("101 codes of 100 patches"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_code_is_the_nearest_centre(patches in proptest::collection::vec(-3.0f32..3.0, 60 * 5)) {
        let (codebook, _) = Codebook::learn(&patches, 5, 9, 2).unwrap();
        let distance = |patch: &[f32], code: usize| -> f64 {
            let centre = &codebook.centres()[code * 5..][..5];
            patch.iter().zip(centre).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
        };
        for (patch, code) in patches.chunks_exact(5).zip(codebook.encode(&patches)) {
            let least = (0..9).map(|code| distance(patch, code)).fold(f64::INFINITY, f64::min);
            // Rounding of f32 sums may choose between two that are equally near.
            prop_assert!(distance(patch, code) <= least + 1e-5 * (1.0 + least));
        }
    }
}
