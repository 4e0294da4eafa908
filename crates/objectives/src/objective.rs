//! What an objective is, and which ones a recipe has.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::itc::{Itc, ItcConfig};
use crate::itm::{Itm, ItmConfig};
use crate::mim::{Mim, MimConfig};
use crate::mlm::{Mlm, MlmConfig};
use crate::mrm::{Mrm, MrmConfig};
use crate::views::Views;

/// A named loss with figures that tell how training goes.
pub struct Loss {
    pub name: &'static str,
    /// `[1]`
    pub value: Tensor<1>,
    /// Each `[1]`, off the tape.
    pub figures: Vec<(&'static str, Tensor<1>)>,
}

/// Turns views of a batch into a loss.
pub trait Objective {
    /// Short name in recipes, logs and results.
    fn name(&self) -> &'static str;

    /// What the loss counts for in the sum.
    fn weight(&self) -> f64;

    fn compute(&self, views: &mut Views) -> Loss;
}

/// The objectives of a recipe; one that is absent is not computed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    pub itc: Option<ItcConfig>,
    pub itm: Option<ItmConfig>,
    pub mlm: Option<MlmConfig>,
    pub mrm: Option<MrmConfig>,
    pub mim: Option<MimConfig>,
}

impl Objectives {
    /// The objectives present, in a fixed order.
    pub fn build(&self) -> Vec<Box<dyn Objective + Send + Sync>> {
        let mut all: Vec<Box<dyn Objective + Send + Sync>> = Vec::new();
        if let Some(config) = &self.itc {
            all.push(Box::new(Itc(config.clone())));
        }
        if let Some(config) = &self.itm {
            all.push(Box::new(Itm(config.clone())));
        }
        if let Some(config) = &self.mlm {
            all.push(Box::new(Mlm(config.clone())));
        }
        if let Some(config) = &self.mrm {
            all.push(Box::new(Mrm(config.clone())));
        }
        if let Some(config) = &self.mim {
            all.push(Box::new(Mim(config.clone())));
        }
        all
    }
}

/// The default weight of an objective: MAMO's equation 6 is a plain sum.
pub(crate) fn unit_weight() -> f64 {
    1.0
}
