//! One record to what a model takes: decoded, augmented, tokenised and masked.
//!
//! Every random choice is addressed by the seed, the epoch and the record's key, so an item is the
//! same whichever thread makes it, and when.

use std::sync::Arc;

use image::RgbImage;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::batch::Batch;
use crate::error::{BadRecord, Cause, DataError};
use crate::mask::MaskConfig;
use crate::preprocess::Preprocess;
use crate::random::addressed;
use crate::record::{Label, Picture, Record, name};
use crate::regions::{self, RegionShape};
use crate::tags::TagConfig;
use crate::tokenizer::{Encoding, Tokenizer};

/// How far the captions of a batch are filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PadTo {
    /// To the model's `max_tokens`: every batch has the same shapes.
    #[default]
    Max,
    /// To the longest of the batch: nothing is computed that no caption needs.
    Longest,
}

/// How records become items.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub tokenizer: Arc<Tokenizer>,
    pub preprocess: Preprocess,
    /// `None`: training sees the pictures as evaluation does.
    pub augment: Option<Augment>,
    pub mask: MaskConfig,
    /// Side of a patch, in pixels; divides the size of a picture.
    pub patch_size: usize,
    /// A detector's regions in the place of patches, if the model sees those: then nothing of a picture is
    /// decoded, and neither preprocessing nor augmentation touches it.
    pub regions: Option<RegionShape>,
    /// Most tokens of a caption, with special tokens.
    pub max_tokens: usize,
    /// How far shorter captions are filled up.
    pub pad_to: PadTo,
    pub seed: u64,
    /// Gives every picture the captions of another one: a model trained so must learn nothing.
    pub shuffle_pairs: bool,
    /// Whether records behind one another with the same picture share it, augmented once.
    pub share_pictures: bool,
    /// `None`: the image encoder sees no tags.
    pub tags: Option<TagConfig>,
}

/// What goes with one picture into a batch of `N` patches; its caption has `T` tokens, itself `G` tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub key: String,
    /// Which of the batch's pictures is its own.
    pub picture: usize,
    /// `[N]`.
    pub image_mask: Vec<bool>,
    /// `[T]`, and so are the next two.
    pub ids: Vec<i32>,
    pub masked_ids: Vec<i32>,
    pub text_mask: Vec<bool>,
    /// Which tokens are phrases, `[T]`.
    pub phrases: Vec<bool>,
    pub caption: String,
    /// `[G]`, and so is the next one.
    pub tags: Vec<i32>,
    pub masked_tags: Vec<i32>,
    pub label: Option<Label>,
}

/// A picture as training sees it, before its numbers stand behind those of others.
enum Seen {
    Pixels(RgbImage),
    Regions(Vec<f32>),
}

/// The pictures of a batch in the making, each [`Pipeline::picture_shape`] behind the one before.
#[derive(Debug, Default)]
pub struct Pixels {
    pub images: Vec<f32>,
    /// Of records about two pictures the second ones.
    pub others: Vec<f32>,
    /// How many pictures `images` holds.
    pub count: usize,
    /// The last one, where the next record may have it, too.
    pub last: Option<Picture>,
    /// What the last picture was decoded in, to be used again.
    pub memory: Vec<u8>,
}

