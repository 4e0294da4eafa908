//! Tags for data that have none: the names that a trained model finds nearest to each picture.

use anyhow::{Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_eval::{class_embeddings, prompts};

use crate::inference::Inference;

/// Names with their places in the space that pictures and captions share.
pub struct Tagger<'a> {
    model: &'a Inference,
    names: Vec<String>,
    /// `[names, projection_width]`
    embeddings: Vec<f32>,
    /// Most names of a picture.
    most: usize,
    /// Least cosine of a name to its picture.
    least: f32,
}

impl<'a> Tagger<'a> {
    /// Embeds `names` in each of `templates`, which are those of the pictures
    /// ([`templates`](crate::prompts::templates)).
    ///
    /// # Errors
    ///
    /// Without names; when a template has no place for one.
    pub fn new(
        model: &'a Inference,
        names: Vec<String>,
        templates: &[&str],
        most: usize,
        least: f32,
    ) -> Result<Self> {
        ensure!(!names.is_empty(), "no name to tag pictures with");
        let texts = model.texts(&prompts(&names, templates)?)?;
        let width = model.recipe.model.projection_width;
        let embeddings = class_embeddings(&texts.embeddings, templates.len(), width)?;
        Ok(Self { model, names, embeddings, most, least })
    }

    /// The names of each picture of `records` that can be read, with the picture's number, the nearest name
    /// first; the others go into `ledger`.
    pub fn tags(&self, records: &[Record], ledger: &mut Ledger) -> Result<Vec<(usize, Vec<&str>)>> {
        let width = self.model.recipe.model.projection_width;
        let (pictures, readable) = self.model.image_embeddings(records, ledger)?;
        let tags = pictures.chunks(width).map(|picture| self.nearest(picture));
        Ok(readable.into_iter().zip(tags).collect())
    }

    fn nearest(&self, picture: &[f32]) -> Vec<&str> {
        let width = picture.len();
        let cosine = |name: &[f32]| -> f32 { name.iter().zip(picture).map(|(a, b)| a * b).sum() };
        let cosines = self.embeddings.chunks(width).map(cosine).enumerate();
        let mut near: Vec<(usize, f32)> = cosines.filter(|(_, at)| *at >= self.least).collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        near.into_iter().take(self.most).map(|(name, _)| self.names[name].as_str()).collect()
    }
}
