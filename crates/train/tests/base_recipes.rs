//! The papers' own sizes really run: two steps of two pairs each.

mod common;

use std::sync::Arc;

use burn::tensor::Device;
use weft_train::Recipe;
use weft_train::plan::Plan;
use weft_train::state::TrainState;
use weft_train::step::Stepper;

const BASE: [(&str, &str); 5] = [
    ("base-mamo", ""),
    ("base-unimo3", ""),
    ("base-mvp", MVP_STAGES),
    ("base-mvp-regions", MVP_STAGES),
    ("base-mvp-joint", ""),
];

const MVP_STAGES: &str = r#"stage=[{name="first", steps=1, objectives=["mcr"]},
    {name="second", steps=1, objectives=["itc", "wpg", "itm", "mlm", "mcr"]}]"#;

/// Weights, gradients, moments and twin as the plan has them; a second copy of the gradients, activations
/// and the allocator's reserve come on top.
const ON_TOP: f64 = 1.6;

fn available_bytes() -> f64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.available_memory() as f64
}

#[test]
fn base_recipes_take_two_steps() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    for (name, stages) in BASE {
        let mut settings = vec!["train.steps=2", "train.batch_size=2", "train.accumulate=1"];
        // What a published checkpoint would be without has random weights here.
        settings.extend(["data.source=emoji", "optimizer.warmup_steps=0"]);
        settings.extend((!stages.is_empty()).then_some(stages));
        if Recipe::open(name).unwrap().shown_tags().is_some() {
            // Of four tags some are hidden.
            settings.extend(["mask.tag_ratio=0.9", "concepts.tags.drop=0.0"]);
        }
        let settings: Vec<String> = settings.into_iter().map(String::from).collect();
        let mut recipe = Recipe::open(name).unwrap().with(&settings).unwrap();
        let words = recipe.tokenizer.vocab_size;
        recipe.model.concepts = recipe.concepts.as_ref().map(|concepts| concepts.at_most());

        let plan = Plan::new(&recipe, words, &device).unwrap();
        let needed = ON_TOP * (plan.state_bytes + plan.activation_bytes);
        let available = available_bytes();
        let gib = |bytes: f64| bytes / f64::from(1 << 30);
        if needed > available {
            eprintln!(
                "SKIPPED {name}: needs {:.1} GiB, {:.1} GiB are available",
                gib(needed),
                gib(available)
            );
            continue;
        }
        // The vocabulary is the emoji's; the tables have the recipe's size.
        let records = match recipe.shown_tags() {
            Some(_) => common::with_tags(common::records(4), folder.path()),
            None => common::records(4),
        };
        let learned = common::tokenizer(&recipe, &records);
        let tokenizer = match &recipe.concepts {
            Some(concepts) => {
                let concepts =
                    weft_train::concepts::ConceptRecipe { min_count: 1, ..concepts.clone() };
                Arc::new(concepts.teach((*learned).clone(), &records))
            }
            None => learned,
        };
        let records = match recipe.model.vision.regions {
            Some(regions) => common::with_regions(records, regions.features, folder.path()),
            None => records,
        };
        let stages = recipe.stages().unwrap();
        let batches = common::batches(&recipe, &tokenizer, &records);
        let stepper = Stepper::new(&recipe, &device).unwrap();
        let mut state = TrainState::new(&recipe, words, &device).unwrap();
        for (step, batch) in (0..2).zip(batches) {
            let line = stepper.step(&mut state, &[batch], step).unwrap();
            let loss = line.get("loss").unwrap();
            assert!(loss.is_finite() && loss > 0.0, "{name}: {loss}");
            // Of an objective that finds nothing in a batch the loss is 0.
            let now = stages.iter().find(|stage| stage.steps.contains(&step)).unwrap();
            for objective in now.objectives.build() {
                let of_objective = line.get(objective.name()).unwrap();
                assert!(of_objective > 0.0, "{name}: {} is {of_objective}", objective.name());
            }
            println!("{name}: {line:?}");
        }
    }
}
