//! Which patches and which words a model has to predict.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::tokenizer::{Encoding, Tokenizer};

/// What of a caption is chosen as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextUnit {
    /// All tokens of a word: none of them gives the others away (whole word masking).
    #[default]
    Word,
    /// Each token by itself, as BERT's first release does.
    Token,
}

/// How much of a picture and of a caption is masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskConfig {
    /// Fraction of the patches that is masked.
    pub image_ratio: f64,
    /// Patches per side of the square that is masked as one: 1 for patches drawn one by one; 2 gives
    /// the 32 pixel units of a 16 pixel patch.
    pub image_block: usize,
    /// What of a caption is chosen as one, `word` or `token`.
    pub text_unit: TextUnit,
    /// Fraction of the words (or tokens, by `text_unit`) that is chosen, rounded up to whole ones.
    pub text_ratio: f64,
    /// Fraction of the chosen ones that is left as it is. MAMO, as we read it, hides every chosen
    /// word; BERT leaves 0.1 and swaps 0.1.
    pub text_keep: f64,
    /// Fraction of the chosen ones whose tokens are replaced by random ones.
    pub text_swap: f64,
    /// Probability with which a picture's tag is hidden (MVPTR: 0.15).
    pub tag_ratio: f64,
}

impl Default for MaskConfig {
    fn default() -> Self {
        MaskConfig {
            image_ratio: 0.75,
            image_block: 2,
            text_unit: TextUnit::Word,
            text_ratio: 0.25,
            text_keep: 0.0,
            text_swap: 0.0,
            tag_ratio: 0.15,
        }
    }
}

impl MaskConfig {
    /// How many of `patches` patches [`MaskConfig::image`] masks: always the same number, so that
    /// batches have one shape.
    pub fn masked_patches(&self, patches: usize) -> usize {
        ((self.image_ratio * patches as f64).round() as usize).min(patches)
    }

    /// Masks blocks drawn at random until [`MaskConfig::masked_patches`] are masked; the last
    /// block is cut to fit, and so are blocks at an edge that the grid cuts through.
    ///
    /// # Shapes
    /// - `grid`: rows and columns of patches
    /// - output `[rows * columns]`, row by row; `true`: masked
    pub fn image(&self, grid: [usize; 2], rng: &mut ChaCha8Rng) -> Vec<bool> {
        let [rows, columns] = grid;
        let block = self.image_block.max(1);
        let mut corners: Vec<(usize, usize)> = (0..rows)
            .step_by(block)
            .flat_map(|row| (0..columns).step_by(block).map(move |column| (row, column)))
            .collect();
        corners.shuffle(rng);
        let mut mask = vec![false; rows * columns];
        let patches = corners.into_iter().flat_map(|(row, column)| {
            let across = column..(column + block).min(columns);
            (row..(row + block).min(rows))
                .flat_map(move |row| across.clone().map(move |column| row * columns + column))
        });
        for patch in patches.take(self.masked_patches(rows * columns)) {
            mask[patch] = true;
        }
        mask
    }

    /// Which unit each token belongs to; `None` for a special token.
    fn units(&self, encoding: &Encoding) -> Vec<Option<u32>> {
        let tokens = encoding.words.iter().zip(0..);
        match self.text_unit {
            TextUnit::Word => encoding.words.clone(),
            TextUnit::Token => tokens.map(|(word, at)| word.map(|_| at)).collect(),
        }
    }

    /// Chooses whole words to predict, or tokens by `text_unit`: `text_ratio` of them, rounded up;
    /// never a special token.
    /// A phrase with a chosen word is hidden, too, so that it does not give the word away (MVPTR's
    /// release does the same); phrases are not chosen themselves.
    ///
    /// # Shapes
    /// - output: the ids with the chosen words hidden, and which tokens were chosen; both as long
    ///   as `encoding`
    pub fn text(
        &self,
        encoding: &Encoding,
        tokenizer: &Tokenizer,
        rng: &mut ChaCha8Rng,
    ) -> (Vec<u32>, Vec<bool>) {
        let units = self.units(encoding);
        let mut words: Vec<u32> = units.iter().copied().flatten().collect();
        words.sort_unstable();
        words.dedup();
        // The last digits of a product such as 0.15 * 20 shall not round up to one word more.
        let count = (self.text_ratio * words.len() as f64 - 1e-9).ceil().max(0.0) as usize;
        words.shuffle(rng);
        words.truncate(count);

        let mut ids = encoding.ids.clone();
        let mut chosen = vec![false; ids.len()];
        for word in words {
            let fate: f64 = rng.random();
            for at in 0..ids.len() {
                if units[at] != Some(word) {
                    continue;
                }
                chosen[at] = true;
                if fate < self.text_keep {
                    continue;
                }
                ids[at] = if fate < self.text_keep + self.text_swap {
                    tokenizer.random_token(rng)
                } else {
                    tokenizer.mask_id()
                };
            }
        }
        for phrase in &encoding.phrases {
            if phrase.parts.iter().any(|at| chosen[*at]) {
                ids[phrase.at] = tokenizer.mask_id();
            }
        }
        (ids, chosen)
    }

    /// Chooses tags to predict, each with probability `tag_ratio`.
    ///
    /// # Shapes
    /// - output: the ids with the chosen tags hidden, as long as `tags`
    pub fn tags(&self, tags: &[u32], tokenizer: &Tokenizer, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let hidden = |id: &u32| {
            let chosen = rng.random::<f64>() < self.tag_ratio;
            if chosen { tokenizer.mask_id() } else { *id }
        };
        tags.iter().map(hidden).collect()
    }
}
