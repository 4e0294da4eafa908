//! Which levels the layers of a co-attention encoder choose from: the encoder wired by hand.

mod common;

use burn::tensor::{Device, Tensor};
use common::apart;
use common::encoders::{TOKENS, co_attention, inputs, mask, projected};
use weft_fusion::attend::{Attend, Crossing, Watch};
use weft_fusion::manager::Other;
use weft_fusion::{ConnectionConfig, ConnectionKind, Links, Reading, Sources};
use weft_nn::{Memory, TransformerBlock};

const DEPTH: usize = 3;
/// Of two ways to compute the same through three layers; another level makes a difference of about 1.
const TOLERANCE: f32 = 1e-4;

/// A level of a modality.
#[derive(Debug, Clone, Copy)]
enum Level {
    /// A layer of the uni-modal encoder, from the lowest.
    Encoder(usize),
    /// The uni-modal encoder's last layer.
    Output,
    /// What went into a layer of the fusion encoder.
    Before(usize),
    /// What came out of one.
    Behind(usize),
}

/// What a layer chooses from, in its order, written down for each of the three.
fn chosen(sources: Sources, layer: usize) -> Vec<Level> {
    use Level::{Before, Behind, Encoder, Output};
    let encoder = [Encoder(0), Encoder(1), Encoder(2)];
    match (sources, layer) {
        (Sources::Encoders, _) | (Sources::Both, 0) => encoder.to_vec(),
        (Sources::Fusion, 0) => vec![Output],
        // A manager changes what goes into its layer; behind it the next one finds what came out.
        (Sources::Fusion, 1) => vec![Before(0), Behind(0)],
        (Sources::Fusion, _) => vec![Before(0), Before(1), Behind(1)],
        (Sources::Both, 1) => [encoder.to_vec(), vec![Behind(0)]].concat(),
        (Sources::Both, _) => [encoder.to_vec(), vec![Before(1), Behind(1)]].concat(),
    }
}

fn told((output, reading): (Tensor<3>, Reading)) -> (Tensor<3>, Option<Reading>) {
    (output, Some(reading))
}

/// One modality on its way.
struct Stream<'a> {
    blocks: &'a [TransformerBlock],
    links: &'a Links,
    encoder: Vec<Tensor<3>>,
    before: Vec<Tensor<3>>,
    behind: Vec<Tensor<3>>,
}

impl<'a> Stream<'a> {
    fn new(blocks: &'a [TransformerBlock], links: &'a Links, encoder: Vec<Tensor<3>>) -> Self {
        Self { blocks, links, encoder, before: Vec::new(), behind: Vec::new() }
    }

    fn levels(&self, chosen: &[Level]) -> Vec<Tensor<3>> {
        let level = |level: &Level| match *level {
            Level::Encoder(layer) => self.encoder[layer].clone(),
            Level::Output => self.encoder[self.encoder.len() - 1].clone(),
            Level::Before(layer) => self.before[layer].clone(),
            Level::Behind(layer) => self.behind[layer].clone(),
        };
        chosen.iter().map(level).collect()
    }

    /// What came out of the last layer, or of the uni-modal encoder.
    fn state(&self) -> Tensor<3> {
        self.behind.last().cloned().unwrap_or_else(|| self.levels(&[Level::Output]).remove(0))
    }

    /// What goes into `layer`, which a manager makes where there is one.
    fn enter(&mut self, layer: usize, chosen: &[Level], others: Tensor<3>) -> Option<Reading> {
        let state = self.state();
        let Some(manager) = self.links.managers.get(layer) else {
            self.before.push(state);
            return None;
        };
        let other = Other { tokens: others, bias: None };
        let state = (layer > 0).then_some(state);
        let (input, reading) = manager.forward(&self.levels(chosen), state, &other, None);
        self.before.push(input);
        Some(reading)
    }

