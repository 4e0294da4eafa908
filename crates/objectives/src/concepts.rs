//! Phrases and tags of a batch on the device.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_model::Tags;
use weft_nn::AttentionMask;
use weft_nn::index::indices;

/// Hidden places with what stood there.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Indices into `[batch * places]`.
    pub rows: Tensor<1, Int>,
    /// Rows of the embedding table, as many.
    pub were: Tensor<1, Int>,
}

impl Hidden {
    /// The places among `among` where `masked` is not what `ids` is.
    fn new(ids: &[i32], masked: &[i32], among: impl Fn(usize) -> bool, device: &Device) -> Self {
        let rows: Vec<usize> =
            (0..ids.len()).filter(|row| among(*row) && ids[*row] != masked[*row]).collect();
        let were: Vec<usize> = rows.iter().map(|row| ids[*row] as usize).collect();
        Self { rows: indices(rows, device), were: indices(were, device) }
    }

    /// Whether there is a hidden place.
    pub fn any(&self) -> bool {
        self.rows.dims()[0] > 0
    }
}

/// The phrases of a batch of captions.
#[derive(Debug, Clone)]
pub struct BatchPhrases {
    /// Indices of the phrases into `[batch * tokens]`, in order.
    pub rows: Tensor<1, Int>,
    /// The caption of each phrase, and its place among the caption's tokens.
    pub caption_of: Vec<usize>,
    pub places: Vec<usize>,
    /// Those that are hidden in the masked captions.
    pub hidden: Hidden,
}

impl BatchPhrases {
    /// - `phrases`: true where a token is a phrase, `[batch, tokens]`; empty where there is none
    /// - `ids`, `masked`: `[batch, tokens]`
    pub fn new(
        phrases: &[bool],
        ids: &[i32],
        masked: &[i32],
        tokens: usize,
        device: &Device,
    ) -> Self {
        let is_phrase = |row: usize| phrases.get(row).copied().unwrap_or(false);
        let rows: Vec<usize> = (0..ids.len()).filter(|row| is_phrase(*row)).collect();
        Self {
            caption_of: rows.iter().map(|row| row / tokens).collect(),
            places: rows.iter().map(|row| row % tokens).collect(),
            rows: indices(rows, device),
            hidden: Hidden::new(ids, masked, is_phrase, device),
        }
    }

    /// How many phrases each caption has that has one, in order.
    pub fn captions(&self) -> Vec<usize> {
        self.caption_of.chunk_by(|a, b| a == b).map(<[usize]>::len).collect()
    }
}

/// The tags of a batch of pictures.
#[derive(Debug, Clone)]
pub struct BatchTags {
    /// With mask tokens.
    pub masked: Tags,
    pub hidden: Hidden,
}

impl BatchTags {
    /// All `[batch, tags]`; `padding` is true where there is no tag.
    pub fn new(
        ids: &[i32],
        masked: &[i32],
        padding: &[bool],
        batch: usize,
        device: &Device,
    ) -> Self {
        let shape = [batch, ids.len() / batch];
        let places = TensorData::new(padding.to_vec(), shape);
        Self {
            hidden: Hidden::new(ids, masked, |row| !padding[row], device),
            masked: Tags {
                ids: Tensor::from_data(TensorData::new(masked.to_vec(), shape), device),
                padding: AttentionMask::padding(Tensor::<2, Bool>::from_data(places, device)),
            },
        }
    }
}
