//! Cross-modal retrieval: recall at 1, 5 and 10, from pictures to captions and back.

use serde::{Deserialize, Serialize};

use crate::products::Embeddings;
use crate::rivals::{Matrix, Products, Rivals, rivals};
use crate::{EvalError, Truth};

/// Recall in percent: of all queries, the share that has a right candidate among the first 1, 5 or
/// 10. `i2t` looks for captions of a picture (any of its captions is right), `t2i` for the picture
/// of a caption.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Picture to captions, first 1.
    pub i2t_r1: f64,
    /// Picture to captions, first 5.
    pub i2t_r5: f64,
    /// Picture to captions, first 10.
    pub i2t_r10: f64,
    /// Caption to pictures, first 1.
    pub t2i_r1: f64,
    /// Caption to pictures, first 5.
    pub t2i_r5: f64,
    /// Caption to pictures, first 10.
    pub t2i_r10: f64,
}

impl Retrieval {
    /// The names of the six figures, in the order of [`Self::values`].
    pub const NAMES: [&str; 6] = ["i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"];

    /// The six figures, in the order of [`Self::NAMES`].
    pub fn values(&self) -> [f64; 6] {
        [self.i2t_r1, self.i2t_r5, self.i2t_r10, self.t2i_r1, self.t2i_r5, self.t2i_r10]
    }

    /// Mean of the six figures, in percent. (Some papers report their sum, `rsum`.)
    pub fn rmean(&self) -> f64 {
        self.values().iter().sum::<f64>() / 6.0
    }

    /// From the counts of wrong candidates, of which a picture's best caption has the fewest.
    fn from_rivals(rivals: &Rivals, truth: &Truth) -> Self {
        let of_caption = |&text: &usize| rivals.captions[text];
        let of_picture = |image| truth.texts_of(image).iter().map(of_caption).min();
        // `Truth` gives every picture a caption, so none is left out.
        let i2t: Vec<u32> = (0..truth.images()).filter_map(of_picture).collect();
        Self::from_ranks(&i2t, &rivals.pictures)
    }

    /// From the rank of each query's best right candidate (0 is first).
    pub(crate) fn from_ranks(i2t: &[u32], t2i: &[u32]) -> Self {
        let recall = |ranks: &[u32], k: u32| {
            let hits = ranks.iter().filter(|&&rank| rank < k).count();
            100.0 * hits as f64 / ranks.len() as f64
        };
        Self {
            i2t_r1: recall(i2t, 1),
            i2t_r5: recall(i2t, 5),
            i2t_r10: recall(i2t, 10),
            t2i_r1: recall(t2i, 1),
            t2i_r5: recall(t2i, 5),
            t2i_r10: recall(t2i, 10),
        }
    }
}

/// Recall of a ranking by `scores`: higher is better, any scale.
///
/// A query's rank is the number of *wrong* candidates whose score is at least that of its best right
/// candidate. So an equal score never helps: a model that scores all pairs alike has recall 0 unless
/// there are too few wrong candidates to fill the first k places.
///
/// # Shapes
/// `scores`: `[images, texts]`, row-major, with the numbering of `truth`.
///
/// # Errors
/// A matrix of another size, or a score that is NaN (infinities are ranked like any number).
pub fn retrieval(scores: &[f32], truth: &Truth) -> Result<Retrieval, EvalError> {
    let (images, texts) = (truth.images(), truth.texts());
    if images.checked_mul(texts) != Some(scores.len()) {
        return Err(EvalError::ScoreCount { got: scores.len(), images, texts });
    }
    let rivals = rivals(&Matrix { scores, images, texts }, truth, |_, _| {})?;
    Ok(Retrieval::from_rivals(&rivals, truth))
}

/// As [`retrieval`], with inner products as scores (of L2-normalised embeddings: cosines), but
/// without a matrix of all of them: memory beyond the embeddings is one tile per thread and a few
/// numbers per caption.
///
/// Equal embeddings have equal scores, so ties are what they should be: a model whose embeddings have
/// collapsed to one point finds nothing. The result does not depend on the number of threads.
///
/// # Shapes
/// `images`: `[images, width]`, `texts`: `[texts, width]`, row-major, with the numbering of `truth`.
///
/// # Errors
/// A `width` of 0, a length that is not a multiple of it, other numbers of pictures or captions than
/// `truth` has, or an inner product that is NaN.
pub fn retrieval_of_embeddings(
    images: &[f32],
    texts: &[f32],
    width: usize,
    truth: &Truth,
) -> Result<Retrieval, EvalError> {
    let images = Embeddings::new("pictures", images, width)?;
    let texts = Embeddings::new("captions", texts, width)?;
    let rivals = rivals(&Products { images, texts }, truth, |_, _| {})?;
    Ok(Retrieval::from_rivals(&rivals, truth))
}

/// Expected recall of a random order of the candidates, exactly.
///
/// A picture with `c` of the `n` captions misses the first `k` with the hypergeometric probability
/// `C(n - c, k) / C(n, k)`; a caption finds its picture among `n` with probability `k / n`.
pub fn chance(truth: &Truth) -> Retrieval {
    let (images, texts) = (truth.images(), truth.texts());
    let i2t = |k| {
        let hits = (0..images).map(|image| hit_probability(texts, truth.texts_of(image).len(), k));
        100.0 * hits.sum::<f64>() / images as f64
    };
    let t2i = |k| 100.0 * hit_probability(images, 1, k);
    Retrieval {
        i2t_r1: i2t(1),
        i2t_r5: i2t(5),
        i2t_r10: i2t(10),
        t2i_r1: t2i(1),
        t2i_r5: t2i(5),
        t2i_r10: t2i(10),
    }
}

/// Probability that `k` draws without replacement from `n` candidates hit one of `right` ones.
fn hit_probability(n: usize, right: usize, k: usize) -> f64 {
    let wrong = n - right;
    if wrong < k {
        return 1.0;
    }
    let miss: f64 = (0..k).map(|drawn| (wrong - drawn) as f64 / (n - drawn) as f64).product();
    1.0 - miss
}
