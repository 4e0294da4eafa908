//! The tags of a picture are the names nearest to it: by the test's own prompts, cosines and order.

mod common;

use burn::tensor::Device;
use weft_data::dataset::SourceConfig;
use weft_data::error::Ledger;
use weft_data::record::{Picture, Record};
use weft_data::scenes;
use weft_eval::TEMPLATES;
use weft_train::inference::Inference;
use weft_train::prompts::templates;
use weft_train::state::TrainState;
use weft_train::tagging::Tagger;

const NAMES: [&str; 7] = ["panda", "violin", "ice cream", "circle", "red", "umbrella", "dog"];

/// Weights so large that pictures and names lie apart without having been learnt.
fn model(records: &[Record]) -> Inference {
    let (recipe, device) = (common::tiny(&["model.init_std=0.3"]), Device::flex());
    let tokenizer = common::tokenizer(&recipe, records);
    let state = TrainState::new(&recipe, tokenizer.vocab_size(), &device).unwrap();
    Inference::new(&recipe, tokenizer, &state.model, &device)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Of length one.
fn unit(x: &[f64]) -> Vec<f64> {
    let length = dot(x, x).sqrt();
    x.iter().map(|x| x / length).collect()
}

fn numbers(embedding: &[f32]) -> Vec<f64> {
    embedding.iter().map(|x| f64::from(*x)).collect()
}

/// The direction of the mean of a name's prompts.
fn of_name(model: &Inference, name: &str, templates: &[&str]) -> Vec<f64> {
    let mut sum = vec![0.0; model.recipe.model.projection_width];
    for template in templates {
        let prompt = template.replace("{}", name);
        let embedding = numbers(&model.texts(&[prompt]).unwrap().embeddings);
        sum.iter_mut().zip(unit(&embedding)).for_each(|(sum, x)| *sum += x);
    }
    unit(&sum)
}

/// The cosine of each name to the picture of `record`.
fn cosines(model: &Inference, record: &Record, templates: &[&str]) -> Vec<f64> {
    let picture = unit(&numbers(&model.image(record).unwrap().embeddings));
    NAMES.iter().map(|name| dot(&of_name(model, name, templates), &picture)).collect()
}

/// At most `most` names of at least a cosine of `least`, one after the other the nearest that is left.
fn nearest(cosines: &[f64], most: usize, least: f64) -> Vec<&'static str> {
    let mut left: Vec<usize> = (0..NAMES.len()).filter(|name| cosines[*name] >= least).collect();
    let mut chosen = Vec::new();
    while chosen.len() < most && !left.is_empty() {
        let farther = |a: &usize, b: &usize| cosines[*a].total_cmp(&cosines[*b]);
        let best = left.iter().copied().max_by(farther).unwrap();
        left.retain(|name| *name != best);
        chosen.push(NAMES[best]);
    }
    chosen
}

#[test]
fn the_nearest_names_are_chosen_the_nearest_first() {
    let all = common::records(32);
    let model = model(&all);
    let mut records = all[..8].to_vec();
    // A picture that cannot be read has no tags, and leaves the others their numbers.
    records.insert(1, Record::new("broken", Vec::new(), Picture::Embedded(&[])));
    let readable = [0, 2, 3, 4, 5, 6, 7, 8];
    let cosines = readable.map(|picture| cosines(&model, &records[picture], &TEMPLATES));
    let mut sorted = cosines.concat();
    sorted.sort_by(f64::total_cmp);
    // Half of the names are as near as this.
    let middle = 0.5 * (sorted[27] + sorted[28]);

    for (most, least) in [(2, -1.0), (NAMES.len(), -1.0), (NAMES.len(), middle), (3, middle)] {
        let names = NAMES.map(String::from).to_vec();
        let tagger = Tagger::new(&model, names, &TEMPLATES, most, least as f32).unwrap();
        let mut ledger = Ledger::default();
        let found = tagger.tags(&records, &mut ledger).unwrap();
        let pictures: Vec<usize> = found.iter().map(|(picture, _)| *picture).collect();
        assert_eq!((pictures, ledger.total()), (readable.to_vec(), 1));
        for ((picture, tags), cosines) in found.iter().zip(&cosines) {
            let expected = nearest(cosines, most, least);
            assert_eq!(*tags, expected, "picture {picture}: at most {most} from {least}");
        }
    }
    // Which names are near depends on the picture.
    let order = |cosines: &Vec<f64>| nearest(cosines, NAMES.len(), -1.0);
    assert!(cosines.iter().any(|of_picture| order(of_picture) != order(&cosines[0])));
}

#[test]
fn scenes_are_asked_about_in_their_own_words() {
    let of = |source: &str| templates(&SourceConfig::new(source));
    assert_eq!(of("pictures/of/mine"), TEMPLATES);
    let own = of(scenes::NAME);
    let records = common::records(8);
    let model = model(&records);
    let tags = |templates: &[&str]| {
        let names = NAMES.map(String::from).to_vec();
        let tagger = Tagger::new(&model, names, templates, NAMES.len(), -1.0).unwrap();
        let found = tagger.tags(&records, &mut Ledger::default()).unwrap();
        found.into_iter().map(|(_, tags)| tags.join(",")).collect::<Vec<_>>()
    };
    let by_loops = |record| nearest(&cosines(&model, record, own), NAMES.len(), -1.0).join(",");
    assert_eq!(tags(own), records.iter().map(by_loops).collect::<Vec<_>>());
    assert_ne!(tags(own), tags(&TEMPLATES), "the prompts make no difference here");
}
