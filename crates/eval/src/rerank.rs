//! Two-stage retrieval: a dual encoder's shortlist, re-ordered by a pair scorer.
//!
//! A fusion model reads a picture and a caption together. That is too slow for every pair, so the
//! dual encoder picks the most likely candidates of each query and the fusion model orders those
//! (ALBEF, Li et al. 2021, section 3 "image-text retrieval"). ALBEF gives all other candidates one
//! score of -100; here they keep the dual encoder's order, behind the shortlist, so recall at 10 is
//! meaningful for shortlists under 10 too.

use crate::retrieval::check_scores;
use crate::{EvalError, Retrieval, Truth};

/// How much to re-rank, and how many pairs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RerankConfig {
    /// Captions on each picture's shortlist. 0 leaves this direction as it is.
    pub k_i2t: usize,
    /// Pictures on each caption's shortlist. 0 leaves this direction as it is.
    pub k_t2i: usize,
    /// Most pairs the scorer is given at once: it bounds the scorer's memory, not the result.
    pub chunk: usize,
}

/// A shortlisted candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Index of the caption (picture to captions) or the picture (caption to pictures).
    pub index: usize,
    /// What the pair scorer said.
    pub score: f32,
}

/// The re-ranked shortlists of every picture and every caption, in front of the dual encoder's
/// ranking.
#[derive(Clone, Debug)]
pub struct Reranked<'a> {
    dual: &'a [f32],
    texts: usize,
    i2t: Vec<Vec<Candidate>>,
    t2i: Vec<Vec<Candidate>>,
}

/// Re-ranks the top of a dual encoder's ranking, in both directions, with `score`.
///
/// `score` is given `(image, text)` pairs, at most `config.chunk` at a time, and returns one score
/// per pair, higher is better. Pairs come sorted by picture, each once, even where both shortlists
/// hold it, so the scorer can keep a picture's features from one pair to the next. It knows how far
/// it is by counting what it was given; [`RerankConfig::most_pairs`] is the bound.
///
/// # Shapes
/// `scores`: `[images, texts]`, row-major: the dual encoder's.
///
/// # Errors
/// A matrix of another size, a NaN in either kind of score, a chunk of 0, a wrong number of scores
/// from the scorer, or the scorer's own error.
pub fn rerank<'a, E: From<EvalError>>(
    scores: &'a [f32],
    images: usize,
    texts: usize,
    config: RerankConfig,
    mut score: impl FnMut(&[(usize, usize)]) -> Result<Vec<f32>, E>,
) -> Result<Reranked<'a>, E> {
    check_scores(scores, images, texts)?;
    if config.chunk == 0 {
        return Err(EvalError::ZeroChunk.into());
    }
    let row = |image: usize| &scores[image * texts..(image + 1) * texts];
    let column = |text: usize| (0..images).map(|i| scores[i * texts + text]).collect::<Vec<_>>();
    let i2t: Vec<_> = (0..images).map(|image| top_k(row(image), config.k_i2t)).collect();
    let t2i: Vec<_> = (0..texts).map(|text| top_k(&column(text), config.k_t2i)).collect();

    let mut pairs = Vec::with_capacity(config.most_pairs(images, texts));
    for (image, captions) in i2t.iter().enumerate() {
        pairs.extend(captions.iter().map(|&text| (image, text)));
    }
    for (text, pictures) in t2i.iter().enumerate() {
        pairs.extend(pictures.iter().map(|&image| (image, text)));
    }
    pairs.sort_unstable();
    pairs.dedup();

    let mut pair_scores = Vec::with_capacity(pairs.len());
    for chunk in pairs.chunks(config.chunk) {
        let new = score(chunk)?;
        if new.len() != chunk.len() {
            let (expected, got) = (chunk.len(), new.len());
            return Err(EvalError::PairScoreCount { expected, got }.into());
        }
        if let Some(at) = new.iter().position(|score| score.is_nan()) {
            let (image, text) = chunk[at];
            return Err(EvalError::NanScore { image, text }.into());
        }
        pair_scores.extend(new);
    }

    let candidate = |index: usize, pair: (usize, usize)| {
        // Every shortlisted pair is in `pairs`, so the search always finds it.
        let at = pairs.partition_point(|&other| other < pair);
        Candidate { index, score: pair_scores[at] }
    };
    let order = |mut shortlist: Vec<Candidate>| {
        // Stable: equal pair scores keep the dual encoder's order. There is no NaN here.
        shortlist.sort_by(|a, b| descending(a.score, b.score));
        shortlist
    };
    let i2t = i2t.into_iter().enumerate().map(|(image, captions)| {
        order(captions.into_iter().map(|text| candidate(text, (image, text))).collect())
    });
    let t2i = t2i.into_iter().enumerate().map(|(text, pictures)| {
        order(pictures.into_iter().map(|image| candidate(image, (image, text))).collect())
    });
    Ok(Reranked { dual: scores, texts, i2t: i2t.collect(), t2i: t2i.collect() })
}

