//! A codebook of patches: the small tokenizer of pictures whose codes masked image modelling can
//! predict.
//!
//! BEiT (Bao et al. 2022) and, in its Table 9, MAMO predict the tokens of DALL-E's discrete VAE, which
//! was trained on 250 million pictures. This is our small stand-in for it, learned from the
//! training pictures themselves: the code of a patch is the nearest of the centres that k-means finds.
//! Its codes say what a patch looks like; a dVAE's, whose receptive field is wider, say more.

mod k_means;
mod patches;

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use weft_weights::{Array, Data, Weights, WeightsError, write};

use crate::error::DataError;
use crate::random::addressed;
use k_means::{k_means, nearest};
pub use patches::{PatchSample, cut, standardize};

/// The tensor of a codebook's file.
const CENTRES: &str = "centres";

/// The centres of patches; the number of a centre is its code.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    /// `[codes, width]`
    centres: Vec<f32>,
    width: usize,
}

/// What is known of a codebook when it has been learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    /// How many patches it was learned from.
    pub patches: usize,
    /// Rounds of k-means.
    pub rounds: usize,
    /// Mean squared distance of a pixel of these patches from their centres'; that from zero is 1 for
    /// standardised ones.
    pub distortion: f64,
}

impl Codebook {
    /// Learns `codes` codes of `patches`, `[patches, width]`. The same patches give the same codes,
    /// whatever the number of threads.
    ///
    /// # Errors
    ///
    /// Where fewer patches differ than there are to be codes, or one is not finite.
    pub fn learn(
        patches: &[f32],
        width: usize,
        codes: usize,
        seed: u64,
    ) -> Result<(Self, Learned), DataError> {
        let mut rng = addressed(seed, 0, "", "codebook");
        let fit = k_means(patches, width, codes, &mut rng)?;
        let last = fit.inertia.last().copied().unwrap_or_default();
        let learned = Learned {
            patches: patches.len() / width,
            rounds: fit.inertia.len(),
            distortion: last / patches.len() as f64,
        };
        Ok((Self { centres: fit.centres, width }, learned))
    }

    /// How many codes there are.
    pub fn codes(&self) -> usize {
        self.centres.len() / self.width
    }

    /// Pixels of a patch, in each of its colours.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[codes, width]`
    pub fn centres(&self) -> &[f32] {
        &self.centres
    }

    /// The code of each of `patches`, `[patches, width]`: the nearest centre, of several the one of the
    /// lowest number.
    pub fn encode(&self, patches: &[f32]) -> Vec<usize> {
        let code = |patch| nearest(patch, &self.centres, 0).0;
        patches.par_chunks_exact(self.width).map(code).collect()
    }

    /// Writes the centres as a safetensors file; equal codebooks give equal bytes.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), WeightsError> {
        let shape = vec![self.codes(), self.width];
        let centres = Array { shape, data: Data::Float(self.centres.clone()) };
        write(path, [(CENTRES, &centres)], &BTreeMap::new())
    }

    /// Reads what [`Codebook::save`] wrote.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or is not a codebook of `codes` codes of patches of `width`
    /// numbers.
    pub fn load(path: &Path, codes: usize, width: usize) -> Result<Self, WeightsError> {
        let file = Weights::open(path)?;
        let shape = file.shape(CENTRES)?;
        if shape != [codes, width] {
            return Err(WeightsError::Tensor {
                path: path.into(),
                tensor: CENTRES.into(),
                detail: format!("expected shape {:?}, found {shape:?}", [codes, width]),
            });
        }
        Ok(Self { centres: file.get(CENTRES)?.into_floats(CENTRES)?, width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned() -> Codebook {
        let patches: Vec<f32> = (0..40 * 3).map(|at| (at * 7919 % 101) as f32 / 50.0).collect();
        Codebook::learn(&patches, 3, 5, 1).unwrap().0
    }

    #[test]
    fn a_codebook_comes_back_bit_for_bit_and_equal_ones_are_equal_files() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] =
            ["one", "two"].map(|name| folder.path().join(format!("{name}.safetensors")));
        learned().save(&one).unwrap();
        learned().save(&two).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        assert_eq!(Codebook::load(&one, 5, 3).unwrap(), learned());
    }

    #[test]
    fn what_is_not_the_expected_codebook_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codebook.safetensors");
        let error = |codes, width| Codebook::load(&path, codes, width).unwrap_err().to_string();
        assert!(error(5, 3).contains("codebook.safetensors"), "{}", error(5, 3));
        learned().save(&path).unwrap();
        assert!(error(6, 3).contains("expected shape [6, 3], found [5, 3]"), "{}", error(6, 3));
        assert!(error(5, 4).contains("expected shape [5, 4], found [5, 3]"), "{}", error(5, 4));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
        assert!(error(5, 3).contains("codebook.safetensors"), "{}", error(5, 3));
        let other = Array { shape: vec![1], data: Data::Float(vec![0.0]) };
        write(&path, [("weights", &other)], &BTreeMap::new()).unwrap();
        assert!(error(5, 3).contains("centres"), "{}", error(5, 3));
    }
}
