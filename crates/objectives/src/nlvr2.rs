//! NLVR2: whether a statement about two pictures is true.

use serde::{Deserialize, Serialize};

use crate::classification::one_right_class;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::Views;

/// The `[objectives.nlvr2]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nlvr2Config {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// Cross-entropy of (false, true) from the fused class tokens of both pictures beside one another
/// (Suhr et al. 2019; the pairing of METER and BridgeTower).
pub struct Nlvr2(pub Nlvr2Config);

impl Objective for Nlvr2 {
    fn name(&self) -> &'static str {
        "nlvr2"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        one_right_class(views, self.name(), "nlvr2_accuracy")
    }
}