impl RerankConfig {
    /// At most this many pairs are scored; fewer where both shortlists hold a pair.
    pub fn most_pairs(&self, images: usize, texts: usize) -> usize {
        images * self.k_i2t.min(texts) + texts * self.k_t2i.min(images)
    }
}

impl Reranked<'_> {
    /// A picture's shortlist of captions, best first. Panics if there is no such picture.
    pub fn captions_of(&self, image: usize) -> &[Candidate] {
        &self.i2t[image]
    }

    /// A caption's shortlist of pictures, best first. Panics if there is no such caption.
    pub fn pictures_of(&self, text: usize) -> &[Candidate] {
        &self.t2i[text]
    }

    /// Recall of the two-stage ranking. Ties count against the right candidate at both stages: in
    /// the pair scores, and at the end of the shortlist, where a right candidate that got in only
    /// because its number is lower than an equally good wrong one counts as left out.
    ///
    /// # Errors
    /// `truth` has other numbers of pictures or captions.
    pub fn retrieval(&self, truth: &Truth) -> Result<Retrieval, EvalError> {
        let (images, texts) = (self.i2t.len(), self.texts);
        if (truth.images(), truth.texts()) != (images, texts) {
            let (truth_images, truth_texts) = (truth.images(), truth.texts());
            return Err(EvalError::TruthMismatch { images, texts, truth_images, truth_texts });
        }
        let i2t = (0..images).map(|image| {
            let dual = |text: usize| self.dual[image * texts + text];
            let right = |text: usize| truth.image_of(text) == image;
            let ranks = truth.texts_of(image).iter();
            let ranks = ranks.map(|&text| rank(text, &self.i2t[image], texts, dual, right));
            // `Truth` gives every picture a caption, so there is a minimum.
            ranks.min().unwrap_or(texts)
        });
        let t2i = (0..texts).map(|text| {
            let dual = |image: usize| self.dual[image * texts + text];
            let own = truth.image_of(text);
            rank(own, &self.t2i[text], images, dual, |image| image == own)
        });
        Ok(Retrieval::from_ranks(&i2t.collect::<Vec<_>>(), &t2i.collect::<Vec<_>>()))
    }
}

/// Wrong candidates (of all `n`) that rank before the right candidate `own`, or level with it.
fn rank(
    own: usize,
    shortlist: &[Candidate],
    n: usize,
    dual: impl Fn(usize) -> f32,
    right: impl Fn(usize) -> bool,
) -> usize {
    let wrong = || shortlist.iter().filter(|candidate| !right(candidate.index));
    let by_dual = (0..n).filter(|&other| !right(other) && dual(other) >= dual(own)).count();
    // Wrong candidates outside the shortlist that are as good as `own`: then its place on the
    // shortlist, if it has one, is luck.
    let outside = by_dual - wrong().filter(|other| dual(other.index) >= dual(own)).count();
    match shortlist.iter().find(|candidate| candidate.index == own) {
        Some(found) if outside == 0 => wrong().filter(|other| other.score >= found.score).count(),
        _ => by_dual,
    }
}

/// The indices of the `k` highest scores (all of them if there are fewer), best first; equal scores
/// in the order of their indices. The scores must not be NaN: NaN counts as larger than any number.
pub fn top_k(scores: &[f32], k: usize) -> Vec<usize> {
    let order = |&a: &usize, &b: &usize| descending(scores[a], scores[b]).then(a.cmp(&b));
    let mut indices: Vec<usize> = (0..scores.len()).collect();
    if k < indices.len() {
        indices.select_nth_unstable_by(k, order);
        indices.truncate(k);
    }
    indices.sort_unstable_by(order);
    indices
}

/// Highest first. Adding 0 makes -0 and +0 equal, as they are to `==`.
fn descending(a: f32, b: f32) -> std::cmp::Ordering {
    (b + 0.0).total_cmp(&(a + 0.0))
}
