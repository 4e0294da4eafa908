//! Pictures of classes: named without training, and told apart by a linear classifier on frozen
//! features.

use std::time::Instant;

use anyhow::{Context, Result};
use weft_data::dataset::SourceConfig;
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_data::scenes::{self, Target};
use weft_data::tasks::{Classes, Labelled, open_classes};
use weft_eval::{
    Answerer, Features, LinearProbe, STRENGTHS, TEMPLATES, TaskResult, class_embeddings, prompts,
    zero_shot,
};

use super::{result, source};
use crate::inference::Inference;

/// Templates for scenes, whose captions are of this kind.
const SCENE_TEMPLATES: [&str; 3] = ["a {}", "a picture of a {}", "there is a {}"];

/// Training pictures that the linear classifier sees.
const PROBE_PICTURES: usize = 4000;

/// Pictures of the classes of a data set. Of `scenes` the classes are the sprites.
pub fn open(config: &SourceConfig) -> Result<Classes> {
    if config.source != scenes::NAME {
        return Ok(open_classes(&source(config))?);
    }
    let (data, names) = scenes::labelled(&config.scenes, Target::Sprite)?;
    Ok(Classes { names, data })
}

/// The embeddings of pictures with their classes.
struct Embedded {
    values: Vec<f32>,
    labels: Vec<usize>,
}

impl Embedded {
    fn new(model: &Inference, examples: &[Labelled], ledger: &mut Ledger) -> Result<Self> {
        let record = |e: &Labelled| Record::new(&e.key, Vec::new(), e.picture.clone());
        let records: Vec<Record> = examples.iter().map(record).collect();
        let (values, readable) = model.image_embeddings(&records, ledger)?;
        let labels = readable.into_iter().map(|row| examples[row].class).collect();
        Ok(Self { values, labels })
    }

    fn features(&self, width: usize) -> Features<'_> {
        Features { values: &self.values, width, labels: &self.labels }
    }
}

/// Evaluates the test splits of `classes`, `zero_shot` by the similarity of the picture to "a picture of
/// a ..." and its like, `probe` by logistic regression on the picture's embedding, trained on `train`
/// and its penalty chosen on `val`.
///
/// # Errors
///
/// When a split is missing or cannot be read.
pub fn evaluate(model: &Inference, classes: &Classes, checkpoint: &str) -> Result<Vec<TaskResult>> {
    let width = model.recipe.model.projection_width;
    let on_scenes = classes.data.name == scenes::NAME;
    let templates: &[&str] = if on_scenes { &SCENE_TEMPLATES } else { &TEMPLATES };
    let texts = model.texts(&prompts(&classes.names, templates)?)?;
    let named = class_embeddings(&texts.embeddings, templates.len(), width)?;

    let mut ledger = classes.data.ledger.clone();
    let splits = &classes.data.splits;
    let mut embed = |split: &str, most: usize| {
        let examples = splits.get(split).with_context(|| format!("no split {split}"))?;
        Embedded::new(model, &examples[..examples.len().min(most)], &mut ledger)
    };
    let (train, val) = (embed("train", PROBE_PICTURES)?, embed("val", usize::MAX)?);
    let count = classes.names.len();
    let probe =
        LinearProbe::fit_best(train.features(width), val.features(width), count, &STRENGTHS)?;
    let majority = most_frequent(&train.labels, count);

    let mut results = Vec::new();
    for split in splits.keys().filter(|name| name.starts_with("test")) {
        let begun = Instant::now();
        let test = embed(split, usize::MAX)?;
        let n = test.labels.len();
        let mut result = result(model, "classification", split, checkpoint, n);
        let shot = zero_shot(&test.values, &named, width, &test.labels)?;
        result.add_figure("zero_shot_top1", Answerer::Model, shot.top1);
        result.add_figure("zero_shot_top5", Answerer::Model, shot.top5);
        let seen = |class: &usize| train.labels.contains(class);
        // A linear classifier cannot name a class that it was never shown.
        if test.labels.iter().all(seen) {
            let probed = probe.accuracy(test.features(width))?;
            result.add_figure("probe_top1", Answerer::Model, probed.top1);
            result.add_figure("probe_top5", Answerer::Model, probed.top5);
        }
        let right = test.labels.iter().filter(|class| **class == majority).count();
        for name in ["zero_shot", "probe"] {
            let chance = |k: usize| 100.0 * k.min(count) as f64 / count as f64;
            if !result.metrics.contains_key(&format!("{name}_top1")) {
                continue;
            }
            result.add_figure(&format!("{name}_top1"), Answerer::Chance, chance(1));
            result.add_figure(&format!("{name}_top5"), Answerer::Chance, chance(5));
            let share = 100.0 * right as f64 / n as f64;
            result.add_figure(&format!("{name}_top1"), Answerer::Majority, share);
        }
        result.seconds = begun.elapsed().as_secs_f64();
        results.push(result);
    }
    let seen = classes.data.splits.values().map(Vec::len).sum();
    ledger.check(model.recipe.data.bad_budget, seen)?;
    Ok(results)
}

/// The class of the most examples, of equal ones the first.
fn most_frequent(labels: &[usize], classes: usize) -> usize {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|class| counts[*class] += 1);
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).unwrap_or_default()
}
