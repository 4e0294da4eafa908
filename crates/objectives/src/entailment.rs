//! Visual entailment: whether a picture entails a sentence, contradicts it or leaves it open.

use serde::{Deserialize, Serialize};
use weft_kernels::cross_entropy_soft;

use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;
use crate::vqa::mean_score;

/// The `[objectives.entailment]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntailmentConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// Cross-entropy of (contradiction, neutral, entailment) from the fused class token (Xie et al. 2019,n/// SNLI-VE).
pub struct Entailment(pub EntailmentConfig);

impl Objective for Entailment {
    fn name(&self) -> &'static str {
        "entailment"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (logits, truth) = (views.task_output(), views.class_scores());
        let accuracy = mean_score(logits.clone().inner(), truth.clone());
        let value = cross_entropy_soft(logits, truth);
        Loss { name: self.name(), value, figures: vec![("entailment_accuracy", accuracy)] }
    }
}
