//! Scores of more pairs than pictures fit on the device together.

use std::collections::VecDeque;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_fusion::Levels;

use super::{Images, Inference, Texts};

/// Pictures whose features are encoded again when pairs ask for them, and kept no longer. All patches of a split are
/// far more than its embeddings: 20,000 pictures of 257 tokens, each of 768 numbers, take 16 GB.
pub struct PicturesInTurn<'a> {
    model: &'a Inference,
    records: &'a [Record],
    /// Of each picture the record; those of others could not be read.
    readable: &'a [usize],
    /// `[pictures, projection_width]`
    embeddings: &'a [f32],
    /// Batches that follow one another.
    held: VecDeque<Held>,
}

/// What is on the device of one batch.
struct Held {
    batch: usize,
    features: Levels,
}

impl<'a> PicturesInTurn<'a> {
    /// The pictures of `records` that [`Inference::image_embeddings`] found `readable`, with what it made of them.
    pub fn new(
        model: &'a Inference,
        records: &'a [Record],
        readable: &'a [usize],
        embeddings: &'a [f32],
    ) -> Self {
        Self { model, records, readable, embeddings, held: VecDeque::new() }
    }

    /// [`Inference::pair_scores`] of (picture, caption) `pairs`, which come sorted by picture from one call to the
    /// next. On the device are the batches of pictures between the first and the last of them. These are the batches
    /// in which the embeddings were made, so that a score is the same to the bit as with all pictures there.
    ///
    /// # Errors
    ///
    /// When a picture that could be read before no longer can.
    pub fn pair_scores(&mut self, texts: &Texts, pairs: &[(usize, usize)]) -> Result<Vec<f32>> {
        let (Some((first, _)), Some((last, _))) = (pairs.first(), pairs.last()) else {
            return Ok(Vec::new());
        };
        self.hold(self.batch(*first), self.batch(*last))?;
        let (begin, images) = self.images()?;
        let pairs: Vec<_> = pairs.iter().map(|(image, text)| (image - begin, *text)).collect();
        self.model.pair_scores(&images, texts, &pairs)
    }

    /// The batch that a picture was encoded in.
    fn batch(&self, picture: usize) -> usize {
        self.readable[picture] / self.model.recipe.eval.batch_size
    }

    /// The records of a batch.
    fn rows(&self, batch: usize) -> Range<usize> {
        let size = self.model.recipe.eval.batch_size;
        batch * size..self.records.len().min((batch + 1) * size)
    }

    /// The pictures of a batch: those of its records that could be read.
    fn pictures(&self, batch: usize) -> Range<usize> {
        let before = |end: usize| self.readable.partition_point(|row| *row < end);
        let rows = self.rows(batch);
        before(rows.start)..before(rows.end)
    }

    /// Lets go of batches before `first`, and encodes those up to `last` that are not there.
    fn hold(&mut self, first: usize, last: usize) -> Result<()> {
        self.held.retain(|held| held.batch >= first);
        if self.held.front().is_some_and(|held| held.batch > first) {
            self.held.clear();
        }
        let next = self.held.back().map_or(first, |held| held.batch + 1);
        for batch in next..=last {
            // Of a batch none of whose pictures can be read there is nothing.
            if let Some(features) = self.encode(batch)? {
                self.held.push_back(Held { batch, features });
            }
        }
        Ok(())
    }

    fn encode(&self, batch: usize) -> Result<Option<Levels>> {
        let rows = self.rows(batch);
        let (mut ledger, mut features) = (Ledger::default(), None);
        let keep = |encoded| features = Some(encoded);
        let (_, found) = self.model.each_image(&self.records[rows.clone()], &mut ledger, keep)?;
        let found: Vec<usize> = found.into_iter().map(|row| rows.start + row).collect();
        ensure!(
            found == self.readable[self.pictures(batch)],
            "other pictures can be read than a moment ago\n{ledger}"
        );
        Ok(features)
    }

    /// What is held, and the number of its first picture.
    fn images(&self) -> Result<(usize, Images)> {
        let first = self.held.front().context("pairs are of pictures that can be read")?.batch;
        let begin = self.pictures(first).start;
        let parts: Vec<Levels> = self.held.iter().map(|held| held.features.clone()).collect();
        let features = if parts.len() == 1 { parts[0].clone() } else { Levels::cat(parts) };
        let [count, ..] = features.output().dims();
        let width = self.model.recipe.model.projection_width;
        let embeddings = self.embeddings[begin * width..][..count * width].to_vec();
        Ok((begin, Images { features, embeddings }))
    }
}
