//! The part of a model that has a momentum twin.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use weft_fusion::{CoAttentionFusion, Fused, JointFusion, LayerReadings, Levels, Part};
use weft_kernels::l2_normalize;
use weft_nn::{AttentionMask, Linear, first_token};
use weft_text::TextEncoder;
use weft_vision::{PatchMask, Vit};

use crate::tag_embeddings::{TagEmbeddings, Tags};

/// Image encoder, text encoder, fusion encoder, and the projections into the space that the first
/// two share.
#[derive(Module, Debug)]
pub struct Backbone {
    pub vision: Vit,
    pub text: TextEncoder,
    /// The fusion encoder, of one kind or the other.
    pub fusion: Option<JointFusion>,
    pub co_attention: Option<CoAttentionFusion>,
    pub image_projection: Linear,
    pub text_projection: Linear,
    /// Of a model whose image encoder sees tags.
    pub tags: Option<TagEmbeddings>,
    /// How many upper layers of each encoder the fusion encoder reads.
    pub(crate) encoder_layers: usize,
}

/// The fusion encoder, whichever it is.
enum Fusion<'a> {
    Joint(&'a JointFusion),
    CoAttention(&'a CoAttentionFusion),
}

impl Backbone {
    /// The image encoder's output, and what the fusion encoder reads below it; `mask` hides patches.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, 3, height, width]`, or regions: see [`Vit::forward`]
    /// - each layer: `[batch, 1 + patches, width]`
    pub fn encode_images(&self, images: Tensor<4>, mask: Option<&PatchMask>) -> Levels {
        let padding = self.vision.padding(&images);
        Levels::new(self.vision.levels(images, mask, self.encoder_layers)).with_padding(padding)
    }

    /// The image encoder's output for whole pictures whose patches see tags, and what it makes of the
    /// tags, `[batch, tags, width]`. The tags do not go on to the fusion encoder, as in MVPTR.
    ///
    /// # Panics
    ///
    /// Where the model knows no tags.
    pub fn encode_images_with_tags(&self, images: Tensor<4>, tags: &Tags) -> (Levels, Tensor<3>) {
        let embeddings = self.tags.as_ref().expect("a model that is shown tags knows tags");
        let table = self.text.embeddings.word.weight.val();
        let beside = embeddings.forward(table, tags.ids.clone());
        let [_, count, _] = beside.dims();
        let patches = self.vision.tokens(&images);
        let padding = self.vision.padding(&images);
        let mask = match &padding {
            Some(of_regions) => of_regions.before(&tags.padding),
            None => tags.padding.behind(patches, &images.device()),
        };
        let levels = self.vision.levels_beside(images, beside, &mask, self.encoder_layers);
        let levels = Levels::new(levels);
        let of_tags = levels.output().narrow(1, patches, count);
        (levels.map(|layer| layer.narrow(1, 0, patches)).with_padding(padding), of_tags)
    }

    /// The text encoder's output, and what the fusion encoder reads below it.
    ///
    /// # Shapes
    ///
    /// - `ids`: `[batch, tokens]`
    /// - each layer: `[batch, tokens, width]`
    pub fn encode_texts(&self, ids: Tensor<2, Int>, padding: &AttentionMask) -> Levels {
        Levels::new(self.text.levels(ids, padding, self.encoder_layers))
    }

    /// The fusion encoder's output for pairs.
    pub fn fuse(&self, images: &Levels, texts: &Levels, padding: &AttentionMask) -> Fused {
        match self.kind() {
            Fusion::Joint(fusion) => fusion.forward(images, texts, padding),
            Fusion::CoAttention(fusion) => fusion.fuse(images, texts, padding),
        }
    }

    /// One part of what [`fuse`](Self::fuse) gives, without the rest.
    pub fn fuse_part(
        &self,
        images: &Levels,
        texts: &Levels,
        padding: &AttentionMask,
        part: Part,
    ) -> Tensor<3> {
        match self.kind() {
            Fusion::Joint(fusion) => fusion.forward_part(images, texts, padding, part),
            Fusion::CoAttention(fusion) => fusion.fuse_part(images, texts, padding, part),
        }
    }

    /// As [`fuse`](Self::fuse), with the attention weights of each layer from words to patches,
    /// `[batch, heads, tokens, patches]`.
    pub fn fuse_with_weights(
        &self,
        images: &Levels,
        texts: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<Tensor<4>>) {
        match self.kind() {
            Fusion::Joint(fusion) => fusion.forward_with_weights(images, texts, padding),
            Fusion::CoAttention(fusion) => fusion.fuse_with_weights(images, texts, padding),
        }
    }

    /// As [`fuse`](Self::fuse), with what each layer's connection chose; nothing of an encoder without
    /// connections.
    pub fn fuse_with_readings(
        &self,
        images: &Levels,
        texts: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<LayerReadings>) {
        match self.kind() {
            Fusion::Joint(_) => (self.fuse(images, texts, padding), Vec::new()),
            Fusion::CoAttention(fusion) => fusion.fuse_with_readings(images, texts, padding),
        }
    }

    /// Grad-CAM of a score at a layer of the fusion encoder, `[batch, tokens, patches]`: see
    /// [`JointFusion::grad_cam`] and [`CoAttentionFusion::grad_cam`].
    pub fn grad_cam(
        &self,
        images: &Levels,
        texts: &Levels,
        padding: &AttentionMask,
        layer: usize,
        score: impl FnOnce(Fused) -> Tensor<1>,
    ) -> Tensor<3> {
        match self.kind() {
            Fusion::Joint(fusion) => fusion.grad_cam(images, texts, padding, layer, score),
            Fusion::CoAttention(fusion) => fusion.grad_cam(images, texts, padding, layer, score),
        }
    }

    /// Layers of the fusion encoder.
    pub fn fusion_depth(&self) -> usize {
        match self.kind() {
            Fusion::Joint(fusion) => fusion.stack.blocks.len(),
            Fusion::CoAttention(fusion) => fusion.text_blocks.len(),
        }
    }

    fn kind(&self) -> Fusion<'_> {
        match (&self.fusion, &self.co_attention) {
            (Some(fusion), _) => Fusion::Joint(fusion),
            (None, Some(fusion)) => Fusion::CoAttention(fusion),
            (None, None) => unreachable!("a model is made with a fusion encoder"),
        }
    }

    /// The picture's point on the unit sphere of the shared space, from its class token.
    ///
    /// # Shapes
    ///
    /// - `image`: `[batch, 1 + patches, width]`
    /// - output: `[batch, projection_width]`
    pub fn image_embedding(&self, image: Tensor<3>) -> Tensor<2> {
        l2_normalize(self.image_projection.forward(first_token(image)))
    }

    /// The caption's point on the unit sphere of the shared space, from its class token.
    ///
    /// # Shapes
    ///
    /// - `text`: `[batch, tokens, width]`
    /// - output: `[batch, projection_width]`
    pub fn text_embedding(&self, text: Tensor<3>) -> Tensor<2> {
        l2_normalize(self.text_projection.forward(first_token(text)))
    }
}
