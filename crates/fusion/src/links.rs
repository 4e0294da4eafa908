//! The connections of one stream of a co-attention encoder.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use weft_nn::LayerNormConfig;

use crate::attend::{Crossing, Watch};
use crate::bridge::Bridge;
use crate::connection::{ConnectionConfig, ConnectionKind, Sources};
use crate::gate::CrossLayerGate;
use crate::level_concat::LevelConcat;
use crate::level_sum::LevelSum;
use crate::manager::{Manager, Other};
use crate::mixture::Reading;

/// One connection for each layer, all of one kind; of bridges none for the first layer.
#[derive(Module, Debug)]
pub struct Links {
    pub bridges: Vec<Bridge>,
    pub managers: Vec<Manager>,
    pub gates: Vec<CrossLayerGate>,
    pub sums: Vec<LevelSum>,
    pub concats: Vec<LevelConcat>,
    #[module(skip)]
    sources: Sources,
}

/// A layer, and the levels of one modality that there are before it.
pub(crate) struct Place<'a> {
    pub layer: usize,
    /// The uni-modal encoder's layers, projected.
    pub levels: &'a [Tensor<3>],
    /// What went into each layer of the fusion encoder up to this one.
    pub states: &'a [Tensor<3>],
}

impl Links {
    /// Of the text stream, or of the image stream, of `depth` layers.
    pub(crate) fn new(
        config: &ConnectionConfig,
        text: bool,
        depth: usize,
        norm: &LayerNormConfig,
        device: &Device,
    ) -> Self {
        use ConnectionKind as K;
        let (sources, granularity) = (config.sources(), config.granularity());
        let levels = |layer: usize| config.levels(layer, depth);
        let kind = if config.serves(text) { config.kind } else { K::None };
        let layers = |wanted: bool| if wanted { 0..depth } else { 0..0 };
        Self {
            bridges: layers(matches!(kind, K::Add | K::ScaledAdd | K::Interpolate))
                .skip(1)
                .map(|_| Bridge::new(kind, norm, device))
                .collect(),
            managers: layers(matches!(kind, K::Static | K::Managers))
                .map(|layer| Manager::new(config, levels(layer), layer == 0, norm, device))
                .collect(),
            gates: layers(kind == K::Gate)
                .map(|layer| CrossLayerGate::new(granularity, levels(layer), norm, device))
                .collect(),
            sums: layers(kind == K::Sum)
                .map(|layer| LevelSum::new(granularity, levels(layer), norm, device))
                .collect(),
            concats: layers(kind == K::Concat)
                .map(|layer| LevelConcat::new(levels(layer), norm, device))
                .collect(),
            sources,
        }
    }

    /// What goes into a layer, where it is not the state before it, from the stream's own levels.
    pub(crate) fn enter(
        &self,
        own: &Place,
        state: Option<Tensor<3>>,
        other: &Other,
        visible: Option<&Tensor<3>>,
    ) -> Option<(Tensor<3>, Option<Reading>)> {
        if let Some(manager) = self.managers.get(own.layer) {
            let (input, reading) = manager.forward(&self.chosen_from(own), state, other, visible);
            return Some((input, Some(reading)));
        }
        let bridge = self.bridges.get(own.layer.checked_sub(1)?)?;
        Some((bridge.forward(own.levels[own.layer].clone(), state?), None))
    }

    /// What is added behind self-attention in `layer`.
    pub(crate) fn cross(&self, layer: usize, crossing: Crossing) -> (Tensor<3>, Option<Reading>) {
        if let Some(gate) = self.gates.get(layer) {
            let (output, reading) = gate.forward(crossing);
            return (output, Some(reading));
        }
        if let Some(sum) = self.sums.get(layer) {
            let (output, reading) = sum.forward(crossing);
            return (output, Some(reading));
        }
        match self.concats.get(layer) {
            Some(concat) => (concat.forward(crossing), None),
            None => {
                let Crossing { attend, s, memory, .. } = crossing;
                (attend.to(s, memory.tokens.clone(), memory.mask.as_ref()), None)
            }
        }
    }

    /// What a connection that chooses by attention itself chose in `layer`.
    pub(crate) fn attended(&self, layer: usize, watch: Watch) -> Option<Reading> {
        Some(self.concats.get(layer)?.reading(watch.weights?))
    }

    /// The levels that the connection chooses from.
    pub(crate) fn chosen_from(&self, place: &Place) -> Vec<Tensor<3>> {
        match self.sources {
            Sources::Encoders => place.levels.to_vec(),
            Sources::Fusion => place.states.to_vec(),
            // What goes into the first layer is made of the encoders' layers, which are there already.
            Sources::Both => [place.levels, &place.states[1..]].concat(),
        }
    }
}
