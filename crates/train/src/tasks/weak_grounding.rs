//! Grounding without having seen a rectangle: Grad-CAM chooses among proposals.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_data::tasks::{Expression, Region, TaskData};
use weft_eval::{Answerer, HeatMap, TaskResult, choose, grounding};

use super::chunks::{chunks, partner};
use super::{result, total};
use crate::inference::Inference;

/// A phrase with the heat maps of its own text and, where there is another phrase, of that one's.
struct Mapped<'a> {
    phrase: &'a Expression,
    own: Vec<f32>,
    other: Option<Vec<f32>>,
}

/// Evaluates one split by ALBEF's protocol (section 6.5; the model may have been fine-tuned on the phrases without their
/// rectangles, `data.expressions`): the proposal with the largest sum of the map
/// over the square root of its area; right from an intersection over union of 0.5 on. `_picture_only` is
/// the same with another phrase's map over the picture (where there is another), `_chance` a proposal drawn at random.
///
/// # Errors
///
/// When a phrase has no proposals, too many pictures cannot be read, or the matching head was not
/// trained.
pub fn evaluate(
    model: &Inference,
    data: &TaskData<Expression>,
    split: &str,
    layer: usize,
    checkpoint: &str,
) -> Result<TaskResult> {
    let begun = Instant::now();
    let phrases = data.split(split)?;
    // What was wrong when they were opened was held against the budget there.
    let mut ledger = Ledger::default();
    let side =
        model.recipe.patch_grid().context("heat maps are of patches; the model sees regions")?;
    let (mut own, mut other, mut chance) = (Vec::new(), Vec::new(), Vec::new());
    for phrases in chunks(phrases) {
        for Mapped { phrase, own: map, other: wrong } in maps(model, phrases, layer, &mut ledger)? {
            ensure!(
                !phrase.proposals.is_empty(),
                "{}: a phrase without proposals; weakly supervised grounding chooses among some",
                phrase.key
            );
            let grid = [side.rows, side.columns];
            own.push((phrase.region, chosen(phrase, &map, grid)?));
            if let Some(wrong) = wrong {
                other.push((phrase.region, chosen(phrase, &wrong, grid)?));
            }
            chance.extend(by_chance(phrase));
        }
    }
    ledger.check(model.recipe.data.bad_budget, total(data))?;
    let mut result = result(model, "weak_grounding", split, checkpoint, own.len());
    for (who, pairs) in [(Answerer::Model, own), (Answerer::PictureOnly, other)] {
        if who == Answerer::PictureOnly && pairs.is_empty() {
            continue;
        }
        let scores = grounding(pairs)?;
        result.add_figure("accuracy", who, scores.accuracy);
        result.add_figure("mean_iou", who, scores.mean_iou);
    }
    let mean = chance.iter().sum::<f64>() / chance.len() as f64;
    result.add_figure("accuracy", Answerer::Chance, 100.0 * mean);
    result.seconds = begun.elapsed().as_secs_f64();
    Ok(result)
}

fn maps<'a>(
    model: &Inference,
    phrases: &'a [Expression],
    layer: usize,
    ledger: &mut Ledger,
) -> Result<Vec<Mapped<'a>>> {
    let record = |p: &Expression| Record::new(&p.key, Vec::new(), p.picture.clone());
    let records: Vec<Record> = phrases.iter().map(record).collect();
    let Some((images, readable)) = model.images(&records, ledger)? else { return Ok(Vec::new()) };
    let texts: Vec<String> = readable.iter().map(|row| phrases[*row].text.clone()).collect();
    let texts = model.texts(&texts)?;
    let count = readable.len();
    let own: Vec<_> = (0..count).map(|at| (at, at)).collect();
    let wrong: Vec<_> = (0..count).filter_map(|at| Some((at, partner(at, count)?))).collect();
    let own = model.grad_cam(&images, &texts, &own, layer)?;
    let mut other = model.grad_cam(&images, &texts, &wrong, layer)?.into_iter();
    let mapped = readable.into_iter().zip(own);
    // Each phrase has a partner, or the only one has none.
    let mapped =
        mapped.map(|(row, own)| Mapped { phrase: &phrases[row], own, other: other.next() });
    Ok(mapped.collect())
}

fn chosen(phrase: &Expression, map: &[f32], grid: [usize; 2]) -> Result<Option<Region>> {
    let map = HeatMap::new(map, grid, phrase.size)?;
    let scores: Vec<f64> = phrase.proposals.iter().map(|region| map.score(*region)).collect();
    Ok(choose(&scores, &phrase.proposals, phrase.region)?)
}

/// The share of the proposals that are right.
fn by_chance(phrase: &Expression) -> Option<f64> {
    let right = |region: &&Region| weft_eval::iou(**region, phrase.region) >= 0.5;
    let count = phrase.proposals.len();
    (count > 0).then(|| phrase.proposals.iter().filter(right).count() as f64 / count as f64)
}
