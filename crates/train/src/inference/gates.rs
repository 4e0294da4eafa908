//! How much each layer of a co-attention encoder uses each level, and for which words.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_fusion::{ConnectionConfig, ConnectionKind, Reading, Sources};
use weft_nn::AttentionMask;
use weft_nn::index::indices;

use super::Inference;

/// What the connection of one layer of one stream chose, on average.
#[derive(Debug, Clone)]
pub struct Gates {
    /// From 1.
    pub layer: usize,
    /// Whose stream: `text` or `image`.
    pub stream: &'static str,
    /// Names of the levels, and how much each is used.
    pub levels: Vec<(String, f64)>,
    /// How much of what is added comes from in-layer interaction, where the connection weighs it.
    pub in_layer: Option<f64>,
    /// The same for each word that was seen often enough; only where words have weights of their own.
    pub words: Vec<WordGates>,
}

/// What was chosen for one word.
#[derive(Debug, Clone)]
pub struct WordGates {
    pub word: String,
    pub count: usize,
    pub levels: Vec<f64>,
    pub in_layer: Option<f64>,
}

/// Sums over tokens or sequences.
#[derive(Default, Clone)]
struct Sums {
    count: usize,
    levels: Vec<f64>,
    in_layer: f64,
}

impl Sums {
    fn add(&mut self, levels: &[f32], in_layer: Option<f32>) {
        self.count += 1;
        self.levels.resize(levels.len(), 0.0);
        self.levels.iter_mut().zip(levels).for_each(|(sum, weight)| *sum += f64::from(*weight));
        self.in_layer += f64::from(in_layer.unwrap_or_default());
    }

    fn mean(&self) -> (Vec<f64>, f64) {
        let count = self.count.max(1) as f64;
        (self.levels.iter().map(|sum| sum / count).collect(), self.in_layer / count)
    }
}

/// Sums of one layer of one stream.
#[derive(Default, Clone)]
struct LayerSums {
    all: Sums,
    words: BTreeMap<String, Sums>,
    weighs_in_layer: bool,
}

impl Inference {
    /// What each layer's connection chose for `records` with their first captions: text stream and
    /// image stream of each layer. Words are listed that occur at least `often` times.
    ///
    /// # Errors
    ///
    /// When the model has no connection that chooses.
    pub fn gates(
        &self,
        records: &[Record],
        often: usize,
        ledger: &mut Ledger,
    ) -> Result<Vec<Gates>> {
        let connection = self.recipe.model.fusion.connection.unwrap_or_default();
        ensure!(
            connection.kind != ConnectionKind::None && !connection.is_bridge(),
            "model.fusion.connection.kind is {:?}: there is nothing that it could choose",
            connection.kind
        );
        let mut sums = vec![[LayerSums::default(), LayerSums::default()]; self.fusion_depth()];
        for records in records.chunks(self.recipe.eval.batch_size) {
            self.add_gates(records, &mut sums, ledger)?;
        }
        let mut gates = Vec::new();
        for (layer, streams) in sums.into_iter().enumerate() {
            for (stream, sums) in ["text", "image"].into_iter().zip(streams) {
                if sums.all.count > 0 {
                    let names = self.level_names(layer, stream, &connection);
                    gates.push(summary(layer, stream, names, &sums, often));
                }
            }
        }
        Ok(gates)
    }

    fn add_gates(
        &self,
        records: &[Record],
        sums: &mut [[LayerSums; 2]],
        ledger: &mut Ledger,
    ) -> Result<()> {
        let Some((images, readable)) = self.images(records, ledger)? else { return Ok(()) };
        let caption = |row: &usize| records[*row].captions.first().cloned().context("a caption");
        let captions = readable.iter().map(caption).collect::<Result<Vec<_>>>()?;
        let texts = self.texts(&captions)?;
        let rows = indices(0..captions.len(), &self.device);
        let (_, readings) = self.model.backbone.fuse_with_readings(
            &images.features.select(&rows),
            &texts.features,
            &AttentionMask::from_bias(texts.padding.clone()),
        );
        let words = captions.iter().map(|text| self.words(text)).collect::<Result<Vec<_>>>()?;
        for (layer, [text, image]) in readings.into_iter().zip(sums) {
            add(text, layer.text, Some(&words));
            add(image, layer.image, None);
        }
        Ok(())
    }

