//! Two streams that attend to one another: METER's fusion encoder, and what it becomes by a
//! [connection](ConnectionConfig) to other layers.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::{linear, normal};
use weft_nn::{
    AttentionMask, ConfigError, LayerNorm, LayerNormConfig, Linear, Memory, NormPosition, Pooler,
    TransformerBlock, TransformerConfig,
};

use crate::attend::{Attend, Crossing, Watch};
use crate::connection::ConnectionConfig;
use crate::fused::{Fused, Levels, Part};
use crate::links::{Links, Place};
use crate::manager::Other;
use crate::mixture::Reading;

/// Sizes of a [`CoAttentionFusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoAttentionConfig {
    /// What a layer reads besides the one before it.
    #[serde(default)]
    pub connection: ConnectionConfig,
    /// Whether all layers of an encoder pass through one projection, or each through its own.
    #[serde(default = "yes")]
    pub share_projections: bool,
    /// Of the norms in front of the first layer and in the connections.
    pub norm_epsilon: f64,
    /// One stream. Each block attends to the other stream, so `memory_width` is the width.
    pub transformer: TransformerConfig,
}

fn yes() -> bool {
    true
}

impl CoAttentionConfig {
    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const PART: &str = "model.fusion.transformer";
        if self.transformer.memory_width != Some(self.transformer.width) {
            return Err(ConfigError::new(PART, "memory_width must be the width"));
        }
        if self.transformer.norm != NormPosition::Post {
            return Err(ConfigError::new(
                PART,
                "norm must be \"post\": the streams end in no norm",
            ));
        }
        self.connection.validate()?;
        self.transformer.validate(PART)
    }

    /// How many upper layers of each encoder are read.
    pub fn encoder_layers(&self) -> usize {
        if self.connection.reads_encoders() { self.transformer.depth } else { 1 }
    }

    /// `image_width` and `text_width` are the encoders'.
    pub fn init(
        &self,
        image_width: usize,
        text_width: usize,
        device: &Device,
    ) -> CoAttentionFusion {
        let TransformerConfig { width, depth, .. } = self.transformer;
        let norm = LayerNormConfig { width, epsilon: self.norm_epsilon };
        let projections = if self.share_projections { 1 } else { self.encoder_layers() };
        let project = |from| (0..projections).map(|_| linear(from, width, device)).collect();
        let blocks = || (0..depth).map(|i| self.transformer.init_block(i, device)).collect();
        let links = |text| Links::new(&self.connection, text, depth, &norm, device);
        let first_norm = |text| {
            let bridged = self.connection.is_bridge() && self.connection.serves(text);
            bridged.then(|| norm.init(device))
        };
        CoAttentionFusion {
            text_projection: project(text_width),
            image_projection: project(image_width),
            modality: normal().init([2, width], device),
            text_norm: first_norm(true),
            image_norm: first_norm(false),
            text_blocks: blocks(),
            image_blocks: blocks(),
            text_links: links(true),
            image_links: links(false),
            text_pooler: Pooler::new(width, width, device),
            image_pooler: Pooler::new(width, width, device),
            encoder_layers: self.encoder_layers(),
        }
    }
}

/// Co-attention (METER, Dou et al. 2022): in each layer, words attend to words and then
/// to patches, patches to patches and then to words, both from the states before the layer. With a
/// connection, layers read more than that: BridgeTower, ManagerTower, and our readings of UNIMO-3.
#[derive(Module, Debug)]
pub struct CoAttentionFusion {
    /// One for all layers, or one per layer.
    pub text_projection: Vec<Linear>,
    pub image_projection: Vec<Linear>,
    /// Added to words (row 0) and patches (row 1), `[2, width]`.
    pub modality: Param<Tensor<2>>,
    /// In front of the first layer, where the others have bridges.
    pub text_norm: Option<LayerNorm>,
    pub image_norm: Option<LayerNorm>,
    pub text_blocks: Vec<TransformerBlock>,
    pub image_blocks: Vec<TransformerBlock>,
    pub text_links: Links,
    pub image_links: Links,
    pub text_pooler: Pooler,
    pub image_pooler: Pooler,
    encoder_layers: usize,
}

/// Both streams after a layer.
#[derive(Debug, Clone)]
pub struct Streams {
    /// `[batch, words, width]`
    pub text: Tensor<3>,
    /// `[batch, patches, width]`
    pub image: Tensor<3>,
}

