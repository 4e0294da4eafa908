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
    /// The same for each word that was seen often enough; only where words have weights of their own. Of the image
    /// stream: how much of each level of a word it lets in.
    pub words: Vec<WordGates>,
}

/// What was chosen for one word.
#[derive(Debug, Clone)]
pub struct WordGates {
    pub word: String,
    pub count: usize,
    /// How much each level is used for the word: where in-layer interaction is weighed, of what it leaves.
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
            if let Some(reading) = layer.text {
                text.add(&Chosen::of(reading), Some(&words));
            }
            if let Some(mut reading) = layer.image {
                let of_words = reading.of_others.take();
                image.add(&Chosen::of(reading), None);
                if let Some(weights) = of_words {
                    image.add_words(&Chosen::of(Reading::of_levels(weights)), &words);
                }
            }
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

/// What was chosen, row by row.
struct Chosen {
    /// `[batch, tokens, levels]`
    weights: Vec<f32>,
    shape: [usize; 3],
    /// `[batch, tokens]`
    kept: Option<Vec<f32>>,
    kept_tokens: usize,
}

impl Chosen {
    fn of(Reading { weights, kept, .. }: Reading) -> Self {
        Self {
            shape: weights.dims(),
            kept_tokens: kept.as_ref().map_or(1, |kept| kept.dims()[1]),
            weights: host(weights),
            kept: kept.map(host),
        }
    }

    /// Tokens with a choice of their own; 1 where one choice is made for all.
    fn tokens(&self) -> usize {
        self.shape[1].max(self.kept_tokens)
    }

    /// The weights of the levels, and the in-layer share, at a token. Static weights are the same for every row.
    fn at(&self, row: usize, token: usize) -> (&[f32], Option<f32>) {
        let [batch, tokens, levels] = self.shape;
        let at = row.min(batch - 1) * tokens + token.min(tokens - 1);
        let in_layer =
            |kept: &Vec<f32>| kept[row * self.kept_tokens + token.min(self.kept_tokens - 1)];
        (&self.weights[at * levels..][..levels], self.kept.as_ref().map(in_layer))
    }
}

impl LayerSums {
    /// Adds what was chosen for each example, or for each of its tokens: of the text stream, whose `words` are given,
    /// for each that is a word.
    fn add(&mut self, chosen: &Chosen, words: Option<&[Vec<Option<String>>]>) {
        self.weighs_in_layer = chosen.kept.is_some();
        if let Some(words) = words.filter(|_| chosen.tokens() > 1) {
            for (row, token, _) in placed(words) {
                let (levels, in_layer) = chosen.at(row, token);
                self.all.add(levels, in_layer);
            }
            return self.add_words(chosen, words);
        }
        for row in 0..chosen.shape[0] {
            for token in 0..chosen.tokens() {
                let (levels, in_layer) = chosen.at(row, token);
                self.all.add(levels, in_layer);
            }
        }
    }

    /// Adds to each word what was chosen for it.
    fn add_words(&mut self, chosen: &Chosen, words: &[Vec<Option<String>>]) {
        for (row, token, word) in placed(words) {
            let (levels, in_layer) = chosen.at(row, token);
            let left = 1.0 - in_layer.unwrap_or(0.0);
            let levels: Vec<f32> = levels.iter().map(|level| left * level).collect();
            self.words.entry(word.clone()).or_default().add(&levels, in_layer);
        }
    }
}

/// Row and place of each word; padding and special tokens are none.
fn placed(words: &[Vec<Option<String>>]) -> impl Iterator<Item = (usize, usize, &String)> {
    words.iter().enumerate().flat_map(|(row, words)| {
        let of_row = words.iter().enumerate();
        of_row.filter_map(move |(token, word)| word.as_ref().map(|word| (row, token, word)))
    })
}

fn host(x: Tensor<3>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(numbers: &[f32], shape: [usize; 3]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &Device::flex())
    }

    /// Two captions: special tokens around "a dog", and around "dog" with padding.
    fn words() -> Vec<Vec<Option<String>>> {
        let word = |text: &str| Some(text.to_string());
        vec![vec![None, word("a"), word("dog"), None], vec![None, word("dog"), None]]
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    fn named(sums: &LayerSums, stream: &'static str, often: usize) -> Gates {
        let names = vec!["low".to_string(), "high".to_string()];
        summary(0, stream, names, sums, often)
    }

    #[test]
    fn a_words_levels_are_of_what_the_layer_leaves() {
        let mut sums = LayerSums::default();
        // One mixture for each caption, and a gate for each token.
        let weights = tensor(&[0.25, 0.75, 0.5, 0.5], [2, 1, 2]);
        let kept = tensor(&[9.0, 0.8, 0.6, 9.0, 9.0, 0.2, 9.0, 9.0], [2, 4, 1]);
        let reading = Reading { kept: Some(kept), ..Reading::of_levels(weights) };
        sums.add(&Chosen::of(reading), Some(&words()));
        let gates = named(&sums, "text", 1);
        close(&[gates.in_layer.unwrap()], &[(0.8 + 0.6 + 0.2) / 3.0]);
        let levels: Vec<f64> = gates.levels.iter().map(|(_, level)| *level).collect();
        close(&levels, &[1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(gates.words.iter().map(|word| &word.word[..]).collect::<Vec<_>>(), ["a", "dog"]);
        close(&gates.words[0].levels, &[0.2 * 0.25, 0.2 * 0.75]);
        let dog = [(0.4 * 0.25 + 0.8 * 0.5) / 2.0, (0.4 * 0.75 + 0.8 * 0.5) / 2.0];
        close(&gates.words[1].levels, &dog);
        close(&[gates.words[1].in_layer.unwrap()], &[0.4]);
        assert_eq!(gates.words[1].count, 2);
        let often = named(&sums, "text", 2);
        assert_eq!(often.words.len(), 1, "\"a\" stands in one caption");
    }

    #[test]
    fn one_choice_for_a_caption_is_none_for_its_words() {
        let mut sums = LayerSums::default();
        // Static weights have one row for all captions.
        let reading = || Reading::of_levels(tensor(&[0.1, 0.9], [1, 1, 2]));
        sums.add(&Chosen::of(reading()), Some(&words()));
        let gates = named(&sums, "text", 1);
        assert!(gates.words.is_empty() && gates.in_layer.is_none());
        close(&[gates.levels[1].1], &[0.9]);
    }

    #[test]
    fn words_that_the_image_stream_lets_in_are_told() {
        let mut sums = LayerSums::default();
        let reading = Reading::of_levels(tensor(&[0.3, 0.4, 0.5, 0.6], [2, 1, 2]));
        sums.add(&Chosen::of(reading), None);
        let each: Vec<f32> = (0..16).map(|i| i as f32 / 16.0).collect();
        let each = Reading::of_levels(tensor(&each, [2, 4, 2]));
        sums.add_words(&Chosen::of(each), &words());
        let gates = named(&sums, "image", 1);
        close(&[gates.levels[0].1, gates.levels[1].1], &[0.4, 0.5]);
        // "a" is the second token of the first caption; "dog" its third, and the second of the other one.
        close(&gates.words[0].levels, &[2.0 / 16.0, 3.0 / 16.0]);
        close(&gates.words[1].levels, &[(4.0 + 10.0) / 32.0, (5.0 + 11.0) / 32.0]);
    }
}
