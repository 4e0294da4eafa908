//! MLM: masked language modelling, conditioned on the picture.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::{LinearCrossEntropy, cross_entropy};

use crate::objective::{Loss, Objective, unit_weight};
use crate::target::rows;
use crate::views::Views;

/// The `[objectives.mlm]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlmConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// Cross-entropy of the masked words (MAMO, section 3.3, on the fused output of the clean picture
/// and the masked caption; Devlin et al. 2019, task 1). The objective computes it straight from what
/// comes before the logits.
///
/// # Shapes
///
/// - `logits`: `[masked, vocab_size]`
/// - `words`: `[masked]`
/// - output: `[1]`
pub fn mlm_loss(logits: Tensor<2>, words: Tensor<1, Int>) -> Tensor<1> {
    cross_entropy(logits, words)
}

/// The objective.
pub struct Mlm(pub MlmConfig);

impl Objective for Mlm {
    fn name(&self) -> &'static str {
        "mlm"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (head, batch) = (&views.heads().mlm, views.batch());
        let text = views.fused_words();
        let masked = rows(text, batch.masked_rows.clone());
        let embeddings = first_rows(views.word_embeddings(), head.vocab_size());
        let words = batch.masked_words.clone();
        let LinearCrossEntropy { loss, best } = head.loss(masked, embeddings, words.clone());
        let accuracy = best.inner().equal(words).float().mean();
        Loss { name: self.name(), value: loss, figures: vec![("mlm_accuracy", accuracy)] }
    }
}

/// Without the rows of phrases, which no masked word is.
fn first_rows(table: Tensor<2>, count: usize) -> Tensor<2> {
    let [rows, _] = table.dims();
    if rows == count { table } else { table.narrow(0, 0, count) }
}