/// What each layer's connection chose; nothing where a stream has none.
#[derive(Debug, Clone)]
pub struct LayerReadings {
    pub text: Option<Reading>,
    pub image: Option<Reading>,
}

/// One modality on its way through the encoder.
struct Stream<'a> {
    blocks: &'a [TransformerBlock],
    links: &'a Links,
    /// The uni-modal encoder's layers, projected.
    levels: Vec<Tensor<3>>,
    /// What went into each layer so far, and came out of the last one.
    states: Vec<Tensor<3>>,
    mask: Option<AttentionMask>,
    /// `[batch, tokens, 1]`, 1 where there is a token; nothing where all are.
    visible: Option<Tensor<3>>,
}

impl Stream<'_> {
    /// The state before the next layer.
    fn state(&self) -> Tensor<3> {
        self.states[self.states.len() - 1].clone()
    }

    fn other(&self) -> Other {
        // From `[batch, 1, 1, keys]`.
        let bias = self.mask.as_ref().map(|mask| mask.bias().squeeze_dim::<3>(1));
        Other { tokens: self.state(), bias }
    }

    /// Puts what goes into `layer` in the place of the state before it.
    fn enter(&mut self, layer: usize, other: &Other) -> Option<Reading> {
        let state = (layer > 0).then(|| self.state());
        let place = Place { layer, levels: &self.levels, states: &self.states };
        let (input, reading) = self.links.enter(&place, state, other, self.visible.as_ref())?;
        *self.states.last_mut().expect("a stream begins with a state") = input;
        reading
    }

    /// Runs `layer` with what `others` was before it; with `rows`, of these tokens alone.
    fn advance(
        &self,
        layer: usize,
        others: &Stream,
        rows: Option<&Range<usize>>,
        watch: Option<&mut Watch>,
    ) -> (Tensor<3>, Option<Reading>) {
        let memory = Memory { tokens: others.state(), mask: others.mask.clone() };
        let place = Place { layer, levels: &others.levels, states: &others.states };
        let levels = self.links.chosen_from(&place);
        let mut reading = None;
        let block = &self.blocks[layer];
        let output = block.forward_crossing(self.state(), self.mask.as_ref(), rows, |cross, s| {
            let crossing = Crossing {
                attend: &mut Attend::new(cross, watch),
                s,
                memory: &memory,
                levels: &levels,
                own_visible: self.visible.as_ref(),
                others_visible: others.visible.as_ref(),
            };
            let (output, found) = self.links.cross(layer, crossing);
            reading = found;
            output
        });
        (output, reading)
    }
}

/// Both modalities on their way through the encoder.
struct Pair<'a> {
    text: Stream<'a>,
    image: Stream<'a>,
}

impl Pair<'_> {
    /// Puts what goes into `layer` in the place of the states before it.
    fn enter(&mut self, layer: usize) -> [Option<Reading>; 2] {
        let (words, patches) = (self.text.other(), self.image.other());
        [self.text.enter(layer, &patches), self.image.enter(layer, &words)]
    }

    /// Runs `layer`; `watches` look at the words' stream and at the patches'.
    fn advance(&mut self, layer: usize, watches: [Option<&mut Watch>; 2]) -> LayerReadings {
        let [of_text, of_image] = watches;
        let [text_entered, image_entered] = self.enter(layer);
        let (text, text_crossed) = self.text.advance(layer, &self.image, None, of_text);
        let (image, image_crossed) = self.image.advance(layer, &self.text, None, of_image);
        self.text.states.push(text);
        self.image.states.push(image);
        LayerReadings {
            text: text_entered.or(text_crossed),
            image: image_entered.or(image_crossed),
        }
    }

    /// Both streams after the layer that was run last.
    fn states(&self) -> Streams {
        Streams { text: self.text.state(), image: self.image.state() }
    }
}

impl CoAttentionFusion {
    /// Both streams after each layer.
    ///
    /// # Shapes
    ///
    /// - `text`: the text encoder's upper layers, `[batch, words, text_width]`: as many as
    ///   [`CoAttentionConfig::encoder_layers`]
    /// - `image`: the same of the image encoder, `[batch, patches, image_width]`
    /// - `padding`: of the words
    ///
    /// # Panics
    ///
    /// If the number of layers is another.
    pub fn forward(
        &self,
        text: &[Tensor<3>],
        image: &[Tensor<3>],
        padding: Option<&AttentionMask>,
    ) -> Vec<Streams> {
        let image = Levels::new(image.to_vec());
        self.run(&Levels::new(text.to_vec()), &image, padding, |_, _| None).0
    }

