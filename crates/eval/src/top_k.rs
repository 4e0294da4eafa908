//! Exact search for the candidates of largest inner product.
//!
//! For each query `q` the `k` candidates `c` of largest `q . c` (with L2-normalised embeddings: of
//! largest cosine). Scores come in tiles and are compared, many at once, with the k-th best so far;
//! few pass, and only those reach the query's heap. Memory beyond inputs and result is one tile per
//! thread.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use crate::EvalError;
use crate::products::{Embeddings, Tile, inner_products};

/// A candidate of a query, and what it is ranked by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its row among the candidates.
    pub index: usize,
    /// The inner product with the query; on a re-ranked shortlist what the pair scorer said.
    pub score: f32,
}

/// Scores compared at once, before any is looked at.
const GROUP: usize = 32;

/// For each query the `k` candidates of largest inner product (all if there are fewer), the best
/// first, equal ones in the order of their indices.
///
/// Nothing is approximated: every query meets every candidate. Inner products are sums in f32, so
/// two that differ by less than their rounding may be ordered either way; equal candidates have equal
/// scores, and the result does not depend on the number of threads. Threads share the queries, 256 at
/// a time.
///
/// # Shapes
/// `queries`: `[queries, width]`, `candidates`: `[candidates, width]`, both row-major; the result
/// has one list per query.
///
/// # Errors
/// A `width` of 0, a length that is not a multiple of it, or an inner product that is NaN (infinities
/// are ranked like any number). With `k` 0 there are no products to be NaN.
pub fn top_k_of_embeddings(
    queries: &[f32],
    candidates: &[f32],
    width: usize,
    k: usize,
) -> Result<Vec<Vec<Candidate>>, EvalError> {
    let queries = Embeddings::new("queries", queries, width)?;
    let candidates = Embeddings::new("candidates", candidates, width)?;
    top_k(queries, candidates, k)
        .map_err(|nan| EvalError::NanProduct { query: nan.query, candidate: nan.candidate })
}

/// A product that is NaN; of several, always the same.
pub(crate) struct NanAt {
    pub query: usize,
    pub candidate: usize,
}

pub(crate) fn top_k(
    queries: Embeddings,
    candidates: Embeddings,
    k: usize,
) -> Result<Vec<Vec<Candidate>>, NanAt> {
    let k = k.min(candidates.count());
    if k == 0 {
        return Ok(vec![Vec::new(); queries.count()]);
    }
    let blocks = queries.tiles();
    let room = || vec![0.0; blocks.size() * candidates.tiles().size()];
    let found: Vec<_> = (0..blocks.count())
        .into_par_iter()
        .map_init(room, |scores, number| {
            top_k_of_block(queries, &blocks.get(number), candidates, k, scores)
        })
        .collect();
    // In order here, so that of several NaN the first block's is named.
    let mut lists = Vec::with_capacity(queries.count());
    for block in found {
        lists.extend(block?);
    }
    Ok(lists)
}

/// The best candidates of the new queries of `block`. `scores` is room for one tile.
fn top_k_of_block(
    queries: Embeddings,
    block: &Tile,
    candidates: Embeddings,
    k: usize,
    scores: &mut [f32],
) -> Result<Vec<Vec<Candidate>>, NanAt> {
    let mut best: Vec<Best> = block.new.clone().map(|_| Best::new(k)).collect();
    for tile in candidates.tiles().iter() {
        inner_products(queries, block, candidates, &tile, scores);
        let rows = scores.chunks_exact(tile.rows.len()).skip(block.overlap());
        for (query, (row, best)) in (block.new.start..).zip(rows.zip(&mut best)) {
            best.offer(&row[tile.overlap()..], tile.new.start)
                .map_err(|candidate| NanAt { query, candidate })?;
        }
    }
    Ok(best.into_iter().map(Best::into_sorted).collect())
}

/// The best candidates so far of one query.
struct Best {
    k: usize,
    /// The worst on top.
    heap: BinaryHeap<Ranked>,
    /// The score of the worst, once there are `k`. Until then NaN, which lets all scores pass.
    bar: f32,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k), bar: f32::NAN }
    }

    /// `scores` are those of candidates `first`, `first + 1`, ..., which come after all seen so far.
    /// Fails with the index of a NaN.
    fn offer(&mut self, scores: &[f32], first: usize) -> Result<(), usize> {
        let (groups, rest) = scores.as_chunks::<GROUP>();
        for (number, group) in groups.iter().enumerate() {
            let bar = self.bar;
            if group.iter().fold(false, |any, &score| any | passes(score, bar)) {
                self.insert(group, first + number * GROUP)?;
            }
        }
        self.insert(rest, first + groups.len() * GROUP)
    }

    fn insert(&mut self, scores: &[f32], first: usize) -> Result<(), usize> {
        for (index, &score) in (first..).zip(scores) {
            if !passes(score, self.bar) {
                continue;
            }
            if score.is_nan() {
                return Err(index);
            }
            let new = Ranked(Candidate { index, score });
            if self.heap.len() < self.k {
                self.heap.push(new);
            } else if let Some(mut worst) = self.heap.peek_mut() {
                // In one walk down the heap, where a pop and a push take two.
                *worst = new;
            }
            if self.heap.len() == self.k {
                self.bar = self.heap.peek().map_or(self.bar, |worst| worst.0.score);
            }
        }
        Ok(())
    }

    fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.0).collect()
    }
}

/// Whether a score is above the bar, or one of them is NaN. A score equal to the bar is that of a
/// later candidate, so it stays out.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "one comparison that NaN passes")]
fn passes(score: f32, bar: f32) -> bool {
    !(score <= bar)
}

/// Less is better: a higher score, or the same and a lower index.
struct Ranked(Candidate);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        descending(self.0.score, other.0.score).then(self.0.index.cmp(&other.0.index))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Highest first. Adding 0 makes -0 and +0 equal, as they are to `==`.
pub(crate) fn descending(a: f32, b: f32) -> Ordering {
    (b + 0.0).total_cmp(&(a + 0.0))
}
