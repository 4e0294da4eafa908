//! WPG: weakly supervised phrase grounding.

use burn::tensor::{Int, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use weft_kernels::l2_normalize;
use weft_nn::index::indices;

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::rows;
use crate::views::{ImageView, Views};

/// The `[objectives.wpg]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WpgConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    /// By how much the right picture's score must exceed the wrong one's.
    #[serde(default = "published_margin")]
    pub margin: f64,
    /// A phrase's score is that of one of so many nearest regions, drawn by lot.
    #[serde(default = "published_nearest")]
    pub nearest: usize,
}

fn published_margin() -> f64 {
    0.2
}

fn published_nearest() -> usize {
    3
}

/// `mean max(0, margin + S(T, I') - S(T, I))` over the captions with a phrase: `S` is the mean over the
/// phrases of the cosine to the region that was picked (MVP, section 3.3; constants of MVPTR's
/// release).
///
/// # Shapes
///
/// - `right`, `wrong`: `[captions]`
/// - output: `[1]`
pub fn wpg_loss(right: Tensor<1>, wrong: Tensor<1>, margin: f64) -> Tensor<1> {
    (wrong - right + margin).clamp_min(0.0).mean()
}

/// For each phrase the cosine to its nearest, second nearest, ... region, whichever `picked` says.
///
/// # Shapes
///
/// - `phrases`: `[phrases, width]`
/// - `regions`: `[phrases, regions, width]`, those of the picture that each phrase is held against
/// - `hidden`: `[phrases, regions]`, 0 for a region and far below for what is none, where some are none
/// - `picked`: `[phrases]`, from 0 for the nearest to `nearest - 1`; the last one of a picture with fewer
/// - output: `[phrases]`
pub fn phrase_scores(
    phrases: Tensor<2>,
    regions: Tensor<3>,
    hidden: Option<Tensor<2>>,
    nearest: usize,
    picked: Tensor<1, Int>,
) -> Tensor<1> {
    let [count, all, width] = regions.dims();
    let phrases = l2_normalize(phrases).unsqueeze_dim::<3>(2);
    let regions = l2_normalize(regions.reshape([count * all, width])).reshape([count, all, width]);
    let cosines = regions.matmul(phrases).reshape([count, all]);
    let (seen, picked) = match hidden {
        Some(hidden) => {
            let there = hidden.clone().equal_elem(0.0).int().sum_dim(1).reshape([count]);
            (cosines.clone().detach() + hidden, picked.min_pair(there - 1))
        }
        None => (cosines.clone().detach(), picked),
    };
    let (_, order) = seen.topk_with_indices(nearest.min(all), 1);
    let region = order.gather(1, picked.unsqueeze_dim::<2>(1));
    cosines.gather(1, region).reshape([count])
}

/// The objective. The wrong picture is another one of the batch, drawn by lot, with the states that it has
/// when it is fused with its own caption.
pub struct Wpg(pub WpgConfig);

impl Objective for Wpg {
    fn name(&self) -> &'static str {
        "wpg"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let device = views.device();
        let phrases = &views.batch().phrases;
        let captions = phrases.captions();
        if captions.is_empty() {
            return Loss { name: self.name(), value: views.nothing(), figures: Vec::new() };
        }
        let mut lots = Lots::new(views.seed("wpg"), views.batch().len());
        let others = lots.others();
        let fused = views.fused();
        let [batch, regions, _] = fused.image.dims();
        // The first of the encoder's tokens is no region.
        let hidden = views
            .image_levels(ImageView::Clean)
            .padding()
            .map(|padding| padding.bias().narrow(3, 1, regions).reshape([batch, regions]));
        let nearest = self.0.nearest.clamp(1, regions);
        let states = rows(fused.text, phrases.rows.clone());
        let mut score = |picture_of: Vec<usize>| {
            let picked = lots.picks(picture_of.len(), nearest);
            let picked = indices(picked, &device);
            let picture_of = indices(picture_of, &device);
            let hidden = hidden.clone().map(|hidden| hidden.select(0, picture_of.clone()));
            let regions = fused.image.clone().select(0, picture_of);
            mean_of_each(phrase_scores(states.clone(), regions, hidden, nearest, picked), &captions)
        };
        let own: Vec<usize> = phrases.caption_of.clone();
        let wrong = own.iter().map(|caption| others[*caption]).collect();
        let (right, wrong) = (score(own), score(wrong));
        let better = right.clone().inner().greater(wrong.clone().inner()).float().mean();
        Loss {
            name: self.name(),
            figures: vec![("wpg_accuracy", better)],
            value: wpg_loss(right, wrong, self.0.margin),
        }
    }
}

/// Means of neighbouring scores: `captions` says how many belong together, `[captions]`.
fn mean_of_each(scores: Tensor<1>, captions: &[usize]) -> Tensor<1> {
    let means: Vec<Tensor<1>> = captions
        .iter()
        .scan(0, |start, count| {
            let own = scores.clone().narrow(0, *start, *count);
            *start += count;
            Some(own.mean())
        })
        .collect();
    Tensor::cat(means, 0)
}

/// What is drawn by lot.
struct Lots {
    rng: ChaCha8Rng,
    batch: usize,
}

impl Lots {
    fn new(seed: u64, batch: usize) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), batch }
    }

    /// For each caption a picture that is not its own; its own where there is no other.
    fn others(&mut self) -> Vec<usize> {
        let batch = self.batch;
        let other = |caption| match batch {
            1 => caption,
            _ => (caption + self.rng.random_range(1..batch)) % batch,
        };
        (0..batch).map(other).collect()
    }

    fn picks(&mut self, count: usize, nearest: usize) -> Vec<usize> {
        (0..count).map(|_| self.rng.random_range(0..nearest)).collect()
    }
}
