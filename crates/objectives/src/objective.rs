//! What an objective is, and which ones a recipe has.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use weft_fusion::Part;

use crate::entailment::{Entailment, EntailmentConfig};
use crate::filip::{Filip, FilipConfig};
use crate::grounding::{Grounding, GroundingConfig};
use crate::itc::{Itc, ItcConfig};
use crate::itm::{Itm, ItmConfig};
use crate::mcr::{Mcr, McrConfig, Recovers};
use crate::mim::{Mim, MimConfig};
use crate::mlm::{Mlm, MlmConfig};
use crate::mrm::{Mrm, MrmConfig};
use crate::nlvr2::{Nlvr2, Nlvr2Config};
use crate::views::{ImageView, Pass, TextView, Views};
use crate::vqa::{Vqa, VqaConfig};
use crate::wpg::{Wpg, WpgConfig, WrongPicture};

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
    pub filip: Option<FilipConfig>,
    pub itm: Option<ItmConfig>,
    pub mlm: Option<MlmConfig>,
    pub mrm: Option<MrmConfig>,
    pub mim: Option<MimConfig>,
    pub mcr: Option<McrConfig>,
    pub wpg: Option<WpgConfig>,
    pub vqa: Option<VqaConfig>,
    pub nlvr2: Option<Nlvr2Config>,
    pub entailment: Option<EntailmentConfig>,
    pub grounding: Option<GroundingConfig>,
}

/// A task that a model is fine-tuned for. Its data are examples with labels, and it has a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    Vqa,
    Nlvr2,
    Entailment,
    Grounding,
}

impl Objectives {
    /// The tasks among them.
    pub fn tasks(&self) -> Vec<Task> {
        let present = [
            (Task::Vqa, self.vqa.is_some()),
            (Task::Nlvr2, self.nlvr2.is_some()),
            (Task::Entailment, self.entailment.is_some()),
            (Task::Grounding, self.grounding.is_some()),
        ];
        present.into_iter().filter(|(_, present)| *present).map(|(task, _)| task).collect()
    }

    /// Whether one of them predicts masked words.
    pub fn need_masked_words(&self) -> bool {
        self.mlm.is_some() || self.mrm.is_some()
    }

    /// What of the clean matching pairs they read.
    fn parts_of_pairs(&self) -> Vec<Part> {
        let of_class = [
            self.itm.is_some(),
            self.vqa.is_some(),
            self.nlvr2.is_some(),
            self.entailment.is_some(),
        ];
        let wanted = [
            (Part::Class, of_class.contains(&true)),
            (Part::Image, self.grounding.is_some() || self.wpg.is_some()),
            (Part::Text, self.wpg.is_some()),
        ];
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(part, _)| part).collect()
    }

    /// Whether they read more than one part of the clean matching pairs.
    pub fn ask_for_whole_pairs(&self) -> bool {
        self.parts_of_pairs().len() > 1
    }

    /// Whether they read more of the wrong pairs than the class.
    pub fn ask_for_whole_negatives(&self) -> bool {
        self.wpg.as_ref().is_some_and(|wpg| wpg.wrong == WrongPicture::Paired)
    }

    /// Whether WPG wants ITM's wrong pairs, and there is no ITM.
    pub fn lack_wrong_pairs(&self) -> bool {
        self.ask_for_whole_negatives() && self.itm.is_none()
    }

    /// The passes that a step makes for all of them, each once: what
    /// [`Views::passes`](crate::Views::passes) tells afterwards, in another order. `pictures` is how
    /// many a task's text is about, `tags` whether pictures have tags.
    pub fn passes(&self, pictures: usize, tags: bool) -> Vec<Pass> {
        use {ImageView as I, TextView as T};
        let mut all = Vec::new();
        let mut add = |wanted: bool, passes: &[Pass]| {
            for pass in passes.iter().filter(|_| wanted) {
                if !all.contains(pass) {
                    all.push(*pass);
                }
            }
        };
        let pair = [Pass::Image(I::Clean), Pass::Text(T::Clean)];
        let masked_image = [
            Pass::Image(I::Masked),
            Pass::Text(T::Clean),
            Pass::Fused(I::Masked, T::Clean, Some(Part::Image)),
        ];
        let masked_text = [
            Pass::Image(I::Clean),
            Pass::Text(T::Masked),
            Pass::Fused(I::Clean, T::Masked, Some(Part::Text)),
        ];
        let momentum = [Pass::MomentumImage, Pass::MomentumText, Pass::MomentumFused];
        let task = !self.tasks().is_empty();
        add(self.itc.is_some() || self.filip.is_some() || self.itm.is_some() || task, &pair);
        add(self.wpg.is_some(), &pair);
        let parts = self.parts_of_pairs();
        let part = if self.ask_for_whole_pairs() { None } else { parts.first().copied() };
        add(!parts.is_empty(), &[Pass::Fused(I::Clean, T::Clean, part)]);
        if let Some(itm) = &self.itm {
            let part = (!self.ask_for_whole_negatives()).then_some(Part::Class);
            add(true, &[Pass::Negatives(itm.per_pair, part)]);
        }
        let recovers = self.mcr.as_ref().map(|mcr| mcr.recover);
        add(recovers.is_some_and(Recovers::phrases), &[Pass::Text(T::Masked)]);
        add(tags && recovers.is_some_and(Recovers::tags), &[Pass::Image(I::Clean)]);
        add(self.mlm.is_some() || self.mrm.is_some(), &masked_text);
        add(self.mrm.is_some(), &momentum);
        let mim_momentum = self.mim.as_ref().is_some_and(MimConfig::needs_momentum);
        add(mim_momentum, &[Pass::MomentumImage]);
        add(self.mim.is_some() || self.mrm.is_some(), &masked_image);
        add(task && pictures == 2, &[Pass::OtherImage, Pass::FusedOther]);
        all
    }

    /// The objectives present, in a fixed order.
    pub fn build(&self) -> Vec<Box<dyn Objective + Send + Sync>> {
        let mut all: Vec<Box<dyn Objective + Send + Sync>> = Vec::new();
        macro_rules! add {
            ($($config:ident: $objective:ident),*) => {$(
                if let Some(config) = &self.$config {
                    all.push(Box::new($objective(config.clone())));
                }
            )*};
        }
        add!(itc: Itc, filip: Filip, itm: Itm, mlm: Mlm, mrm: Mrm, mim: Mim, mcr: Mcr);
        if let Some(config) = &self.wpg {
            all.push(Box::new(Wpg { config: config.clone(), itm: self.itm.clone() }));
        }
        add!(vqa: Vqa, nlvr2: Nlvr2, entailment: Entailment, grounding: Grounding);
        all
    }
}

/// The default weight of an objective: MAMO's equation 6 is a plain sum.
pub(crate) fn unit_weight() -> f64 {
    1.0
}
