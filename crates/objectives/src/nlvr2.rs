//! NLVR2: whether a statement about two pictures is true.

use serde::{Deserialize, Serialize};
use weft_kernels::cross_entropy_soft;

use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;
use crate::vqa::mean_score;

/// The `[objectives.nlvr2]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nlvr2Config {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// Cross-entropy of (false, true) from the fused class tokens of both pictures beside one anothern/// (Suhr et al. 2019; the pairing of METER and BridgeTower).
pub struct Nlvr2(pub Nlvr2Config);

impl Objective for Nlvr2 {
    fn name(&self) -> &'static str {
        "nlvr2"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (logits, truth) = (views.task_output(), views.class_scores());
        let accuracy = mean_score(logits.clone().inner(), truth.clone());
        let value = cross_entropy_soft(logits, truth);
        Loss { name: self.name(), value, figures: vec![("nlvr2_accuracy", accuracy)] }
    }
}
