//! Pictures of classes: named without training, and told apart by a linear classifier on frozen
//! features.

use std::time::Instant;

use anyhow::{Result, ensure};
use weft_data::dataset::SourceConfig;
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_data::scenes::{self, Target};
use weft_data::tasks::{Classes, Labelled, open_classes};
use weft_eval::{
    Answerer, Features, LinearProbe, STRENGTHS, TaskResult, class_embeddings, prompts, zero_shot,
};

use super::{needs_patches, result, total};
use crate::inference::Inference;
use crate::prompts::templates;

/// What a scene's objects have besides a name, by the name of the task that probes it.
const ATTRIBUTES: [(&str, Target); 3] = [
    ("attribute: colour", Target::Colour),
    ("attribute: shape", Target::Shape),
    ("attribute: size", Target::Size),
];

/// Training pictures of scenes that the linear classifier sees: there are as many as one likes, and their
/// classes come in turn. Of other data it sees all, whose order may be that of their classes.
const PROBE_SCENES: usize = 4000;

/// Pictures of the classes of a data set. Of `scenes` the classes are the sprites.
fn open(config: &SourceConfig) -> Result<Classes> {
    if !on_scenes(config) {
        return Ok(open_classes(&config.of_tasks())?);
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
        ensure!(!readable.is_empty(), "none of {} pictures can be read\n{ledger}", examples.len());
        let labels = readable.into_iter().map(|row| examples[row].class).collect();
        Ok(Self { values, labels })
    }

    fn features(&self, width: usize) -> Features<'_> {
        Features { values: &self.values, width, labels: &self.labels }
    }
}

/// What a linear classifier learns of a model's frozen features.
struct Probed {
    probe: LinearProbe,
    /// Classes that it was shown.
    seen: Vec<bool>,
    /// The class of the most training pictures.
    majority: usize,
}

impl Probed {
    /// Logistic regression on `train`, its penalty chosen on `val`.
    fn new(train: &Embedded, val: &Embedded, classes: usize, width: usize) -> Result<Self> {
        let probe =
            LinearProbe::fit_best(train.features(width), val.features(width), classes, &STRENGTHS)?;
        let seen = (0..classes).map(|class| train.labels.contains(&class)).collect();
        Ok(Self { probe, seen, majority: most_frequent(&train.labels, classes) })
    }

    /// Adds its accuracy on `test`, unless there are classes in it that it was never shown: it cannot name
    /// those.
    fn add_to(&self, result: &mut TaskResult, test: &Embedded, width: usize) -> Result<()> {
        if test.labels.iter().all(|class| self.seen[*class]) {
            let probed = self.probe.accuracy(test.features(width))?;
            result.add_figure("probe_top1", Answerer::Model, probed.top1);
            if self.seen.len() > 5 {
                result.add_figure("probe_top5", Answerer::Model, probed.top5);
            }
            self.add_blind(result, "probe", test);
        }
        Ok(())
    }

    /// What chance and the most frequent class give for the figures that begin with `name`.
    fn add_blind(&self, result: &mut TaskResult, name: &str, test: &Embedded) {
        let count = self.seen.len();
        let chance = |k: usize| 100.0 * k.min(count) as f64 / count as f64;
        let right = test.labels.iter().filter(|class| **class == self.majority).count();
        let share = 100.0 * right as f64 / test.labels.len() as f64;
        result.add_figure(&format!("{name}_top1"), Answerer::Chance, chance(1));
        if count > 5 {
            result.add_figure(&format!("{name}_top5"), Answerer::Chance, chance(5));
        }
        result.add_figure(&format!("{name}_top1"), Answerer::Majority, share);
    }
}

/// The pictures of a data set's splits, embedded when they are asked for.
struct Splits<'a> {
    model: &'a Inference,
    classes: &'a Classes,
    /// Most training pictures that the linear classifier sees.
    most: usize,
    ledger: Ledger,
}

impl<'a> Splits<'a> {
    fn new(model: &'a Inference, classes: &'a Classes, config: &SourceConfig) -> Self {
        let most = if on_scenes(config) { PROBE_SCENES } else { usize::MAX };
        // What was wrong when they were opened was held against the budget there.
        Self { model, classes, most, ledger: Ledger::default() }
    }

