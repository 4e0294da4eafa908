//! ITC: image-text contrast.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::{contrastive, contrastive_of_similarity};

use crate::objective::{Loss, Objective, unit_weight};
use crate::views::{Embeddings, Views};

/// The `[objectives.itc]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItcConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// `(CE(s, i) + CE(s^T, i)) / 2` with `s_ij = v_i . w_j / temperature`: each picture finds its
/// caption among the batch's captions, and each caption its picture (ALBEF, equations 1 and 2,
/// without queue and momentum distillation; whether MAMO uses those is unknown). The objective
/// computes it straight from the embeddings.
///
/// # Shapes
///
/// - `similarity`: `[batch, batch]`, pictures down and captions across, over the temperature
/// - output: `[1]`
pub fn itc_loss(similarity: Tensor<2>) -> Tensor<1> {
    contrastive_of_similarity(similarity)
}

/// The objective.
pub struct Itc(pub ItcConfig);

impl Objective for Itc {
    fn name(&self) -> &'static str {
        "itc"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let similarity = views.similarity();
        let Embeddings { image, text } = views.embeddings();
        let temperature = views.temperature();
        Loss {
            name: self.name(),
            figures: vec![
                ("itc_accuracy", diagonal_accuracy(similarity)),
                ("temperature", temperature.clone().inner()),
            ],
            value: contrastive(image, text, temperature),
        }
    }
}

/// Fraction of pictures whose own caption is the most similar of the batch.
pub(crate) fn diagonal_accuracy(similarity: Tensor<2>) -> Tensor<1> {
    let [batch, _] = similarity.dims();
    let diagonal = Tensor::<1, Int>::arange(0..batch as i64, &similarity.device());
    let found = similarity.argmax(1).reshape([batch]);
    found.equal(diagonal).float().mean()
}
