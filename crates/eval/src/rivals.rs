//! Counts of the wrong candidates that score at least as high as a right one, from scores in tiles.
//!
//! With `s` the scores, and `i` the picture of caption `t`:
//! - `captions(t) = |{u : u not of i, s(i, u) >= s(i, t)}|`, the rank of `t` for the query `i`;
//! - `pictures(t) = |{j : j != i, s(j, t) >= s(i, t)}|`, the rank of `i` for the query `t`.
//!
//! A first pass takes `s(i, t)` of all pairs, from the few tiles that hold them; a second compares.
//! Both compute a tile the same way, so that a pair's score is the same to the bit in both.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;

use crate::products::{Embeddings, Tile, Tiles, inner_products};
use crate::{EvalError, Truth};

/// Scores of pictures (rows) and captions (columns), of which a tile at a time can be had.
pub(crate) trait Scores: Sync {
    fn images(&self) -> Tiles;
    fn texts(&self) -> Tiles;

    /// Row-major `[images.rows, texts.rows]`. `room` is the thread's, for scores that must be
    /// computed.
    fn tile<'a>(&'a self, images: &Tile, texts: &Tile, room: &'a mut Vec<f32>) -> &'a [f32];
}

/// A row-major `[images, texts]` matrix, of which a tile is a block of rows.
pub(crate) struct Matrix<'a> {
    pub scores: &'a [f32],
    pub images: usize,
    pub texts: usize,
}

impl Scores for Matrix<'_> {
    fn images(&self) -> Tiles {
        Tiles::new(self.images, 64)
    }

    fn texts(&self) -> Tiles {
        Tiles::new(self.texts, self.texts)
    }

    fn tile<'a>(&'a self, images: &Tile, _: &Tile, _: &'a mut Vec<f32>) -> &'a [f32] {
        &self.scores[images.rows.start * self.texts..images.rows.end * self.texts]
    }
}

/// Inner products of pictures and captions.
pub(crate) struct Products<'a> {
    pub images: Embeddings<'a>,
    pub texts: Embeddings<'a>,
}

impl Scores for Products<'_> {
    fn images(&self) -> Tiles {
        self.images.tiles()
    }

    fn texts(&self) -> Tiles {
        self.texts.tiles()
    }

    fn tile<'a>(&'a self, images: &Tile, texts: &Tile, room: &'a mut Vec<f32>) -> &'a [f32] {
        room.resize(images.rows.len() * texts.rows.len(), 0.0);
        inner_products(self.images, images, self.texts, texts, room);
        room
    }
}

/// The scores of a tile.
pub(crate) struct ScoreTile<'a> {
    pub images: &'a Tile,
    pub texts: &'a Tile,
    scores: &'a [f32],
}

impl ScoreTile<'_> {
    /// The new pictures, each with its scores of the new captions.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let rows = self.scores.chunks_exact(self.texts.rows.len()).skip(self.images.overlap());
        self.images.new.clone().zip(rows.map(|row| &row[self.texts.overlap()..]))
    }

    /// The score of a picture and a caption that are new in this tile.
    pub fn new_score(&self, image: usize, text: usize) -> Option<f32> {
        let new = self.images.new.contains(&image) && self.texts.new.contains(&text);
        new.then(|| {
            let row = (image - self.images.rows.start) * self.texts.rows.len();
            self.scores[row + text - self.texts.rows.start]
        })
    }

    fn check(&self) -> Result<(), EvalError> {
        for (image, row) in self.rows() {
            // Without an early end, so that many are looked at in one instruction.
            if row.iter().fold(false, |any, score| any | score.is_nan()) {
                let at = row.iter().take_while(|score| !score.is_nan()).count();
                return Err(EvalError::NanScore { image, text: self.texts.new.start + at });
            }
        }
        Ok(())
    }
}

/// For each caption and its picture, the wrong candidates of either that score at least as high.
pub(crate) struct Rivals {
    /// Captions of other pictures, for the picture: `[texts]`.
    pub captions: Vec<u32>,
    /// Other pictures, for the caption: `[texts]`.
    pub pictures: Vec<u32>,
}

