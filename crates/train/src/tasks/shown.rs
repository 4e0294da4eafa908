//! Single examples for a page: what was asked, what the model said, where it looked.

use anyhow::{Context, Result, anyhow};
use weft_data::record::{Picture, Record};
use weft_data::tasks::TaskData;
use weft_data::tasks::answers::agreed;
use weft_eval::{Example, Heat, LABELS, Mark, Shown, iou, label_name, vqa_accuracy};

use super::examples::{Examples, pixels};
use super::fine_tuned::{Evaluated, best};
use crate::inference::Inference;

/// Some of the examples of a split, at equal distances, not chosen by result.
///
/// # Errors
///
/// When a picture cannot be read any more.
pub fn shown(
    model: &Inference,
    examples: &Examples,
    split: &str,
    records: &[Record],
    evaluated: &Evaluated,
    count: usize,
) -> Result<Vec<Example>> {
    let outputs = &evaluated.outputs;
    let total = outputs.readable.len();
    let count = count.min(total);
    let mut page = Vec::with_capacity(count);
    for at in (0..count).map(|number| number * total / count) {
        let (row, output) = (outputs.readable[at], &outputs.rows[at]);
        let record = &records[row];
        let mut pictures = vec![picture(&record.picture)?];
        if let Some(other) = &record.other {
            pictures.push(picture(other)?);
        } else {
            pictures[0].heat = heat(model, record, output)?;
        }
        let mut example = Example {
            kind: examples.name().into(),
            title: record.captions.first().cloned().unwrap_or_default(),
            pictures,
            ..Default::default()
        };
        describe(&mut example, examples, split, row, output)?;
        page.push(example);
    }
    Ok(page)
}

fn picture(picture: &Picture) -> Result<Shown> {
    let bad = |bad| anyhow!("{bad}");
    let (width, height) = picture.decode(&picture.origin(), Vec::new()).map_err(bad)?.dimensions();
    let bytes = picture.read().map_err(bad)?;
    Ok(Shown { picture: bytes, size: [width, height], ..Default::default() })
}

/// Where the model looked for what it said, in the last layer but one: of the last one, the answer needs no words'
/// attention (and, where patches answer, nothing of the text stream). Nothing of a model that sees regions, or of one
/// layer.
fn heat(model: &Inference, record: &Record, output: &[f32]) -> Result<Option<Heat>> {
    let (grid, layer) = (model.recipe.patch_grid(), model.fusion_depth().checked_sub(2));
    let (Some(grid), Some(layer)) = (grid, layer) else { return Ok(None) };
    let images = model.image(record)?;
    let texts = model.texts(&record.captions[..1])?;
    let weights = model.task_grad_cam(&images, &texts, best(output), layer)?;
    Ok(Some(Heat { grid: [grid.rows, grid.columns], weights }))
}

/// Adds the model's answer and the truth.
fn describe(
    example: &mut Example,
    examples: &Examples,
    split: &str,
    row: usize,
    output: &[f32],
) -> Result<()> {
    let says = |name: &str, text: String| (name.to_string(), text);
    match examples {
        Examples::Vqa(data, answers) => {
            let question = at(data, split, row)?;
            let answer = answers.answers()[best(output)].clone();
            let score = vqa_accuracy(&answer, &question.answers);
            example.kind = format!("vqa: {}", question.kind);
            example.right = score.map(|score| score >= 0.5);
            let truth = agreed(question).unwrap_or_default();
            example.answers = vec![says("answer", answer), says("truth", truth)];
        }
        Examples::Nlvr2(data) => {
            let statement = at(data, split, row)?;
            let answer = best(output) == 1;
            example.right = statement.label.map(|label| label == answer);
            example.answers.push(says("answer", answer.to_string()));
            if let Some(label) = statement.label {
                example.answers.push(says("truth", label.to_string()));
            }
        }
        Examples::Entailment(data) => {
            let sentence = at(data, split, row)?;
            let answer = LABELS[best(output)];
            example.right = Some(answer == sentence.label);
            example.answers = vec![
                says("answer", label_name(answer).into()),
                says("truth", label_name(sentence.label).into()),
            ];
        }
        Examples::Grounding(data) => {
            let phrase = at(data, split, row)?;
            let fractions = <[f32; 4]>::try_from(output).context("a rectangle is four numbers")?;
            let found = pixels(fractions, phrase.size);
            let overlap = iou(found, phrase.region);
            example.right = Some(overlap >= 0.5);
            example.answers = vec![says("overlap", format!("{:.0} %", 100.0 * overlap))];
            let mark = |name: &str, r: weft_data::tasks::Region, truth| Mark {
                name: name.into(),
                rectangle: [r.x, r.y, r.width, r.height],
                truth,
            };
            let marks = [mark("truth", phrase.region, true), mark("found", found, false)];
            example.pictures[0].marks.extend(marks);
        }
    }
    Ok(())
}

fn at<'a, T>(data: &'a TaskData<T>, split: &str, row: usize) -> Result<&'a T> {
    Ok(&data.split(split)?[row])
}
