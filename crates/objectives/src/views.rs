//! What one step has computed: each encoder or fusion pass at most once, when it is first asked for.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use weft_fusion::{Fused, Levels, Part};
use weft_model::{Backbone, Heads, Model};
use weft_nn::index::indices;
use weft_nn::{AttentionMask, Linear, first_token};

use crate::batch::PairBatch;
use crate::code_lookup::CodeLookup;
use crate::negatives::{Hardness, Negatives};
use crate::objective::Objectives;

/// How a picture enters the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageView {
    Clean,
    Masked,
}

/// How a caption enters the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextView {
    Clean,
    Masked,
}

/// One pass through an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    Image(ImageView),
    Text(TextView),
    /// With the part of the pair that the last layer computes; nothing where it computes all.
    Fused(ImageView, TextView, Option<Part>),
    /// So many wrong pairs for each right one, and their part as of [`Pass::Fused`].
    Negatives(usize, Option<Part>),
    /// The second pictures of captions about two.
    OtherImage,
    /// The second pictures with their captions.
    FusedOther,
    MomentumImage,
    MomentumText,
    MomentumFused,
}

/// Where the pictures and captions of a batch stand to each other, `[batch, projection_width]`, in
/// rows of length 1.
#[derive(Debug, Clone)]
pub struct Embeddings {
    pub image: Tensor<2>,
    pub text: Tensor<2>,
}

/// Pairs of pictures and captions that do not belong together, fused.
#[derive(Debug, Clone)]
struct WrongPairs {
    /// The numbers of picture and caption.
    pairs: Vec<(usize, usize)>,
    /// `[pairs, class_width]`
    class: Tensor<2>,
    /// Where somebody asks for more than the class.
    whole: Option<Fused>,
}

/// The representations of one batch, computed when an objective asks for them and kept for the next
/// one that asks. No objective runs an encoder itself.
pub struct Views<'a> {
    model: &'a Model,
    momentum: &'a Backbone,
    batch: &'a PairBatch,
    negatives_seed: u64,
    codebook: Option<&'a CodeLookup>,
    images: [Option<Levels>; 2],
    tags: Option<Tensor<3>>,
    texts: [Option<Levels>; 2],
    /// Whether the clean pairs, and the wrong ones, are asked for more than one part.
    whole: bool,
    whole_negatives: bool,
    fused: Option<Fused>,
    fused_parts: HashMap<Pass, Tensor<3>>,
    embeddings: Option<Embeddings>,
    similarity: Option<Tensor<2>>,
    negatives: Option<WrongPairs>,
    momentum_image: Option<Levels>,
    momentum_text: Option<Levels>,
    momentum_fused: Option<Fused>,
    task_output: Option<Tensor<2>>,
    passes: Vec<Pass>,
}

impl<'a> Views<'a> {
    /// Nothing is computed yet. `negatives_seed` decides which hard negatives are drawn.
    pub fn new(
        model: &'a Model,
        momentum: &'a Backbone,
        batch: &'a PairBatch,
        negatives_seed: u64,
    ) -> Self {
        Self {
            model,
            momentum,
            batch,
            negatives_seed,
            codebook: None,
            images: [None, None],
            tags: None,
            texts: [None, None],
            whole: false,
            whole_negatives: false,
            fused: None,
            fused_parts: HashMap::new(),
            embeddings: None,
            similarity: None,
            negatives: None,
            momentum_image: None,
            momentum_text: None,
            momentum_fused: None,
            task_output: None,
            passes: Vec::new(),
        }
    }

    /// The same with the codebook of patches that the run has, if it has one.
    pub fn with_codebook(self, codebook: Option<&'a CodeLookup>) -> Self {
        Self { codebook, ..self }
    }

    /// The same for a step of all of `objectives`: where they ask for more than one part of
    /// the clean pairs, or of the wrong ones, the first that does has the whole pairs computed.
    pub fn for_objectives(self, objectives: &Objectives) -> Self {
        Self {
            whole: objectives.ask_for_whole_pairs(),
            whole_negatives: objectives.ask_for_whole_negatives(),
            ..self
        }
    }