impl Pipeline {
    /// An error that names the first setting that cannot work.
    pub fn check(&self) -> Result<(), DataError> {
        self.preprocess.check()?;
        if self.mask.text_ratio > 0.0 || self.tags.is_some() {
            self.tokenizer.try_mask_id()?;
        }
        let Preprocess { size, .. } = &self.preprocess;
        let (mask, patch) = (&self.mask, self.patch_size);
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        let augment = self.augment.clone().unwrap_or_default();
        let ([smallest, largest], [narrowest, widest]) = (augment.crop_scale, augment.crop_ratio);
        let rules = [
            (self.regions.is_some() || (patch > 0 && size.is_multiple_of(patch)), {
                format!("the picture size {size} is not a multiple of the patch size {patch}")
            }),
            (self.max_tokens >= 3, {
                format!("max_tokens {}: expected room for one token and its frame", self.max_tokens)
            }),
            (fraction(mask.image_ratio) && fraction(mask.text_ratio), {
                format!("image_ratio, text_ratio: expected 0 to 1, found {mask:?}")
            }),
            (
                fraction(mask.text_keep)
                    && fraction(mask.text_swap)
                    && fraction(mask.text_keep + mask.text_swap),
                format!("text_keep, text_swap: expected at most 1 in all, found {mask:?}"),
            ),
            (mask.image_block > 0, "image_block 0: expected at least 1".into()),
            (fraction(smallest) && smallest > 0.0 && smallest <= largest && largest <= 1.0, {
                format!("crop_scale {:?}: expected [a, b] with 0 < a <= b <= 1", augment.crop_scale)
            }),
            (narrowest > 0.0 && narrowest <= widest && widest.is_finite(), {
                format!("crop_ratio {:?}: expected [a, b] with 0 < a <= b", augment.crop_ratio)
            }),
            (fraction(mask.tag_ratio), format!("tag_ratio {}: expected 0 to 1", mask.tag_ratio)),
            (self.tags.as_ref().is_none_or(|tags| fraction(tags.drop) && tags.most > 0), {
                format!(
                    "tags: expected most of at least 1 and drop from 0 to 1, found {:?}",
                    self.tags
                )
            }),
            (fraction(augment.flip), format!("flip {}: expected 0 to 1", augment.flip)),
            ((0.0..=10.0).contains(&augment.rand_magnitude), {
                format!("rand_magnitude {}: expected 0 to 10", augment.rand_magnitude)
            }),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, problem)) => Err(DataError::Config(problem)),
            None => Ok(()),
        }
    }

    /// Rows and columns of patches of a picture; of regions, which stand in no grid, one column.
    pub fn grid(&self) -> [usize; 2] {
        match self.regions {
            Some(shape) => [shape.most, 1],
            None => [self.preprocess.size / self.patch_size; 2],
        }
    }

    /// Channels, rows and columns of a picture's numbers: of regions, one channel with a row for each.
    pub fn picture_shape(&self) -> [usize; 3] {
        match self.regions {
            Some(shape) => [1, shape.most, shape.features],
            None => [3, self.preprocess.size, self.preprocess.size],
        }
    }

    /// Makes the item that training sees of `record` in `epoch`, with a caption drawn from those
    /// of `caption_of`: the same record, but for [`Pipeline::shuffle_pairs`].
    ///
    /// Its pictures go behind what `pixels` holds already; of a bad record nothing does.
    pub fn item(
        &self,
        record: &Record,
        caption_of: &Record,
        epoch: u64,
        pixels: &mut Pixels,
    ) -> Result<Item, BadRecord> {
        let random = |purpose| addressed(self.seed, epoch, &record.key, purpose);

        // Before the picture, because it costs less to find wanting.
        let caption = match &caption_of.captions[..] {
            [] => "",
            captions => &captions[random("caption").random_range(0..captions.len())],
        };
        let bad_caption = |cause, detail| BadRecord {
            cause,
            origin: format!("{} (captions of {})", caption_of.picture_name(), caption_of.key),
            detail,
        };
        if caption.trim().is_empty() {
            let detail = format!("expected text, found {:?}", caption_of.captions);
            return Err(bad_caption(Cause::EmptyCaption, detail));
        }
        let encoding = self
            .tokenizer
            .encode(caption, self.max_tokens)
            .map_err(|error| bad_caption(Cause::MalformedRecord, error.to_string()))?;
        let (masked, text_mask) =
            self.mask.text(&encoding, &self.tokenizer, &mut random("text-mask"));

        let mut random_tags = random("tags");
        let tags = self.tags.as_ref().map_or(Vec::new(), |config| {
            config.shown(record, |name| self.tokenizer.phrase_id(name), &mut random_tags)
        });
        let masked_tags = self.mask.tags(&tags, &self.tokenizer, &mut random_tags);

        let shared = self.share_pictures
            && record.other.is_none()
            && pixels.last.as_ref().is_some_and(|last| last.is_same(&record.picture));
        if !shared {
            self.add_pictures(record, epoch, pixels)?;
        }
        Ok(Item {
            key: record.key.clone(),
            picture: pixels.count - 1,
            image_mask: self.mask.image(self.grid(), &mut random("image-mask")),
            ids: numbers(&encoding.ids),
            masked_ids: numbers(&masked),
            text_mask,
            phrases: phrases(&encoding),
            tags: numbers(&tags),
            masked_tags: numbers(&masked_tags),
            caption: caption.to_owned(),
            label: record.label.clone(),
        })
    }

    /// Puts the pictures of `record` behind those that `pixels` holds, or leaves it as it is.
    fn add_pictures(
        &self,
        record: &Record,
        epoch: u64,
        pixels: &mut Pixels,
    ) -> Result<(), BadRecord> {
        let random = |purpose| addressed(self.seed, epoch, &record.key, purpose);
        let first = self.seen(record, &record.picture, random("augment"), &mut pixels.memory)?;
        if let Some(other) = &record.other {
            let other = self.seen(record, other, random("augment-other"), &mut pixels.memory)?;
            self.append(other, &mut pixels.others);
        }
        self.append(first, &mut pixels.images);
        pixels.count += 1;
        // Of two pictures none is shared.
        pixels.last = record.other.is_none().then(|| record.picture.clone());
        Ok(())
    }

    /// `picture` of `record` as training sees it, decoded in `memory`.
    fn seen(
        &self,
        record: &Record,
        picture: &Picture,
        mut random: ChaCha8Rng,
        memory: &mut Vec<u8>,
    ) -> Result<Seen, BadRecord> {
        if let Some(shape) = self.regions {
            let origin = name(&record.key, picture);
            return Ok(Seen::Regions(regions::of(picture, &origin, shape)?));
        }
        let picture = read(record, picture, std::mem::take(memory))?;
        let Preprocess { size, interpolation, .. } = self.preprocess;
        let seen = match &self.augment {
            Some(augment) => augment.apply(&picture, size, interpolation, &mut random),
            None => self.preprocess.pixels(&picture),
        };
        *memory = picture.into_raw();
        Ok(Seen::Pixels(seen))
    }

    /// Puts the numbers of a picture behind `values`.
    fn append(&self, seen: Seen, values: &mut Vec<f32>) {
        match seen {
            Seen::Pixels(picture) => self.preprocess.append_normalised(&picture, values),
            Seen::Regions(regions) => values.extend(regions),
        }
    }

    /// Puts items next to each other, with their pictures.
    pub fn collate(&self, items: Vec<Item>, pixels: Pixels, step: u64, epoch: u64) -> Batch {
        let patches = self.grid().iter().product();
        let (count, tokens) = (items.len(), self.tokens(items.iter().map(|item| item.ids.len())));
        let tags = items.iter().map(|item| item.tags.len()).max().unwrap_or(0);
        let pad = self.tokenizer.pad_id() as i32;
        let mut batch = Batch {
            step,
            epoch,
            keys: Vec::with_capacity(count),
            images: pixels.images,
            picture_of: Vec::with_capacity(count),
            others: pixels.others,
            picture_shape: self.picture_shape(),
            image_mask: Vec::with_capacity(count * patches),
            patches,
            ids: Vec::with_capacity(count * tokens),
            masked_ids: Vec::with_capacity(count * tokens),
            padding: Vec::with_capacity(count * tokens),
            text_mask: Vec::with_capacity(count * tokens),
            phrases: Vec::with_capacity(count * tokens),
            tokens,
            tags: Vec::with_capacity(count * tags),
            masked_tags: Vec::with_capacity(count * tags),
            tag_padding: Vec::with_capacity(count * tags),
            tags_each: tags,
            captions: Vec::with_capacity(count),
            labels: Vec::new(),
        };
        for item in items {
            batch.keys.push(item.key);
            batch.picture_of.push(item.picture);
            batch.image_mask.extend(item.image_mask);
            batch.padding.extend((0..tokens).map(|at| at >= item.ids.len()));
            batch.ids.extend(filled(item.ids, tokens, pad));
            batch.masked_ids.extend(filled(item.masked_ids, tokens, pad));
            batch.text_mask.extend(filled(item.text_mask, tokens, false));
            batch.phrases.extend(filled(item.phrases, tokens, false));
            batch.tag_padding.extend((0..tags).map(|at| at >= item.tags.len()));
            batch.tags.extend(filled(item.tags, tags, pad));
            batch.masked_tags.extend(filled(item.masked_tags, tags, pad));
            batch.captions.push(item.caption);
            batch.labels.extend(item.label);
        }
        batch
    }

    /// The picture of `record` as evaluation sees it, [`picture_shape`](Self::picture_shape).
    pub fn picture(&self, record: &Record) -> Result<Vec<f32>, BadRecord> {
        self.evaluated(record, &record.picture)
    }

    /// The other picture of `record`, which has one, as evaluation sees it.
    pub fn other_picture(&self, record: &Record) -> Result<Vec<f32>, BadRecord> {
        let other = record.other.as_ref().ok_or_else(|| BadRecord {
            cause: Cause::MissingFile,
            origin: record.key.clone(),
            detail: "expected two pictures, found one".into(),
        })?;
        self.evaluated(record, other)
    }

    fn evaluated(&self, record: &Record, picture: &Picture) -> Result<Vec<f32>, BadRecord> {
        match self.regions {
            Some(shape) => regions::of(picture, &name(&record.key, picture), shape),
            None => Ok(self.preprocess.apply(&read(record, picture, Vec::new())?)),
        }
    }

    /// The token ids of `captions`, behind one another, where there are none, and `L`, the number of
    /// tokens of each with its padding; both are `[captions, L]`.
    pub fn texts(&self, captions: &[String]) -> Result<(Vec<i32>, Vec<bool>, usize), DataError> {
        let encode = |caption: &String| self.tokenizer.encode(caption, self.max_tokens);
        let encodings = captions.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let tokens = self.tokens(encodings.iter().map(|encoding| encoding.ids.len()));
        let pad = self.tokenizer.pad_id() as i32;
        let mut ids = Vec::with_capacity(captions.len() * tokens);
        let mut padding = Vec::with_capacity(captions.len() * tokens);
        for encoding in encodings {
            padding.extend((0..tokens).map(|at| at >= encoding.ids.len()));
            ids.extend(filled(numbers(&encoding.ids), tokens, pad));
        }
        Ok((ids, padding, tokens))
    }

    /// How many tokens captions of these lengths have with their padding.
    fn tokens(&self, lengths: impl Iterator<Item = usize>) -> usize {
        match self.pad_to {
            PadTo::Max => self.max_tokens,
            PadTo::Longest => lengths.max().unwrap_or(0),
        }
    }
}

/// Which tokens are phrases, `[T]`.
fn phrases(encoding: &Encoding) -> Vec<bool> {
    let mut phrases = vec![false; encoding.len()];
    encoding.phrases.iter().for_each(|phrase| phrases[phrase.at] = true);
    phrases
}

fn numbers(ids: &[u32]) -> Vec<i32> {
    ids.iter().map(|&id| id as i32).collect()
}

fn filled<T: Clone>(mut row: Vec<T>, tokens: usize, with: T) -> Vec<T> {
    row.resize(tokens, with);
    row
}

/// For each of `count` records, the one that gives it its captions in the control experiment:
/// always another one where there are two, each once, the same in every epoch.
pub(crate) fn shuffled_partners(count: usize, seed: u64) -> Vec<usize> {
    let mut circle: Vec<usize> = (0..count).collect();
    circle.shuffle(&mut addressed(seed, 0, "", "shuffle-pairs"));
    let mut partners = vec![0; count];
    for (at, &record) in circle.iter().enumerate() {
        partners[record] = circle[(at + 1) % count];
    }
    partners
}

fn read(record: &Record, picture: &Picture, memory: Vec<u8>) -> Result<RgbImage, BadRecord> {
    picture.decode(&name(&record.key, picture), memory)
}
