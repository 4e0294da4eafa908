//! What a fine-tuned model says of examples.

use std::collections::HashMap;

use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData};
use weft_data::error::{BadRecord, Ledger};
use weft_data::record::Record;
use weft_nn::AttentionMask;
use weft_nn::index::indices;
use weft_objectives::Task;
use weft_objectives::grounding::regions_of;

use super::Inference;

/// What a model's task head says.
pub struct TaskOutputs {
    /// Of each readable record the logits of the classes, or left, top, width and height of the
    /// rectangle as fractions of the picture's.
    pub rows: Vec<Vec<f32>>,
    /// Which records could be read.
    pub readable: Vec<usize>,
}

/// The pictures of some records, each decoded once.
#[derive(Default)]
struct Pictures {
    pixels: Vec<f32>,
    count: usize,
    /// Place of a picture in `pixels`, or what is wrong with it.
    known: HashMap<String, Result<usize, BadRecord>>,
}

impl Pictures {
    /// The place of the picture `name`, which is read if it is new.
    fn place(
        &mut self,
        name: String,
        read: impl FnOnce() -> Result<Vec<f32>, BadRecord>,
    ) -> Result<usize, BadRecord> {
        if let Some(known) = self.known.get(&name) {
            return known.clone();
        }
        let found = read().map(|pixels| {
            self.pixels.extend(pixels);
            self.count += 1;
            self.count - 1
        });
        self.known.insert(name, found.clone());
        found
    }
}

impl Inference {
    /// Runs the task head over `records`: the first caption of each with its picture or pictures.
    /// Those that cannot be read go into `ledger`.
    pub fn task_outputs(&self, records: &[Record], ledger: &mut Ledger) -> Result<TaskOutputs> {
        let head = self.recipe.model.task.context("the model is not fine-tuned for a task")?;
        let mut outputs = TaskOutputs { rows: Vec::new(), readable: Vec::new() };
        let rows: Vec<usize> = (0..records.len()).collect();
        for rows in rows.chunks(self.recipe.eval.batch_size) {
            let mut pictures = Pictures::default();
            // For each picture of a text its place, row by row.
            let mut places = vec![Vec::new(); head.pictures];
            let mut texts = Vec::new();
            for row in rows {
                match self.places(&records[*row], head.pictures, &mut pictures) {
                    Ok(found) => {
                        places.iter_mut().zip(found).for_each(|(all, place)| all.push(place));
                        texts.push(records[*row].captions.first().cloned().unwrap_or_default());
                        outputs.readable.push(*row);
                    }
                    Err(bad) => _ = ledger.record(bad),
                }
            }
            if !texts.is_empty() {
                outputs.rows.extend(self.outputs(pictures, places, &texts)?);
            }
        }
        Ok(outputs)
    }

    /// Where the `count` pictures of a record are in `pictures`.
    fn places(
        &self,
        record: &Record,
        count: usize,
        pictures: &mut Pictures,
    ) -> Result<Vec<usize>, BadRecord> {
        let first = pictures.place(record.picture_name(), || self.pipeline.picture(record))?;
        if count == 1 {
            return Ok(vec![first]);
        }
        let name = record.other_name().unwrap_or_default();
        Ok(vec![first, pictures.place(name, || self.pipeline.other_picture(record))?])
    }

    fn outputs(
        &self,
        pictures: Pictures,
        places: Vec<Vec<usize>>,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>> {
        let [channels, height, width] = self.pipeline.picture_shape();
        let shape = [pictures.count, channels, height, width];
        let pixels = TensorData::new(pictures.pixels, shape);
        let backbone = &self.model.backbone;
        let images = backbone.encode_images(Tensor::from_data(pixels, &self.device), None);
        let texts = self.texts(texts)?;
        let padding = AttentionMask::from_bias(texts.padding);
        let fuse = |places: Vec<usize>| {
            let images = images.select(&indices(places, &self.device));
            backbone.fuse_part(&images, &texts.features, &padding, self.model.task_part())
        };
        let output = self.model.task_output(places.into_iter().map(fuse).collect());
        let output = match self.recipe.task() {
            Some(Task::Grounding) => regions_of(output),
            _ => output,
        };
        let [_, width] = output.dims();
        let numbers: Vec<f32> = output.into_data().iter::<f32>().collect();
        Ok(numbers.chunks(width).map(<[f32]>::to_vec).collect())
    }
}
