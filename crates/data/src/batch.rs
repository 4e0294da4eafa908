//! What a trainer takes one step with, in host memory.

use crate::record::Label;

/// `B` pictures with one caption each. Every batch of a run has the same shapes, unless captions are
/// filled up to the longest of their batch only ([`PadTo`](crate::pipeline::PadTo)).
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Which step of the run the batch is for, from 0.
    pub step: u64,
    /// Which pass over the records the step belongs to, from 0.
    pub epoch: u64,
    /// Keys of the records, `[B]`.
    pub keys: Vec<String>,
    /// Pictures, each `picture_shape`; `P` of them: `B`, or less where records share pictures.
    pub images: Vec<f32>,
    /// Which picture is each caption's, `[B]`.
    pub picture_of: Vec<usize>,
    /// Channels, rows and columns of a picture: `[3, S, S]` for one of `S` pixels a side, `[1, R, F]` for up
    /// to `R` regions of `F` numbers.
    pub picture_shape: [usize; 3],
    /// Which patches are masked, `[B, N]`, row by row.
    pub image_mask: Vec<bool>,
    /// `N`, the number of patches of a picture.
    pub patches: usize,
    /// Token ids, `[B, L]`.
    pub ids: Vec<i32>,
    /// Token ids with the chosen words hidden, `[B, L]`.
    pub masked_ids: Vec<i32>,
    /// Where there is no token, `[B, L]`.
    pub padding: Vec<bool>,
    /// Which tokens are to be predicted, `[B, L]`.
    pub text_mask: Vec<bool>,
    /// Which tokens are phrases, `[B, L]`.
    pub phrases: Vec<bool>,
    /// `L`, the number of tokens of a caption with its padding.
    pub tokens: usize,
    /// Rows of the pictures' tags in the embedding table, `[B, G]`.
    pub tags: Vec<i32>,
    /// The same with the chosen ones hidden, `[B, G]`.
    pub masked_tags: Vec<i32>,
    /// Where there is no tag, `[B, G]`.
    pub tag_padding: Vec<bool>,
    /// `G`, the most tags of a picture of the batch.
    pub tags_each: usize,
    /// The captions that were drawn, `[B]`.
    pub captions: Vec<String>,
    /// The other pictures, each `picture_shape`, where captions are about two; empty otherwise.
    pub others: Vec<f32>,
    /// What a task asks, `[B]`; empty where nothing is asked.
    pub labels: Vec<Label>,
}

impl Batch {
    /// `B`.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