    /// The pair as heads and objectives read it: the class is both poolers' output beside one another,
    /// `[batch, 2 width]`; the first of the image's tokens is no patch.
    ///
    /// Shapes as [`forward`](Self::forward).
    pub fn fuse(&self, image: &Levels, text: &Levels, padding: &AttentionMask) -> Fused {
        self.fused(self.run(text, image, Some(padding), |_, _| None).0)
    }

    /// One part of what [`fuse`](Self::fuse) gives: the last layer computes no more than that needs.
    ///
    /// # Panics
    ///
    /// Without a layer.
    pub fn fuse_part(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
        part: Part,
    ) -> Tensor<3> {
        let mut pair = self.pair(text, image, Some(padding));
        let last = self.text_blocks.len() - 1;
        for layer in 0..last {
            pair.advance(layer, [None, None]);
        }
        pair.enter(last);
        let words = |rows: Range<usize>| pair.text.advance(last, &pair.image, Some(&rows), None).0;
        let patches =
            |rows: Range<usize>| pair.image.advance(last, &pair.text, Some(&rows), None).0;
        let count = |stream: &Stream| stream.state().dims()[1];
        match part {
            Part::Class => {
                self.pool(&Streams { text: words(0..1), image: patches(0..1) }).unsqueeze_dim(1)
            }
            Part::Image => patches(1..count(&pair.image)),
            Part::Text => words(0..count(&pair.text)),
        }
    }

    /// As [`fuse`](Self::fuse), with what each layer's connection chose.
    pub fn fuse_with_readings(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<LayerReadings>) {
        let mut watches: Vec<[Watch; 2]> =
            self.text_blocks.iter().map(|_| Default::default()).collect();
        let mut unseen: Vec<_> = watches.iter_mut().flatten().map(Some).collect();
        let (states, mut readings) = self.run(text, image, Some(padding), |layer, text| {
            unseen[2 * layer + usize::from(!text)].take()
        });
        for (layer, [words, patches]) in watches.into_iter().enumerate() {
            let reading = &mut readings[layer];
            reading.text = reading.text.take().or(self.text_links.attended(layer, words));
            reading.image = reading.image.take().or(self.image_links.attended(layer, patches));
        }
        (self.fused(states), readings)
    }

    /// As [`fuse`](Self::fuse), with the cross-attention weights of each layer from words to patches,
    /// `[batch, heads, words, patches]`: of the gated connection those in the layer, of the
    /// concatenated one the sum over levels.
    pub fn fuse_with_weights(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
    ) -> (Fused, Vec<Tensor<4>>) {
        let mut watches: Vec<Watch> = self.text_blocks.iter().map(|_| Watch::default()).collect();
        let mut unseen = watches.iter_mut();
        let (states, _) =
            self.run(text, image, Some(padding), |_, text| if text { unseen.next() } else { None });
        let [_, positions, _] = image.output().dims();
        let weights = watches.into_iter().filter_map(|watch| watch.weights);
        let weights = weights.map(|weights| to_patches(weights, positions)).collect();
        (self.fused(states), weights)
    }

    /// Grad-CAM of the words' cross-attention to patches in `layer` (ALBEF, section 6.5): as
    /// [`JointFusion::grad_cam`](crate::JointFusion::grad_cam).
    ///
    /// # Panics
    ///
    /// Without such a layer, or where the score does not depend on the pair.
    pub fn grad_cam(
        &self,
        image: &Levels,
        text: &Levels,
        padding: &AttentionMask,
        layer: usize,
        score: impl FnOnce(Fused) -> Tensor<1>,
    ) -> Tensor<3> {
        let mut watch = Watch { with_gradient: true, ..Watch::default() };
        let mut unseen = Some(&mut watch);
        let (states, _) = self.run(text, image, Some(padding), |at, text| {
            if text && at == layer { unseen.take() } else { None }
        });
        let gradients = score(self.fused(states)).sum().backward();
        let (Some(weights), Some(probe)) = (watch.weights, watch.probe) else {
            panic!("fusion layer {layer} of {}", self.text_blocks.len());
        };
        let gradient = probe.grad(&gradients).expect("the score depends on every layer");
        let cam = weights.inner() * gradient.clamp_min(0.0);
        let [_, positions, _] = image.output().dims();
        let cam = to_patches(cam, positions);
        let [batch, _, words, patches] = cam.dims();
        cam.mean_dim(1).reshape([batch, words, patches])
    }