    /// What comes out of `layer`, whose cross-attention is to `others`.
    fn advance(
        &self,
        layer: usize,
        chosen: &[Level],
        others: &Stream,
    ) -> (Tensor<3>, Option<Reading>) {
        let memory = Memory { tokens: others.before[layer].clone(), mask: None };
        let levels = others.levels(chosen);
        let (gate, sum) = (self.links.gates.get(layer), self.links.sums.get(layer));
        let concat = self.links.concats.get(layer);
        let (mut reading, mut watch) = (None, Watch::default());
        let (block, input) = (&self.blocks[layer], self.before[layer].clone());
        let output = block.forward_crossing(input, None, None, |cross, s| {
            let crossing = Crossing {
                attend: &mut Attend::new(cross, Some(&mut watch)),
                s,
                memory: &memory,
                levels: &levels,
                own_visible: None,
                others_visible: None,
            };
            let (output, found) = match (gate, sum, concat) {
                (Some(gate), ..) => told(gate.forward(crossing)),
                (_, Some(sum), _) => told(sum.forward(crossing)),
                (.., Some(concat)) => (concat.forward(crossing), None),
                _ => (cross.forward(crossing.s, memory.tokens.clone(), None), None),
            };
            reading = found;
            output
        });
        let attended = || Some(concat?.reading(watch.weights?));
        (output, reading.or_else(attended))
    }
}

fn assert_same(found: &Option<Reading>, expected: &Option<Reading>, what: &str) {
    let (found, expected) = (found.as_ref().unwrap(), expected.as_ref().unwrap());
    assert_eq!(found.weights.dims(), expected.weights.dims(), "{what}");
    assert!(apart(&found.weights, &expected.weights) < TOLERANCE, "{what}");
    assert_eq!(found.kept.is_some(), expected.kept.is_some(), "{what}");
    for (found, expected) in found.kept.iter().zip(&expected.kept) {
        assert!(apart(found, expected) < TOLERANCE, "{what}: kept");
    }
}

fn assert_wired(kind: ConnectionKind, sources: Sources) {
    let connection = ConnectionConfig { sources: Some(sources), ..ConnectionConfig::new(kind) };
    let (config, fusion) = co_attention(connection, DEPTH);
    let (image, text) = inputs(config.encoder_layers());
    let (of_text, of_image) = (projected(&fusion, true, &text), projected(&fusion, false, &image));
    let mut words = Stream::new(&fusion.text_blocks, &fusion.text_links, of_text);
    let mut patches = Stream::new(&fusion.image_blocks, &fusion.image_links, of_image);

    let states = fusion.forward(text.layers(), image.layers(), None);
    let whole = mask([TOKENS; 2], TOKENS);
    let (_, readings) = fusion.fuse_with_readings(&image, &text, &whole);
    assert_eq!((states.len(), readings.len()), (DEPTH, DEPTH));
    for (layer, (found, read)) in states.iter().zip(&readings).enumerate() {
        let what = format!("{kind:?} of {sources:?}, layer {layer}");
        let chosen = chosen(sources, layer);
        let (of_words, of_patches) = (words.state(), patches.state());
        let entered = words.enter(layer, &chosen, of_patches);
        let image_entered = patches.enter(layer, &chosen, of_words);
        let (of_words, crossed) = words.advance(layer, &chosen, &patches);
        let (of_patches, image_crossed) = patches.advance(layer, &chosen, &words);
        assert!(apart(&found.text, &of_words) < TOLERANCE, "{what}: words");
        assert!(apart(&found.image, &of_patches) < TOLERANCE, "{what}: patches");
        assert_same(&read.text, &entered.or(crossed), &what);
        assert_same(&read.image, &image_entered.or(image_crossed), &what);
        words.behind.push(of_words);
        patches.behind.push(of_patches);
    }
}

/// Each level in its place, the newest among them and none twice; and what is told of a layer and a
/// stream is what that one chose.
#[test]
fn layers_choose_from_the_levels_that_the_sources_name() {
    use ConnectionKind::{Concat, Gate, Managers, Static, Sum};
    Device::flex().seed(3);
    for kind in [Gate, Sum, Concat, Static, Managers] {
        for sources in [Sources::Encoders, Sources::Fusion, Sources::Both] {
            assert_wired(kind, sources);
        }
    }
}
