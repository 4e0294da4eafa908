//! A batch of pairs on the device.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_fusion::Levels;
use weft_nn::index::indices;
use weft_nn::{AttentionMask, ConfigError};
use weft_vision::PatchMask;

use crate::concepts::{BatchPhrases, BatchTags};

/// Pairs of picture and caption with what is masked in them.
#[derive(Debug, Clone)]
pub struct PairBatch {
    /// `[pictures, channels, rows, columns]`, normalised, or [regions](weft_vision::Vit::forward); a
    /// picture for each pair unless some are shared.
    pub images: Tensor<4>,
    /// The picture of each pair, `[batch]`, where some are shared.
    pub picture_of: Option<Tensor<1, Int>>,
    pub image_mask: PatchMask,
    /// Indices of the masked patches into `[batch * patches]`.
    pub masked_patches: Tensor<1, Int>,
    /// `[batch, tokens]`
    pub ids: Tensor<2, Int>,
    /// `ids` with mask tokens.
    pub masked_ids: Tensor<2, Int>,
    pub padding: AttentionMask,
    /// Indices of the masked tokens into `[batch * tokens]`.
    pub masked_rows: Tensor<1, Int>,
    /// The words that the masked tokens were, `[masked]`.
    pub masked_words: Tensor<1, Int>,
    pub phrases: BatchPhrases,
    /// Where the image encoder is shown tags.
    pub tags: Option<BatchTags>,
    /// Pairs with the same number have the same caption: none is a hard negative of the other.
    pub caption_of: Vec<usize>,
    /// The other pictures of captions about two.
    pub others: Option<Tensor<4>>,
    /// How right each class is, `[batch, classes]`, where a task asks for classes.
    pub class_scores: Option<Tensor<2>>,
    /// Left, top, width and height as fractions of the picture's, `[batch, 4]`, where a task asks
    /// for rectangles.
    pub regions: Option<Tensor<2>>,
}

/// What a [`PairBatch`] is made of, in host memory; all in row-major order.
#[derive(Debug, Clone)]
pub struct HostPairs<'a> {
    /// Pictures, each `picture_shape`.
    pub images: &'a [f32],
    /// The picture of each pair, `[batch]`.
    pub picture_of: &'a [usize],
    /// Channels, rows and columns.
    pub picture_shape: [usize; 3],
    /// `[batch, patches]`
    pub image_mask: &'a [bool],
    /// `[batch, tokens]`
    pub ids: &'a [i32],
    pub masked_ids: &'a [i32],
    /// True where a token is padding.
    pub padding: &'a [bool],
    /// True where a token is to be predicted.
    pub text_mask: &'a [bool],
    /// True where a token is a phrase; empty without phrases.
    pub phrases: &'a [bool],
    /// `[batch, tags]`, and so are the next two; empty without tags.
    pub tags: &'a [i32],
    pub masked_tags: &'a [i32],
    /// True where there is no tag.
    pub tag_padding: &'a [bool],
    pub captions: &'a [String],
    /// As `images`, one for each pair; empty where captions are about one picture.
    pub others: &'a [f32],
    /// `[batch, classes]`; empty without classes.
    pub class_scores: &'a [f32],
    /// `[batch, 4]`; empty without rectangles.
    pub regions: &'a [f32],
}

impl PairBatch {
    /// Copies `pairs` to `device`.
    ///
    /// # Errors
    ///
    /// When the image masks are uneven.
    pub fn new(pairs: &HostPairs, device: &Device) -> Result<Self, ConfigError> {
        // A batch is data: it stands off the tape, so that the momentum twin leaves none.
        let device = &device.clone().without_autodiff();
        let batch = pairs.captions.len();
        let tokens = pairs.ids.len() / batch;
        let [channels, rows, columns] = pairs.picture_shape;
        let text =
            |ids: &[i32]| Tensor::from_data(TensorData::new(ids.to_vec(), [batch, tokens]), device);
        let hidden: Vec<usize> =
            (0..pairs.text_mask.len()).filter(|row| pairs.text_mask[*row]).collect();
        let words: Vec<usize> = hidden.iter().map(|row| pairs.ids[*row] as usize).collect();
        let image_mask =
            PatchMask::new(pairs.image_mask.to_vec(), batch, pairs.image_mask.len() / batch)?;
        let padding = TensorData::new(pairs.padding.to_vec(), [batch, tokens]);
        let pictures = |pixels: &[f32]| {
            let count = pixels.len() / (channels * rows * columns);
            let pixels = TensorData::new(pixels.to_vec(), [count, channels, rows, columns]);
            Tensor::<4>::from_data(pixels, device)
        };
        let matrix = |numbers: &[f32]| {
            let shape = [batch, numbers.len() / batch];
            Tensor::<2>::from_data(TensorData::new(numbers.to_vec(), shape), device)
        };
        Ok(Self {
            picture_of: shared(pairs.picture_of)
                .then(|| indices(pairs.picture_of.iter().copied(), device)),
            images: pictures(pairs.images),
            others: some(pairs.others).map(pictures),
            class_scores: some(pairs.class_scores).map(matrix),
            regions: some(pairs.regions).map(matrix),
            masked_patches: image_mask.masked_rows(device),
            image_mask,
            ids: text(pairs.ids),
            masked_ids: text(pairs.masked_ids),
            padding: AttentionMask::padding(Tensor::<2, Bool>::from_data(padding, device)),
            masked_rows: indices(hidden, device),
            masked_words: indices(words, device),
            phrases: BatchPhrases::new(pairs.phrases, pairs.ids, pairs.masked_ids, tokens, device),
            tags: (!pairs.tags.is_empty()).then(|| {
                let HostPairs { tags, masked_tags, tag_padding, .. } = *pairs;
                BatchTags::new(tags, masked_tags, tag_padding, batch, device)
            }),
            caption_of: first_equal(pairs.captions),
        })
    }

    /// What belongs to each picture, once for each pair that has it.
    ///
    /// # Shapes
    ///
    /// - `of_pictures`: `[pictures, ...]`
    /// - output: `[batch, ...]`
    pub fn for_pairs<const D: usize>(&self, of_pictures: Tensor<D>) -> Tensor<D> {
        match &self.picture_of {
            Some(picture_of) => of_pictures.select(0, picture_of.clone()),
            None => of_pictures,
        }
    }

    /// What an encoder made of each picture, once for each pair that has it.
    pub fn levels_for_pairs(&self, of_pictures: Levels) -> Levels {
        match &self.picture_of {
            Some(picture_of) => of_pictures.select(picture_of),
            None => of_pictures,
        }
    }

    /// Whether some caption is wrong for some picture: two captions that differ are enough, for then each has
    /// one that does.
    pub fn captions_differ(&self) -> bool {
        self.caption_of.iter().any(|first| *first > 0)
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.caption_of.len()
    }

    pub fn is_empty(&self) -> bool {
        self.caption_of.is_empty()
    }
}

/// Whether some pairs have the same picture.
fn shared(picture_of: &[usize]) -> bool {
    picture_of.iter().enumerate().any(|(pair, picture)| pair != *picture)
}

/// `numbers` where there are any.
fn some(numbers: &[f32]) -> Option<&[f32]> {
    (!numbers.is_empty()).then_some(numbers)
}

/// For each caption the first position of an equal one.
fn first_equal(captions: &[String]) -> Vec<usize> {
    let mut first = std::collections::HashMap::new();
    captions.iter().enumerate().map(|(row, text)| *first.entry(text).or_insert(row)).collect()
}
