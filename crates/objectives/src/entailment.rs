//! Visual entailment: whether a picture entails a sentence, contradicts it or leaves it open.

use serde::{Deserialize, Serialize};

use crate::classification::one_right_class;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;

/// The `[objectives.entailment]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntailmentConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// Cross-entropy of (contradiction, neutral, entailment) from the fused class token (Xie et al. 2019,
/// SNLI-VE).
pub struct Entailment(pub EntailmentConfig);

impl Objective for Entailment {
    fn name(&self) -> &'static str {
        "entailment"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        one_right_class(views, self.name(), "entailment_accuracy")
    }
}