    /// A vector of each stream, beside one another.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, 2 width]`, text first
    pub fn pool(&self, streams: &Streams) -> Tensor<2> {
        let text = self.text_pooler.forward(streams.text.clone());
        Tensor::cat(vec![text, self.image_pooler.forward(streams.image.clone())], 1)
    }

    /// A layer of the image encoder in the fusion encoder's width, marked as image.
    pub fn project_image(&self, x: Tensor<3>, layer: usize) -> Tensor<3> {
        self.project(&self.image_projection, x, layer, 1)
    }

    /// Runs all layers; `watch` is asked for each layer of the words' stream (true) and of the
    /// patches'.
    fn run<'w>(
        &self,
        text: &Levels,
        image: &Levels,
        padding: Option<&AttentionMask>,
        mut watch: impl FnMut(usize, bool) -> Option<&'w mut Watch>,
    ) -> (Vec<Streams>, Vec<LayerReadings>) {
        let mut pair = self.pair(text, image, padding);
        (0..self.text_blocks.len())
            .map(|layer| {
                let readings = pair.advance(layer, [watch(layer, true), watch(layer, false)]);
                (pair.states(), readings)
            })
            .unzip()
    }

    fn pair(&self, text: &Levels, image: &Levels, padding: Option<&AttentionMask>) -> Pair<'_> {
        let (words, patches) = (text.layers(), image.layers());
        assert_eq!(words.len(), self.encoder_layers, "layers of the text encoder");
        assert_eq!(patches.len(), self.encoder_layers, "layers of the image encoder");
        Pair {
            text: self.stream(true, words, padding.cloned()),
            image: self.stream(false, patches, image.padding().cloned()),
        }
    }

    fn stream(&self, text: bool, layers: &[Tensor<3>], mask: Option<AttentionMask>) -> Stream<'_> {
        let (projections, norm, blocks, links) = match text {
            true => (&self.text_projection, &self.text_norm, &self.text_blocks, &self.text_links),
            false => {
                (&self.image_projection, &self.image_norm, &self.image_blocks, &self.image_links)
            }
        };
        let row = usize::from(!text);
        let project =
            |(at, layer): (usize, &Tensor<3>)| self.project(projections, layer.clone(), at, row);
        let levels: Vec<Tensor<3>> = layers.iter().enumerate().map(project).collect();
        let first = match norm {
            // Bridges take the layers one by one.
            Some(norm) => norm.forward(levels[0].clone()),
            None => levels[levels.len() - 1].clone(),
        };
        let visible = mask.as_ref().map(|mask| {
            let bias = mask.bias();
            let [batch, _, _, tokens] = bias.dims();
            bias.equal_elem(0.0).float().reshape([batch, tokens, 1])
        });
        Stream { blocks, links, levels, states: vec![first], mask, visible }
    }

    fn project(
        &self,
        projections: &[Linear],
        x: Tensor<3>,
        layer: usize,
        modality: usize,
    ) -> Tensor<3> {
        let projection = projections.get(layer).unwrap_or(&projections[0]);
        projection.forward(x) + self.modality.val().narrow(0, modality, 1).unsqueeze::<3>()
    }

    fn fused(&self, mut states: Vec<Streams>) -> Fused {
        let last = states.pop().expect("a fusion encoder has layers");
        let class = self.pool(&last);
        let [_, positions, _] = last.image.dims();
        Fused { class, image: last.image.narrow(1, 1, positions - 1), text: last.text }
    }
}

/// Weights of the patches among those of `positions` image tokens, of which the first is none; where
/// several levels stand beside one another, added up.
fn to_patches(weights: Tensor<4>, positions: usize) -> Tensor<4> {
    let [_, _, _, keys] = weights.dims();
    let patches = |level: usize| weights.clone().narrow(3, level * positions + 1, positions - 1);
    let levels = (0..keys / positions).map(patches);
    levels.reduce(|sum, level| sum + level).expect("at least one level")
}
