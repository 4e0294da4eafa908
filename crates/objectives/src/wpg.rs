//! WPG: weakly supervised phrase grounding.

use burn::tensor::{Int, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use weft_kernels::l2_normalize;
use weft_nn::index::indices;

use crate::itm::ItmConfig;
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
    /// Which wrong pictures a caption's phrases are held against.
    #[serde(default, skip_serializing_if = "WrongPicture::is_apart")]
    pub wrong: WrongPicture,
}

/// With which states a wrong picture is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrongPicture {
    /// Another picture of the batch, drawn by lot, with the states that it has when it is fused with its own
    /// caption: no further pass (`sample` in MVPTR's release, its default). Unlike there, a picture with an equal
    /// caption is not taken.
    #[default]
    Apart,
    /// The wrong pairs of ITM, both with the states that they have when they are fused with one another (`hard`
    /// in the release).
    Paired,
}

impl WrongPicture {
    fn is_apart(&self) -> bool {
        *self == Self::Apart
    }
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

/// The objective.
pub struct Wpg {
    pub config: WpgConfig,
    /// Whose wrong pairs are taken where they are.
    pub itm: Option<ItmConfig>,
}

impl Objective for Wpg {
    fn name(&self) -> &'static str {
        "wpg"
    }

    fn weight(&self) -> f64 {
        self.config.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let batch = views.batch();
        let lots = Lots::new(views.seed("wpg"));
        let scores = match self.config.wrong {
            _ if batch.phrases.caption_of.is_empty() || !batch.captions_differ() => None,
            WrongPicture::Apart => Some(self.apart(views, lots)),
            WrongPicture::Paired => self.paired(views, lots),
        };
        let Some((right, wrong)) = scores else {
            return Loss { name: self.name(), value: views.nothing(), figures: Vec::new() };
        };
        let better = right.clone().inner().greater(wrong.clone().inner()).float().mean();
        Loss {
            name: self.name(),
            figures: vec![("wpg_accuracy", better)],
            value: wpg_loss(right, wrong, self.config.margin),
        }
    }
}

impl Wpg {
    /// Scores of each caption with a phrase for its own picture and for another one of the batch, drawn by lot.
    fn apart(&self, views: &mut Views, mut lots: Lots) -> (Tensor<1>, Tensor<1>) {
        let phrases = &views.batch().phrases;
        let others = lots.others(&views.batch().caption_of);
        let fused = views.fused();
        let regions = Regions::new(views, fused.image, self.config.nearest);
        let states = rows(fused.text, phrases.rows.clone());
        let captions = phrases.captions();
        let own = &phrases.caption_of;
        let wrong: Vec<usize> = own.iter().map(|caption| others[*caption]).collect();
        let mut score = |pictures: &[usize]| {
            let scores = regions.scores(states.clone(), pictures, pictures, &mut lots);
            mean_of_each(scores, &captions)
        };
        (score(own), score(&wrong))
    }

    /// Scores of the caption of each wrong pair, where it has a phrase, for its own picture and for the wrong
    /// one that it was fused with; nothing where no caption of a wrong pair has one.
    fn paired(&self, views: &mut Views, mut lots: Lots) -> Option<(Tensor<1>, Tensor<1>)> {
        let itm = self.itm.as_ref().expect("a recipe whose WPG takes wrong pairs has ITM");
        let device = views.device();
        let phrases = &views.batch().phrases;
        let fused = views.fused();
        let (pairs, wrong) = views.fused_negatives(itm.negatives, itm.per_pair);
        let [_, tokens, _] = wrong.text.dims();

        let regions = Regions::new(views, fused.image, self.config.nearest);
        let own = &phrases.caption_of;
        let states = rows(fused.text, phrases.rows.clone());
        let right = regions.scores(states, own, own, &mut lots);
        let captions = phrases.captions();
        let right = mean_of_each(right, &captions);

        // The phrases of a wrong pair are those of its caption, in another row of what was fused.
        let mut at = Vec::new();
        let (mut pair_of, mut picture_of) = (Vec::new(), Vec::new());
        let (mut counts, mut caption_of) = (Vec::new(), Vec::new());
        let with_phrases: Vec<usize> = own.chunk_by(|a, b| a == b).map(|own| own[0]).collect();
        for (pair, (picture, caption)) in pairs.into_iter().enumerate() {
            let Ok(number) = with_phrases.binary_search(&caption) else { continue };
            let before = at.len();
            let of_caption = own.iter().zip(&phrases.places).filter(|(of, _)| **of == caption);
            at.extend(of_caption.map(|(_, place)| pair * tokens + place));
            let count = at.len() - before;
            pair_of.extend(std::iter::repeat_n(pair, count));
            picture_of.extend(std::iter::repeat_n(picture, count));
            counts.push(count);
            caption_of.push(number);
        }
        if counts.is_empty() {
            return None;
        }
        let regions = Regions::new(views, wrong.image, self.config.nearest);
        let states = rows(wrong.text, indices(at, &device));
        let wrong = mean_of_each(regions.scores(states, &pair_of, &picture_of, &mut lots), &counts);
        Some((right.select(0, indices(caption_of, &device)), wrong))
    }
}

/// The regions that phrases are held against.
struct Regions {
    /// `[fused, regions, width]`
    fused: Tensor<3>,
    /// Of each picture of the batch, where some of its regions are none: `[batch, regions]`.
    hidden: Option<Tensor<2>>,
    nearest: usize,
}

impl Regions {
    fn new(views: &mut Views, fused: Tensor<3>, nearest: usize) -> Self {
        let [_, regions, _] = fused.dims();
        // The first of the encoder's tokens is no region.
        let hidden = views.image_levels(ImageView::Clean).padding().map(|padding| {
            let bias = padding.bias();
            let [batch, ..] = bias.dims();
            bias.narrow(3, 1, regions).reshape([batch, regions])
        });
        Self { fused, hidden, nearest: nearest.clamp(1, regions) }
    }

    /// A score for each of `phrases`, `[phrases, width]`, by the regions in row `fused` of what was fused, which
    /// are those of `picture`.
    fn scores(
        &self,
        phrases: Tensor<2>,
        fused: &[usize],
        picture: &[usize],
        lots: &mut Lots,
    ) -> Tensor<1> {
        let device = phrases.device();
        let picked = indices(lots.picks(fused.len(), self.nearest), &device);
        let numbers = |of: &[usize]| indices(of.iter().copied(), &device);
        let hidden = self.hidden.clone().map(|hidden| hidden.select(0, numbers(picture)));
        let regions = self.fused.clone().select(0, numbers(fused));
        phrase_scores(phrases, regions, hidden, self.nearest, picked)
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
}

impl Lots {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// For each caption a picture that it does not describe: one whose caption is another.
    fn others(&mut self, caption_of: &[usize]) -> Vec<usize> {
        let other = |caption: &usize| {
            let wrong = |row: &usize| caption_of[*row] != *caption;
            let wrong: Vec<usize> = (0..caption_of.len()).filter(wrong).collect();
            wrong[self.rng.random_range(0..wrong.len())]
        };
        caption_of.iter().map(other).collect()
    }

    fn picks(&mut self, count: usize, nearest: usize) -> Vec<usize> {
        (0..count).map(|_| self.rng.random_range(0..nearest)).collect()
    }
}
