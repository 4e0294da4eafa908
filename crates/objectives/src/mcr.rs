//! MCR: masked concept recovering, within each modality.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::{LinearCrossEntropy, cross_entropy};
use weft_model::MlmHead;

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::rows;
use crate::views::{TextView, Views};

/// The `[objectives.mcr]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McrConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
    #[serde(default, skip_serializing_if = "Recovers::is_both")]
    pub recover: Recovers,
}

/// What is recovered: both as the paper has it, tags alone as MVPTR's release does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovers {
    #[default]
    Both,
    Phrases,
    Tags,
}

impl Recovers {
    fn is_both(&self) -> bool {
        *self == Recovers::Both
    }

    pub fn phrases(self) -> bool {
        self != Recovers::Tags
    }

    pub fn tags(self) -> bool {
        self != Recovers::Phrases
    }
}

/// Cross-entropy of the hidden concepts over words, phrases and tags (MVP, section 3.2). The objective
/// computes it straight from what comes before the logits.
///
/// # Shapes
///
/// - `logits`: `[hidden, rows]`
/// - `concepts`: `[hidden]`
/// - output: `[1]`
pub fn mcr_loss(logits: Tensor<2>, concepts: Tensor<1, Int>) -> Tensor<1> {
    cross_entropy(logits, concepts)
}

/// The objective: the text encoder recovers hidden phrases, the image encoder hidden tags, neither with
/// a look at the other modality; the two losses are added up.
///
/// A phrase is hidden when one of its words is (`mask.text_ratio`), so what is left of the caption does
/// not spell it.
pub struct Mcr(pub McrConfig);

impl Objective for Mcr {
    fn name(&self) -> &'static str {
        "mcr"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (heads, batch) = (views.heads(), views.batch());
        let (mut losses, mut figures) = (Vec::new(), Vec::new());
        let (hidden, recover) = (&batch.phrases.hidden, self.0.recover);
        let wanted = recover.phrases() && hidden.any();
        if let Some(head) = heads.phrases.as_ref().filter(|_| wanted) {
            let states = rows(views.text(TextView::Masked), hidden.rows.clone());
            let Recovered { loss, accuracy } = recovered(head, states, hidden.were.clone(), views);
            losses.push(loss);
            figures.push(("mcr_phrase_accuracy", accuracy));
        }
        let tags = batch.tags.as_ref().filter(|_| recover.tags()).map(|tags| &tags.hidden);
        if let (Some(head), Some(hidden)) = (&heads.tags, tags.filter(|tags| tags.any())) {
            let states = rows(views.tags(), hidden.rows.clone());
            let Recovered { loss, accuracy } = recovered(head, states, hidden.were.clone(), views);
            losses.push(loss);
            figures.push(("mcr_tag_accuracy", accuracy));
        }
        let value = losses.into_iter().reduce(Tensor::add).unwrap_or_else(|| views.nothing());
        Loss { name: self.name(), value, figures }
    }
}

/// How well hidden concepts were recovered.
struct Recovered {
    loss: Tensor<1>,
    /// `[1]`, off the tape.
    accuracy: Tensor<1>,
}

fn recovered(
    head: &MlmHead,
    states: Tensor<2>,
    concepts: Tensor<1, Int>,
    views: &Views,
) -> Recovered {
    let LinearCrossEntropy { loss, best } =
        head.loss(states, views.word_embeddings(), concepts.clone());
    let accuracy = best.inner().equal(concepts).float().mean();
    Recovered { loss, accuracy }
}