    /// For each token of a caption the word that it is, or is a piece of; nothing of special tokens.
    fn words(&self, caption: &str) -> Result<Vec<Option<String>>> {
        let encoding = self.pipeline.tokenizer.encode(caption, self.pipeline.max_tokens)?;
        let mut whole: BTreeMap<u32, String> = BTreeMap::new();
        for (token, word) in encoding.tokens.iter().zip(&encoding.words) {
            if let Some(word) = word {
                whole.entry(*word).or_default().push_str(token.trim_start_matches("##"));
            }
        }
        let word = |word: &Option<u32>| word.and_then(|word| whole.get(&word).cloned());
        Ok(encoding.words.iter().map(word).collect())
    }

    /// Managers choose among levels of their own stream, the others among the other stream's.
    fn level_names(
        &self,
        layer: usize,
        stream: &str,
        connection: &ConnectionConfig,
    ) -> Vec<String> {
        let own = matches!(connection.kind, ConnectionKind::Static | ConnectionKind::Managers);
        let model = &self.recipe.model;
        let (name, blocks) = match (stream == "text") == own {
            true => ("text", model.text.transformer.depth),
            false => ("image", model.vision.transformer.depth),
        };
        let lowest = blocks + 1 - self.fusion_depth().min(blocks);
        let encoders = (lowest..=blocks).map(|block| format!("{name} encoder {block}"));
        let fusion = (0..=layer).map(|at| match at {
            0 => format!("{name} into fusion"),
            _ => format!("{name} fusion {at}"),
        });
        match connection.sources() {
            Sources::Encoders => encoders.collect(),
            Sources::Fusion => fusion.collect(),
            Sources::Both => encoders.chain(fusion.skip(1)).collect(),
        }
    }
}

fn summary(
    layer: usize,
    stream: &'static str,
    names: Vec<String>,
    sums: &LayerSums,
    often: usize,
) -> Gates {
    let in_layer = |mean: f64| sums.weighs_in_layer.then_some(mean);
    let (levels, kept) = sums.all.mean();
    let words = sums.words.iter().filter(|(_, sums)| sums.count >= often).map(|(word, sums)| {
        let (levels, kept) = sums.mean();
        WordGates { word: word.clone(), count: sums.count, levels, in_layer: in_layer(kept) }
    });
    Gates {
        layer: layer + 1,
        stream,
        levels: names.into_iter().zip(levels).collect(),
        in_layer: in_layer(kept),
        words: words.collect(),
    }
}

/// Adds what was chosen for each example, or for each of its words.
fn add(sums: &mut LayerSums, reading: Option<Reading>, words: Option<&[Vec<Option<String>>]>) {
    let Some(Reading { weights, kept }) = reading else {
        return;
    };
    sums.weighs_in_layer = kept.is_some();
    let [batch, tokens, levels] = weights.dims();
    let kept_tokens = kept.as_ref().map_or(1, |kept| kept.dims()[1]);
    let (weights, kept) = (host(weights), kept.map(host));
    let each = tokens.max(kept_tokens);
    for row in 0..batch {
        for token in 0..each {
            let word = words.map(|words| words[row].get(token).cloned().flatten());
            // Padding and special tokens are no words.
            if each > 1 && word == Some(None) {
                continue;
            }
            let at = row * tokens + token.min(tokens - 1);
            let chosen = &weights[at * levels..][..levels];
            let in_layer =
                kept.as_ref().map(|kept| kept[row * kept_tokens + token.min(kept_tokens - 1)]);
            sums.all.add(chosen, in_layer);
            if let (true, Some(Some(word))) = (each > 1, word) {
                sums.words.entry(word).or_default().add(chosen, in_layer);
            }
        }
    }
}

fn host(x: Tensor<3>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
