//! Two-stage retrieval: a dual encoder's shortlist, re-ordered by a pair scorer.
//!
//! A fusion model reads a picture and a caption together. That is too slow for every pair, so the
//! dual encoder picks the most likely candidates of each query and the fusion model orders those
//! (ALBEF, Li et al. 2021, section 3 "image-text retrieval"). ALBEF gives all other candidates one
//! score of -100; here they keep the dual encoder's order, behind the shortlist, so recall at 10 is
//! meaningful for shortlists under 10 too.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::products::Embeddings;
use crate::rivals::{Products, ScoreTile, counted, counters, rivals};
use crate::top_k::{descending, top_k};
use crate::{Candidate, EvalError, Retrieval, Truth};

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

/// The re-ranked shortlists of every picture and every caption, in front of the dual encoder's
/// ranking.
#[derive(Clone, Debug)]
pub struct Reranked<'a> {
    images: Embeddings<'a>,
    texts: Embeddings<'a>,
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
/// `images`: `[images, width]`, `texts`: `[texts, width]`, row-major: the dual encoder's embeddings,
/// whose inner products are its scores.
///
/// # Errors
/// A `width` of 0, a length that is not a multiple of it, a NaN in either kind of score (of a
/// direction whose shortlists are empty the dual encoder's are not looked at), a chunk of 0, a wrong
/// number of scores from the scorer, or the scorer's own error.
pub fn rerank<'a, E: From<EvalError>>(
    images: &'a [f32],
    texts: &'a [f32],
    width: usize,
    config: RerankConfig,
    mut score: impl FnMut(&[(usize, usize)]) -> Result<Vec<f32>, E>,
) -> Result<Reranked<'a>, E> {
    let images = Embeddings::new("pictures", images, width)?;
    let texts = Embeddings::new("captions", texts, width)?;
    if config.chunk == 0 {
        return Err(EvalError::ZeroChunk.into());
    }
    let i2t = top_k(images, texts, config.k_i2t)
        .map_err(|nan| EvalError::NanScore { image: nan.query, text: nan.candidate })?;
    let t2i = top_k(texts, images, config.k_t2i)
        .map_err(|nan| EvalError::NanScore { image: nan.candidate, text: nan.query })?;

    let mut pairs = Vec::with_capacity(config.most_pairs(images.count(), texts.count()));
    for (image, captions) in i2t.iter().enumerate() {
        pairs.extend(captions.iter().map(|caption| (image, caption.index)));
    }
    for (text, pictures) in t2i.iter().enumerate() {
        pairs.extend(pictures.iter().map(|picture| (picture.index, text)));
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

    // Every shortlisted pair is in `pairs`, so the search always finds it.
    let pair_score = |pair| pair_scores[pairs.partition_point(|&other| other < pair)];
    let order = |mut shortlist: Vec<Candidate>, pair: &dyn Fn(usize) -> (usize, usize)| {
        for candidate in &mut shortlist {
            candidate.score = pair_score(pair(candidate.index));
        }
        // Stable: equal pair scores keep the dual encoder's order. There is no NaN here.
        shortlist.sort_by(|a, b| descending(a.score, b.score));
        shortlist
    };
    let i2t = i2t.into_iter().enumerate();
    let i2t = i2t.map(|(image, captions)| order(captions, &|text| (image, text))).collect();
    let t2i = t2i.into_iter().enumerate();
    let t2i = t2i.map(|(text, pictures)| order(pictures, &|image| (image, text))).collect();
    Ok(Reranked { images, texts, i2t, t2i })
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
    /// `truth` has other numbers of pictures or captions, or a NaN in the dual encoder's scores.
    pub fn retrieval(&self, truth: &Truth) -> Result<Retrieval, EvalError> {
        let scores = Products { images: self.images, texts: self.texts };
        let texts = self.texts.count();
        let (captions, pictures) = (counters(texts), counters(texts));
        let all = rivals(&scores, truth, |tile, own| {
            self.count_captions(tile, truth, own, &captions);
            self.count_pictures(tile, truth, own, &pictures);
        })?;
        let (captions, pictures) = (counted(captions), counted(pictures));
        let i2t = (0..truth.images()).filter_map(|image| {
            let right = |text| truth.image_of(text) == image;
            let rank = |&text: &usize| {
                rank(text, &self.i2t[image], all.captions[text], captions[text], right)
            };
            // `Truth` gives every picture a caption, so none is left out.
            truth.texts_of(image).iter().map(rank).min()
        });
        let t2i = (0..texts).map(|text| {
            let own = truth.image_of(text);
            rank(own, &self.t2i[text], all.pictures[text], pictures[text], |image| image == own)
        });
        Ok(Retrieval::from_ranks(&i2t.collect::<Vec<_>>(), &t2i.collect::<Vec<_>>()))
    }

    /// For each right caption of a picture, the wrong ones on the picture's shortlist that the dual
    /// encoder scores as high, as far as their scores are in this tile.
    fn count_captions(&self, tile: &ScoreTile, truth: &Truth, own: &[f32], counts: &[AtomicU32]) {
        for image in tile.images.new.clone() {
            let wrong = self.i2t[image].iter().map(|caption| caption.index);
            for other in wrong.filter(|&other| truth.image_of(other) != image) {
                let Some(score) = tile.new_score(image, other) else { continue };
                for &text in truth.texts_of(image) {
                    counts[text].fetch_add(u32::from(score >= own[text]), Relaxed);
                }
            }
        }
    }

    /// The same for each caption, with the wrong pictures on its shortlist.
    fn count_pictures(&self, tile: &ScoreTile, truth: &Truth, own: &[f32], counts: &[AtomicU32]) {
        for text in tile.texts.new.clone() {
            let wrong = self.t2i[text].iter().map(|picture| picture.index);
            for other in wrong.filter(|&other| truth.image_of(text) != other) {
                let Some(score) = tile.new_score(other, text) else { continue };
                counts[text].fetch_add(u32::from(score >= own[text]), Relaxed);
            }
        }
    }
}

/// Wrong candidates that rank before the right candidate `own`, or level with it. The dual encoder
/// has `rivals` of them, `listed` on the shortlist.
fn rank(
    own: usize,
    shortlist: &[Candidate],
    rivals: u32,
    listed: u32,
    right: impl Fn(usize) -> bool,
) -> u32 {
    let wrong = shortlist.iter().filter(|candidate| !right(candidate.index));
    match shortlist.iter().find(|candidate| candidate.index == own) {
        Some(found) if rivals == listed => {
            wrong.filter(|other| other.score >= found.score).count() as u32
        }
        // Not on the shortlist, or there by luck: a wrong candidate outside is as good.
        _ => rivals,
    }
}
