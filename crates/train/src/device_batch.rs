//! From a host batch to a device batch.

use anyhow::{Result, ensure};
use burn::tensor::Device;
use weft_data::batch::Batch;
use weft_data::record::Label;
use weft_objectives::PairBatch;
use weft_objectives::batch::HostPairs;

/// Copies a batch to the device. `classes` is how many classes the task has, if it has any.
///
/// # Errors
///
/// When the image masks are uneven, or the labels are not one of a kind for each pair.
pub fn to_device(batch: &Batch, classes: usize, device: &Device) -> Result<PairBatch> {
    let (class_scores, regions) = labels(batch, classes)?;
    ensure!(
        batch.others.is_empty() || batch.others.len() == batch.images.len(),
        "step {}: some captions of the batch are about one picture, others about two",
        batch.step
    );
    let pairs = HostPairs {
        images: &batch.images,
        picture_of: &batch.picture_of,
        picture_shape: batch.picture_shape,
        image_mask: &batch.image_mask,
        ids: &batch.ids,
        masked_ids: &batch.masked_ids,
        padding: &batch.padding,
        text_mask: &batch.text_mask,
        phrases: &batch.phrases,
        tags: &batch.tags,
        masked_tags: &batch.masked_tags,
        tag_padding: &batch.tag_padding,
        captions: &batch.captions,
        others: &batch.others,
        class_scores: &class_scores,
        regions: &regions,
    };
    Ok(PairBatch::new(&pairs, device)?)
}

/// The scores of the classes, `[batch, classes]`, and the rectangles, `[batch, 4]`.
fn labels(batch: &Batch, classes: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    let mut scores = Vec::new();
    let mut regions = Vec::new();
    for label in &batch.labels {
        match label {
            Label::Classes(right) => {
                let row = scores.len();
                scores.resize(row + classes, 0.0);
                for (class, score) in right {
                    ensure!(*class < classes, "class {class} of a task with {classes} classes");
                    scores[row + class] = *score;
                }
            }
            Label::Region(region) => regions.extend(region),
        }
    }
    let pairs = batch.len();
    let whole = |numbers: &[f32], each: usize| numbers.is_empty() || numbers.len() == pairs * each;
    ensure!(
        whole(&scores, classes) && whole(&regions, 4),
        "step {}: {} labels of two kinds for {pairs} pairs",
        batch.step,
        batch.labels.len()
    );
    Ok((scores, regions))
}
