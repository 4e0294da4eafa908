//! Each recipe, and each row of a grid, computes every pass of an encoder once per step, and those alone that were
//! foreseen.

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use burn::tensor::Device;
use weft_data::batch::Batch;
use weft_data::dataset::{self, SourceConfig};
use weft_data::loader::{Loader, LoaderConfig};
use weft_data::pipeline::Pipeline;
use weft_data::record::Record;
use weft_data::scenes::ScenesConfig;
use weft_data::tokenizer::Tokenizer;
use weft_objectives::mim::MimTarget;
use weft_objectives::{CodeLookup, Objectives, PairBatch, Pass, Views};
use weft_train::ablation::Ablation;
use weft_train::codebook;
use weft_train::concepts::ConceptRecipe;
use weft_train::device_batch::to_device;
use weft_train::recipe::Recipe;
use weft_train::state::TrainState;

const PAIRS: usize = 6;

/// What makes any recipe small without changing what it computes: its objectives, kinds of encoders, connections
/// and masks stay.
const SMALL: [&str; 17] = [
    "train.batch_size=6",
    "train.per_picture=1",
    "tokenizer.vocab_size=300",
    "model.vision.image_size=24",
    "model.vision.patch_size=8",
    "model.vision.transformer.width=32",
    "model.vision.transformer.depth=1",
    "model.vision.transformer.heads=2",
    "model.text.transformer.width=32",
    "model.text.transformer.depth=1",
    "model.text.transformer.heads=2",
    "model.fusion.transformer.width=32",
    "model.fusion.transformer.depth=1",
    "model.fusion.transformer.heads=2",
    // Concepts that few captions have, and enough tags that some are hidden.
    "mask.tag_ratio=0.9",
    "mask.text_ratio=0.5",
    "mask.image_block=1",
];

fn small(recipe: &Recipe) -> Recipe {
    let mut settings: Vec<String> = SMALL.map(String::from).to_vec();
    if recipe.concepts.as_ref().is_some_and(|concepts| concepts.tags.is_some()) {
        settings.push("concepts.tags.drop=0.0".into());
    }
    if recipe.objectives.mim.as_ref().is_some_and(|mim| mim.target == MimTarget::Tokens) {
        settings.push("objectives.mim.codes=8".into());
    }
    recipe.with(&settings).unwrap()
}

fn records() -> Vec<Record> {
    let scenes = ScenesConfig { size: 48, train: PAIRS, val: 2, test: 2, ..Default::default() };
    let config = SourceConfig { scenes, ..SourceConfig::new("scenes") };
    dataset::open(&config).unwrap().split("train").unwrap().to_vec()
}

fn tokenizer(recipe: &Recipe, records: &[Record]) -> Arc<Tokenizer> {
    let learned = common::tokenizer(recipe, records);
    let Some(concepts) = &recipe.concepts else { return learned };
    let concepts = ConceptRecipe { min_count: 1, ..concepts.clone() };
    Arc::new(concepts.teach((*learned).clone(), records))
}

/// A batch as in training, with tags where the recipe shows some.
fn batch(recipe: &Recipe, tokenizer: &Arc<Tokenizer>, records: Vec<Record>) -> Batch {
    let pipeline = Pipeline { tags: recipe.shown_tags(), ..recipe.pipeline(tokenizer.clone()) };
    let config = LoaderConfig {
        batch_size: PAIRS,
        per_picture: 1,
        workers: 1,
        queue: 1,
        seed: 0,
        bad_budget: 0.0,
    };
    let mut loader = Loader::new(Arc::new(records), Arc::new(pipeline), config, 0).unwrap();
    loader.next().unwrap().unwrap()
}

/// The passes of a step of `objectives`.
fn made(
    state: &TrainState,
    pairs: &PairBatch,
    objectives: &Objectives,
    codes: Option<&CodeLookup>,
) -> Vec<Pass> {
    let views = Views::new(&state.model, &state.twin, pairs, 0).with_codebook(codes);
    let mut views = views.for_objectives(objectives);
    for objective in objectives.build() {
        let loss = objective.compute(&mut views).value.inner().into_scalar::<f32>();
        assert!(loss.is_finite(), "{}: {loss}", objective.name());
    }
    views.passes().to_vec()
}

fn check(name: &str, recipe: &Recipe) {
    let mut recipe = small(recipe);
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let records = match recipe.model.vision.regions {
        Some(regions) => common::with_regions(records(), regions.features, folder.path()),
        None => records(),
    };
    let tokenizer = tokenizer(&recipe, &records);
    recipe.model.concepts = recipe.concepts.as_ref().map(|concepts| concepts.of_model(&tokenizer));
    let learned = codebook::begin(&recipe, &records, &recipe.pipeline(tokenizer.clone())).unwrap();
    let codes =
        learned.map(|(codebook, _)| CodeLookup::new(codebook.centres(), codebook.width(), &device));
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &Device::flex()).unwrap();
    let pairs = to_device(&batch(&recipe, &tokenizer, records), 0, &device).unwrap();
    for stage in recipe.stages().unwrap() {
        let found = made(&state, &pairs, &stage.objectives, codes.as_ref());
        let once: HashSet<String> = found.iter().map(|pass| format!("{pass:?}")).collect();
        assert_eq!(once.len(), found.len(), "{name} {}: {found:?}", stage.name);
        let foreseen = stage.objectives.passes(1, pairs.tags.is_some());
        let foreseen: HashSet<String> = foreseen.iter().map(|pass| format!("{pass:?}")).collect();
        assert_eq!(once, foreseen, "{name} {}", stage.name);
        assert!(!found.is_empty());
    }
}

#[test]
fn each_recipe_makes_each_of_its_passes_once() {
    for name in Recipe::built_in() {
        check(name, &Recipe::open(name).unwrap());
    }
}

#[test]
fn each_row_of_a_grid_makes_each_of_its_passes_once() {
    for name in Ablation::built_in() {
        let grid = Ablation::open(name).unwrap();
        for variant in &grid.variants {
            check(&format!("{name}, {}", variant.name), &grid.recipe_of(variant).unwrap());
        }
        if let Some(start) = &grid.start {
            check(&format!("{name}, start"), &start.recipe_of(0).unwrap());
        }
    }
}