    /// What objectives make of representations. Encoders are not to be had from here: their passes are made by
    /// the methods below, once, and told by [`passes`](Self::passes).
    pub fn heads(&self) -> &'a Heads {
        &self.model.heads
    }

    /// What similarities are divided by, `[1]`.
    pub fn temperature(&self) -> Tensor<1> {
        self.model.temperature.val()
    }

    /// The embeddings of words, and behind them those of phrases, `[rows, width]`.
    pub fn word_embeddings(&self) -> Tensor<2> {
        self.model.backbone.text.embeddings.word.weight.val()
    }

    /// What brings tokens of pictures, and of captions, to the shared space.
    pub fn projections(&self) -> [&'a Linear; 2] {
        let backbone = &self.model.backbone;
        [&backbone.image_projection, &backbone.text_projection]
    }

    /// The pixels of each clean picture, patch by patch, `[batch, patches, numbers of a patch]`.
    pub fn patch_pixels(&self) -> Tensor<3> {
        let cutter = &self.model.backbone.vision.patch_embedding;
        self.batch.for_pairs(cutter.patches(self.batch.images.clone()))
    }

    pub fn batch(&self) -> &'a PairBatch {
        self.batch
    }

    /// Where the batch is.
    pub fn device(&self) -> Device {
        self.batch.images.device()
    }

    /// A seed for what an objective draws by lot for the purpose `of`.
    pub fn seed(&self, of: &str) -> u64 {
        of.bytes().fold(self.negatives_seed, |seed, byte| {
            // FNV's step: neighbours in purpose or seed have nothing in common.
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// A loss of 0 that still is on the tape, for an objective that finds nothing in a batch.
    pub fn nothing(&self) -> Tensor<1> {
        self.temperature() * 0.0
    }

    /// The codes of patches.
    ///
    /// # Panics
    ///
    /// Where the run has no codebook: the trainer gives one to a run whose patches have codes.
    pub fn codebook(&self) -> &'a CodeLookup {
        self.codebook.expect("a run that predicts codes has a codebook")
    }

    /// How right each class is for each caption, `[batch, classes]`.
    ///
    /// # Panics
    ///
    /// Where the batch has no classes: the trainer gives a task its own data.
    pub fn class_scores(&self) -> Tensor<2> {
        self.batch.class_scores.clone().expect("a task of classes has batches with classes")
    }

    /// Where the thing is that each caption refers to, `[batch, 4]`.
    ///
    /// # Panics
    ///
    /// Where the batch has no rectangles: the trainer gives a task its own data.
    pub fn regions(&self) -> Tensor<2> {
        self.batch.regions.clone().expect("a task of rectangles has batches with rectangles")
    }

    /// The passes made so far, in order.
    pub fn passes(&self) -> &[Pass] {
        &self.passes
    }

    /// The image encoder's output, `[batch, 1 + patches, width]`.
    pub fn image(&mut self, view: ImageView) -> Tensor<3> {
        self.image_levels(view).output()
    }

    /// The text encoder's output, `[batch, tokens, width]`.
    pub fn text(&mut self, view: TextView) -> Tensor<3> {
        self.text_levels(view).output()
    }

    /// The image encoder's output, and what the fusion encoder reads below it.
    pub fn image_levels(&mut self, view: ImageView) -> Levels {
        if let Some(image) = &self.images[view as usize] {
            return image.clone();
        }
        self.passes.push(Pass::Image(view));
        let (backbone, batch) = (&self.model.backbone, self.batch);
        let pixels = batch.images.clone();
        let image = match (view, &batch.tags) {
            (ImageView::Clean, Some(tags)) => {
                let (image, states) = backbone.encode_images_with_tags(pixels, &tags.masked);
                self.tags = Some(states);
                image
            }
            (ImageView::Clean, None) => {
                batch.levels_for_pairs(backbone.encode_images(pixels, None))
            }
            (ImageView::Masked, _) => {
                backbone.encode_images(batch.for_pairs(pixels), Some(&batch.image_mask))
            }
        };
        self.images[view as usize].insert(image).clone()
    }

    /// What the image encoder makes of the pictures' tags beside their clean patches,
    /// `[batch, tags, width]`.
    ///
    /// # Panics
    ///
    /// Where the batch has no tags.
    pub fn tags(&mut self) -> Tensor<3> {
        self.image_levels(ImageView::Clean);
        self.tags.clone().expect("a batch with tags has been encoded with them")
    }

    /// The text encoder's output, and what the fusion encoder reads below it.
    pub fn text_levels(&mut self, view: TextView) -> Levels {
        if let Some(text) = &self.texts[view as usize] {
            return text.clone();
        }
        self.passes.push(Pass::Text(view));
        let ids = match view {
            TextView::Clean => self.batch.ids.clone(),
            TextView::Masked => self.batch.masked_ids.clone(),
        };
        let text = self.model.backbone.encode_texts(ids, &self.batch.padding);
        self.texts[view as usize].insert(text).clone()
    }

    /// The fusion encoder's output for the clean matching pairs, whole.
    pub fn fused(&mut self) -> Fused {
        if let Some(fused) = &self.fused {
            return fused.clone();
        }
        let (image, text) = (ImageView::Clean, TextView::Clean);
        let (images, texts) = (self.image_levels(image), self.text_levels(text));
        self.passes.push(Pass::Fused(image, text, None));
        let fused = self.model.backbone.fuse(&images, &texts, &self.batch.padding);
        self.fused.insert(fused).clone()
    }

    /// The classes of the clean matching pairs, `[batch, class_width]`.
    pub fn fused_class(&mut self) -> Tensor<2> {
        first_token(self.fused_part(ImageView::Clean, TextView::Clean, Part::Class))
    }

    /// The fused patches of masked pictures with their clean captions, `[batch, patches, width]`.
    pub fn fused_patches(&mut self) -> Tensor<3> {
        self.fused_part(ImageView::Masked, TextView::Clean, Part::Image)
    }

    /// The fused words of masked captions with their clean pictures, `[batch, tokens, width]`.
    pub fn fused_words(&mut self) -> Tensor<3> {
        self.fused_part(ImageView::Clean, TextView::Masked, Part::Text)
    }

    fn fused_part(&mut self, image: ImageView, text: TextView, part: Part) -> Tensor<3> {
        let clean = (image, text) == (ImageView::Clean, TextView::Clean);
        if clean && (self.whole || self.fused.is_some()) {
            return self.fused().part(part);
        }
        let pass = Pass::Fused(image, text, Some(part));
        if let Some(found) = self.fused_parts.get(&pass) {
            return found.clone();
        }
        let (images, texts) = (self.image_levels(image), self.text_levels(text));
        self.passes.push(pass);
        let backbone = &self.model.backbone;
        let found = backbone.fuse_part(&images, &texts, &self.batch.padding, part);
        self.fused_parts.insert(pass, found.clone());
        found
    }

    /// What the head of the model's task says of each clean caption with its picture or pictures,
    /// `[batch, outputs]`.
    pub fn task_output(&mut self) -> Tensor<2> {
        if let Some(output) = &self.task_output {
            return output.clone();
        }
        let part = self.model.task_part();
        let mut pictures = vec![self.fused_part(ImageView::Clean, TextView::Clean, part)];
        if let Some(others) = &self.batch.others {
            self.passes.push(Pass::OtherImage);
            let others = self.model.backbone.encode_images(others.clone(), None);
            let text = self.text_levels(TextView::Clean);
            self.passes.push(Pass::FusedOther);
            let backbone = &self.model.backbone;
            pictures.push(backbone.fuse_part(&others, &text, &self.batch.padding, part));
        }
        self.task_output.insert(self.model.task_output(pictures)).clone()
    }

    /// The embeddings of the clean pictures and captions.
    pub fn embeddings(&mut self) -> Embeddings {
        if let Some(embeddings) = &self.embeddings {
            return embeddings.clone();
        }
        let backbone = &self.model.backbone;
        let image = backbone.image_embedding(self.image(ImageView::Clean));
        let text = backbone.text_embedding(self.text(TextView::Clean));
        self.embeddings.insert(Embeddings { image, text }).clone()
    }

    /// Similarity of each clean picture to each clean caption over the temperature,
    /// `[batch, batch]`, off the tape: what hard negatives are drawn by.
    pub fn similarity(&mut self) -> Tensor<2> {
        if let Some(similarity) = &self.similarity {
            return similarity.clone();
        }
        let Embeddings { image, text } = self.embeddings();
        let temperature = self.model.temperature.val().inner().unsqueeze_dim::<2>(0);
        let similarity = image.inner().matmul(text.inner().transpose()) / temperature;
        self.similarity.insert(similarity).clone()
    }

    /// The classes of wrong pairs, `[pairs, class_width]`: see [`Negatives`].
    pub fn negatives(&mut self, hardness: Hardness, per_pair: usize) -> Tensor<2> {
        self.wrong_pairs(hardness, per_pair, self.whole_negatives).class
    }

    /// The same pairs as [`negatives`](Self::negatives), (picture, caption) by their numbers, and all that
    /// they are fused to.
    pub fn fused_negatives(
        &mut self,
        hardness: Hardness,
        per_pair: usize,
    ) -> (Vec<(usize, usize)>, Fused) {
        let found = self.wrong_pairs(hardness, per_pair, true);
        (found.pairs, found.whole.expect("the whole was asked for"))
    }

    fn wrong_pairs(&mut self, hardness: Hardness, per_pair: usize, whole: bool) -> WrongPairs {
        if let Some(found) = &self.negatives
            && (found.whole.is_some() || !whole)
        {
            return found.clone();
        }
        let similarity = match hardness {
            Hardness::Random => Vec::new(),
            _ => host(self.similarity()),
        };
        let (caption_of, seed) = (&self.batch.caption_of, self.negatives_seed);
        let drawn = Negatives::draw(hardness, &similarity, caption_of, seed);
        let pairs = drawn.pairs(per_pair, self.seed("which of the two"));
        let part = (!whole).then_some(Part::Class);
        self.passes.push(Pass::Negatives(per_pair, part));
        let found = self.fuse_wrong(pairs, whole);
        self.negatives.insert(found).clone()
    }

    fn fuse_wrong(&mut self, pairs: Vec<(usize, usize)>, whole: bool) -> WrongPairs {
        let device = self.device();
        let image = indices(pairs.iter().map(|pair| pair.0), &device);
        let text = indices(pairs.iter().map(|pair| pair.1), &device);
        let images = self.image_levels(ImageView::Clean).select(&image);
        let texts = self.text_levels(TextView::Clean).select(&text);
        let padding = AttentionMask::from_bias(self.batch.padding.bias().select(0, text));
        let backbone = &self.model.backbone;
        if whole {
            let fused = backbone.fuse(&images, &texts, &padding);
            return WrongPairs { pairs, class: fused.class.clone(), whole: Some(fused) };
        }
        let class = first_token(backbone.fuse_part(&images, &texts, &padding, Part::Class));
        WrongPairs { pairs, class, whole: None }
    }

    /// The momentum image encoder's output for the clean pictures, off the tape.
    pub fn momentum_image(&mut self) -> Tensor<3> {
        self.momentum_image_levels().output()
    }

    fn momentum_image_levels(&mut self) -> Levels {
        if let Some(image) = &self.momentum_image {
            return image.clone();
        }
        self.passes.push(Pass::MomentumImage);
        let batch = self.batch;
        let image = self.momentum.encode_images(batch.images.clone(), None);
        let image = batch.levels_for_pairs(image);
        self.momentum_image.insert(image).clone()
    }

    fn momentum_text_levels(&mut self) -> Levels {
        if let Some(text) = &self.momentum_text {
            return text.clone();
        }
        self.passes.push(Pass::MomentumText);
        let text = self.momentum.encode_texts(self.batch.ids.clone(), &self.batch.padding);
        self.momentum_text.insert(text).clone()
    }

    /// The momentum fusion encoder's output for the clean pairs, off the tape.
    pub fn momentum_fused(&mut self) -> Fused {
        if let Some(fused) = &self.momentum_fused {
            return fused.clone();
        }
        let (image, text) = (self.momentum_image_levels(), self.momentum_text_levels());
        self.passes.push(Pass::MomentumFused);
        let fused = self.momentum.fuse(&image, &text, &self.batch.padding);
        self.momentum_fused.insert(fused).clone()
    }
}

/// A square matrix in host memory, in row-major order.
fn host(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