    fn embed(&mut self, split: &str, most: usize) -> Result<Embedded> {
        let examples = self.classes.data.split(split)?;
        Embedded::new(self.model, &examples[..examples.len().min(most)], &mut self.ledger)
    }

    /// The classifier that the splits `train` and `val` make.
    fn probe(&mut self) -> Result<Probed> {
        let (train, val) = (self.embed("train", self.most)?, self.embed("val", usize::MAX)?);
        let width = self.model.recipe.model.projection_width;
        Probed::new(&train, &val, self.classes.names.len(), width)
    }

    /// `wanted`, or where that is empty every test split.
    fn evaluated(&self, wanted: &[String]) -> Vec<String> {
        let tests = self.classes.data.splits.keys().filter(|name| name.starts_with("test"));
        if wanted.is_empty() { tests.cloned().collect() } else { wanted.to_vec() }
    }

    /// Fails where too many pictures could not be read.
    fn check(self) -> Result<()> {
        let data_set = total(&self.classes.data);
        Ok(self.ledger.check(self.model.recipe.data.bad_budget, data_set)?)
    }
}

fn on_scenes(config: &SourceConfig) -> bool {
    config.source == scenes::NAME
}

/// Evaluates the splits `wanted` of the classes of `config` (none: every test split), `zero_shot` by the similarity of the picture to "a picture of
/// a ..." and its like, `probe` by logistic regression on the picture's embedding, trained on `train`
/// and its penalty chosen on `val`.
///
/// # Errors
///
/// When there are no classes, or a split is missing or cannot be read.
pub fn evaluate(
    model: &Inference,
    config: &SourceConfig,
    wanted: &[String],
    checkpoint: &str,
) -> Result<Vec<TaskResult>> {
    let width = model.recipe.model.projection_width;
    let classes = open(config)?;
    let templates = templates(config);
    let texts = model.texts(&prompts(&classes.names, templates)?)?;
    let named = class_embeddings(&texts.embeddings, templates.len(), width)?;

    let mut splits = Splits::new(model, &classes, config);
    let probed = splits.probe()?;
    let mut results = Vec::new();
    for split in splits.evaluated(wanted) {
        let begun = Instant::now();
        let test = splits.embed(&split, usize::MAX)?;
        let mut result = result(model, "classification", &split, checkpoint, test.labels.len());
        let shot = zero_shot(&test.values, &named, width, &test.labels)?;
        result.add_figure("zero_shot_top1", Answerer::Model, shot.top1);
        result.add_figure("zero_shot_top5", Answerer::Model, shot.top5);
        probed.add_blind(&mut result, "zero_shot", &test);
        probed.add_to(&mut result, &test, width)?;
        result.seconds = begun.elapsed().as_secs_f64();
        results.push(result);
    }
    splits.check()?;
    Ok(results)
}

/// Whether the colour and the shape on which a thing stands and its size can be read from a picture's
/// embedding at all: a linear probe of each on scenes of one object. What it cannot find, no question about
/// it will.
///
/// # Errors
///
/// As [`evaluate`]; when the data are no scenes.
pub fn attributes(
    model: &Inference,
    config: &SourceConfig,
    wanted: &[String],
    checkpoint: &str,
) -> Result<Vec<TaskResult>> {
    ensure!(on_scenes(config), "attributes are known of the data set scenes alone");
    needs_patches(&model.recipe)?;
    let width = model.recipe.model.projection_width;
    let mut results = Vec::new();
    for (task, target) in ATTRIBUTES {
        let (data, names) = scenes::labelled(&config.scenes, target)?;
        let classes = Classes { names, data };
        let mut splits = Splits::new(model, &classes, config);
        let probed = splits.probe()?;
        for split in splits.evaluated(wanted) {
            let begun = Instant::now();
            let test = splits.embed(&split, usize::MAX)?;
            let mut result = result(model, task, &split, checkpoint, test.labels.len());
            probed.add_to(&mut result, &test, width)?;
            result.seconds = begun.elapsed().as_secs_f64();
            results.push(result);
        }
        splits.check()?;
    }
    Ok(results)
}

/// The class of the most examples, of equal ones the first.
fn most_frequent(labels: &[usize], classes: usize) -> usize {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|class| counts[*class] += 1);
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().position(|count| *count == most).unwrap_or_default()
}