/// Counts rivals. `also` sees every tile, with the score `[texts]` of each caption and its picture.
///
/// # Errors
/// `truth` has other numbers of pictures or captions, or a score is NaN.
pub(crate) fn rivals(
    scores: &impl Scores,
    truth: &Truth,
    also: impl Fn(&ScoreTile, &[f32]) + Sync,
) -> Result<Rivals, EvalError> {
    let (images, texts) = (scores.images().rows(), scores.texts().rows());
    if (truth.images(), truth.texts()) != (images, texts) {
        let (truth_images, truth_texts) = (truth.images(), truth.texts());
        return Err(EvalError::TruthMismatch { images, texts, truth_images, truth_texts });
    }
    let own = own_scores(scores, truth)?;
    let (captions, pictures) = (counters(texts), counters(texts));
    in_blocks(scores, |images, room| {
        for texts in scores.texts().iter() {
            let tile =
                ScoreTile { images, texts: &texts, scores: scores.tile(images, &texts, room) };
            tile.check()?;
            count_captions(&tile, truth, &own, &captions);
            count_pictures(&tile, &own, &pictures);
            also(&tile, &own);
        }
        Ok(())
    })?;
    // Right candidates were counted with the others, the pair itself among them.
    let right_captions = |text: usize| {
        let right = truth.texts_of(truth.image_of(text)).iter();
        right.filter(|&&other| own[other] >= own[text]).count() as u32
    };
    let captions = counted(captions).into_iter().enumerate();
    let pictures = counted(pictures).into_iter();
    Ok(Rivals {
        captions: captions.map(|(text, all)| all - right_captions(text)).collect(),
        pictures: pictures.map(|all| all - 1).collect(),
    })
}

/// The score of each caption with its picture.
fn own_scores(scores: &impl Scores, truth: &Truth) -> Result<Vec<f32>, EvalError> {
    let found = in_blocks(scores, |images, room| {
        let pairs = |image: usize| truth.texts_of(image).iter().map(move |&text| (image, text));
        let mut pairs: Vec<_> = images.new.clone().flat_map(pairs).collect();
        pairs.sort_unstable_by_key(|&(_, text)| text);
        let mut pairs = pairs.into_iter().peekable();
        let mut found = Vec::with_capacity(pairs.len());
        for texts in scores.texts().iter() {
            if pairs.peek().is_none_or(|(_, text)| !texts.new.contains(text)) {
                continue;
            }
            let tile =
                ScoreTile { images, texts: &texts, scores: scores.tile(images, &texts, room) };
            while let Some((image, text)) = pairs.next_if(|(_, text)| texts.new.contains(text)) {
                found.extend(tile.new_score(image, text).map(|score| (text, score)));
            }
        }
        Ok(found)
    })?;
    let mut own = vec![0.0; truth.texts()];
    for (text, score) in found.into_iter().flatten() {
        own[text] = score;
    }
    Ok(own)
}

/// For each right caption of a picture of the tile, the captions of the tile that score as high.
fn count_captions(tile: &ScoreTile, truth: &Truth, own: &[f32], counts: &[AtomicU32]) {
    for (image, row) in tile.rows() {
        for &text in truth.texts_of(image) {
            let count: u32 = row.iter().map(|&score| u32::from(score >= own[text])).sum();
            counts[text].fetch_add(count, Relaxed);
        }
    }
}

/// For each caption of the tile, the pictures of the tile that score as high as its own.
fn count_pictures(tile: &ScoreTile, own: &[f32], counts: &[AtomicU32]) {
    let texts = tile.texts.new.clone();
    let own = &own[texts.clone()];
    let mut of_tile = vec![0u32; own.len()];
    for (_, row) in tile.rows() {
        for ((count, score), own) in of_tile.iter_mut().zip(row).zip(own) {
            *count += u32::from(score >= own);
        }
    }
    for (count, new) in counts[texts].iter().zip(of_tile) {
        count.fetch_add(new, Relaxed);
    }
}

/// One count per caption, to which all threads add: the sums do not depend on their order.
pub(crate) fn counters(texts: usize) -> Vec<AtomicU32> {
    (0..texts).map(|_| AtomicU32::new(0)).collect()
}

/// What was counted.
pub(crate) fn counted(counts: Vec<AtomicU32>) -> Vec<u32> {
    counts.into_iter().map(AtomicU32::into_inner).collect()
}

/// `visit` for each block of pictures, in parallel, with room for the thread's tile; of several
/// errors the first block's.
fn in_blocks<T: Send>(
    scores: &impl Scores,
    visit: impl Fn(&Tile, &mut Vec<f32>) -> Result<T, EvalError> + Sync,
) -> Result<Vec<T>, EvalError> {
    let blocks = scores.images();
    let visited: Vec<_> = (0..blocks.count())
        .into_par_iter()
        .map_init(Vec::new, |room, number| visit(&blocks.get(number), room))
        .collect();
    visited.into_iter().collect()
}
