//! The targets of MIM, from pictures to a loss that falls.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use weft_data::codebook::{PatchSample, cut, standardize};
use weft_objectives::CodeLookup;
use weft_train::Recipe;
use weft_train::codebook;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

const PICTURES: usize = 8;
const STEPS: usize = 60;

/// `quick`, tiny, with MIM alone; `mim` is what its table holds.
fn recipe(mim: &str) -> Recipe {
    let objectives = format!("objectives={{mim={{{mim}}}}}");
    let settings = ["train.steps=60", "optimizer.lr=2e-3", "optimizer.warmup_steps=5", &objectives];
    common::tiny(&settings)
}

/// The loss of each step over the same eight pairs, masked anew each time.
fn losses(mim: &str) -> Vec<f64> {
    let (recipe, device) = (recipe(mim), Device::flex());
    let records = common::records(PICTURES);
    let tokenizer = common::tokenizer(&recipe, &records);
    let learned = codebook::begin(&recipe, &records, &recipe.pipeline(tokenizer.clone())).unwrap();
    let codes = learned.as_ref().map(|(codebook, _)| codebook);
    let stepper = Stepper::new(&recipe, &device).unwrap().with_codebook(codes);
    let mut state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let batches = common::batches(&recipe, &tokenizer, &records).take(STEPS);
    let step = |(step, batch)| stepper.step(&mut state, &[batch], step).unwrap();
    (0..).zip(batches).map(step).map(|line| line.get("mim").unwrap()).collect()
}

#[test]
fn the_loss_of_every_target_and_head_falls() {
    for mim in [
        "",
        "head_depth=1",
        "target=\"pixels\"",
        "target=\"pixels\", head_depth=1",
        "target=\"tokens\", codes=8",
        "target=\"tokens\", codes=8, head_depth=1",
    ] {
        let losses = losses(mim);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{mim}: {losses:?}");
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[STEPS - 5..]));
        println!("{mim:40} {first:.4} -> {last:.4}");
        assert!(last < 0.9 * first, "{mim}: {first} -> {last}");
    }
}

/// What is learned from on the host is what is looked up on the device.
#[test]
fn patches_and_codes_are_the_same_on_host_and_device() {
    let (recipe, device) = (recipe("target=\"tokens\", codes=8"), Device::flex());
    let records = common::records(PICTURES);
    let tokenizer = common::tokenizer(&recipe, &records);
    let pipeline = recipe.pipeline(tokenizer.clone());
    let (codebook, line) = codebook::begin(&recipe, &records, &pipeline).unwrap().unwrap();
    assert!(line.starts_with("codebook: 8 codes of 32 patches"), "{line}");

    let (size, side) = (pipeline.preprocess.size, pipeline.patch_size);
    let places = pipeline.grid().iter().product();
    let mut pictures = Vec::new();
    let mut patches: Vec<f32> = Vec::new();
    for record in &records {
        let picture = pipeline.picture(record).unwrap();
        patches.extend((0..places).flat_map(|place| cut(&picture, size, side, place)));
        pictures.extend(picture);
    }
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    let pictures = TensorData::new(pictures, [PICTURES, 3, size, size]);
    let pictures = Tensor::<4>::from_data(pictures, &device);
    let cut = state.twin.vision.patch_embedding.patches(pictures);
    let [count, each, width] = cut.dims();
    assert_eq!([count, each, width], [PICTURES, places, codebook.width()]);
    let cut = cut.reshape([count * each, width]);
    assert_eq!(cut.clone().into_data().iter::<f32>().collect::<Vec<_>>(), patches);

    let standardized: Vec<f32> = patches.chunks_exact(width).flat_map(standardize).collect();
    let of_device = weft_kernels::standardize(cut, 1e-6);
    for (host, device) in standardized.iter().zip(of_device.clone().into_data().iter::<f32>()) {
        // f32 sums of 972 pixels against double precision; one of a patch of one colour is 0.
        assert!((host - device).abs() < 1e-4, "{host} {device}");
    }
    let lookup = CodeLookup::new(codebook.centres(), codebook.width(), &device);
    let found = lookup.nearest(of_device).into_data().iter::<i64>().collect::<Vec<_>>();
    let expected: Vec<i64> = codebook.encode(&standardized).iter().map(|c| *c as i64).collect();
    assert_eq!(found, expected);
    // Learned from exactly these.
    let sample = PatchSample { patches: 100, standardized: true }.take(&records, &pipeline);
    assert_eq!(sample.len(), patches.len());
}

#[test]
fn a_codebook_is_learned_only_where_codes_are_predicted_and_of_patches_enough() {
    let records = common::records(PICTURES);
    let begin = |mim: &str| {
        let recipe = recipe(mim);
        let tokenizer = common::tokenizer(&recipe, &records);
        codebook::begin(&recipe, &records, &recipe.pipeline(tokenizer))
    };
    assert!(begin("").unwrap().is_none());
    assert!(begin("target=\"pixels\"").unwrap().is_none());
    let error = format!("{:#}", begin("target=\"tokens\"").unwrap_err());
    assert!(error.contains("512 codes of 32 patches"), "{error}");
    assert!(error.contains("objectives.mim.codes"), "{error}");
    // The same records and seed, the same codes; another seed, others.
    let codes = |mim| begin(mim).unwrap().unwrap().0;
    assert_eq!(codes("target=\"tokens\", codes=8"), codes("target=\"tokens\", codes=8"));
    let raw = codes("target=\"tokens\", codes=8, standardize_target=false");
    assert_ne!(raw, codes("target=\"tokens\", codes=8"));
}
