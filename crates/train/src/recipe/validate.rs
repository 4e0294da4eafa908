//! What of a recipe the types alone do not check.

use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use weft_data::augment::Augment;
use weft_objectives::itm::ItmConfig;
use weft_objectives::negatives::Hardness;
use weft_objectives::{Objectives, Task};
use weft_vision::MaskMode;

use super::{CheckpointConfig, OptimizerConfig, Recipe, TrainConfig};

impl Recipe {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    ///
    /// Names the key that cannot work, its value and what was expected.
    pub fn validate(&self) -> Result<()> {
        let mut parts = Path::new(&self.name).components();
        ensure!(
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)),
            "name = {:?}: expected a name that a folder can have, for runs lie in one",
            self.name
        );
        self.model.validate()?;
        let vision = &self.model.vision;
        ensure!(vision.image_size.side().is_some(), "model.vision.image_size must be one number");
        ensure!(!vision.distillation_token, "model.vision.distillation_token is for DeiT alone");
        self.preprocessing().check().context("preprocess")?;
        self.train.validate()?;
        self.optimizer.validate()?;
        ensure!(self.eval.batch_size > 0, "eval.batch_size must be at least 1");
        ensure!(!self.objectives.build().is_empty(), "objectives: at least one is needed");
        self.validate_start()?;
        self.validate_negatives()?;
        self.validate_masks()?;
        self.validate_concepts()?;
        self.validate_regions()?;
        self.validate_stages()?;
        self.validate_task()
    }

    fn validate_start(&self) -> Result<()> {
        let CheckpointConfig { checkpoint, parts } = &self.start;
        ensure!(parts.is_empty() || checkpoint.is_some(), "start.parts needs start.checkpoint");
        ensure!(
            checkpoint.is_none() || (self.vision.init.is_none() && self.text.init.is_none()),
            "start.checkpoint and vision.init or text.init: expected one of them"
        );
        Ok(())
    }

    fn validate_negatives(&self) -> Result<()> {
        let Objectives { itc, filip, itm, wpg, .. } = &self.objectives;
        let contrasts = itc.is_some() || filip.is_some() || itm.is_some() || wpg.is_some();
        ensure!(
            self.train.per_picture == 1 || !contrasts,
            "train.per_picture must be 1 for ITC, FILIP, ITM and WPG: a picture is no negative of its \
             own captions"
        );
        if let Some(ItmConfig { per_pair, .. }) = itm {
            ensure!(
                (1..=2).contains(per_pair),
                "objectives.itm.per_pair is {per_pair}; expected 2, a wrong picture and a wrong \
                 caption of each pair, or 1 of the two"
            );
        }
        ensure!(
            wpg.as_ref().is_none_or(|wpg| wpg.nearest > 0),
            "objectives.wpg.nearest must be at least 1"
        );
        Ok(())
    }

    /// Wrong pairs that are chosen by similarity need embeddings that have learnt to be compared: asked when a run
    /// begins, for what it starts from may have done that.
    ///
    /// # Errors
    ///
    /// Names the key, the stage, and what was expected.
    pub fn check_similarity(&self) -> Result<()> {
        let mut compared = self.start.checkpoint.is_some();
        for stage in self.stages()? {
            let Objectives { itc, itm, .. } = &stage.objectives;
            compared |= itc.is_some();
            let Some(itm) = itm else { continue };
            ensure!(
                compared || itm.negatives == Hardness::Random,
                "objectives.itm.negatives = \"{}\" chooses wrong pairs by what ITC learns; expected \
                 objectives.itc, in the stage{} of ITM or an earlier one, or negatives = \"random\"",
                itm.negatives,
                if stage.name.is_empty() { String::new() } else { format!(" {:?}", stage.name) }
            );
        }
        Ok(())
    }

    fn validate_masks(&self) -> Result<()> {
        let objectives = &self.objectives;
        ensure!(
            !objectives.need_masked_words() || self.mask.text_ratio > 0.0,
            "mask.text_ratio must be above 0 for MLM and MRM"
        );
        let Objectives { mrm, mim, .. } = objectives;
        if mrm.is_some() || mim.is_some() {
            self.validate_masked_patches()?;
        }
        ensure!(
            self.codebook().is_none_or(|(codes, _)| codes > 1),
            "objectives.mim.codes must be at least 2"
        );
        Ok(())
    }

    /// Some patch is hidden, and where hidden ones are dropped some is left.
    fn validate_masked_patches(&self) -> Result<()> {
        let patches = self.model.vision.grid().patches();
        let masked = self.mask.masked_patches(patches);
        let most = patches - usize::from(self.model.vision.mask_mode == MaskMode::Drop);
        ensure!(
            (1..=most).contains(&masked),
            "mask.image_ratio is {}, which hides {masked} of {patches} patches; expected 1 to {most} \
             for MRM and MIM",
            self.mask.image_ratio
        );
        Ok(())
    }

    fn validate_concepts(&self) -> Result<()> {
        let Objectives { mcr, wpg, .. } = &self.objectives;
        ensure!(
            self.concepts.is_some() || (mcr.is_none() && wpg.is_none()),
            "objectives: MCR and WPG need the table [concepts]"
        );
        let Some(concepts) = &self.concepts else { return Ok(()) };
        concepts.validate(self.model.text.longest())?;
        ensure!(
            self.shown_tags().is_none() || self.train.per_picture == 1,
            "concepts.tags needs train.per_picture = 1"
        );
        Ok(())
    }

    fn validate_regions(&self) -> Result<()> {
        let regions = self.model.vision.regions;
        ensure!(
            regions.is_some() || self.data.regions.is_none(),
            "data.regions needs model.vision.regions, the sizes of what the model takes of them"
        );
        if regions.is_none() {
            return Ok(());
        }
        ensure!(self.data.regions.is_some(), "model.vision.regions needs the file data.regions");
        let Objectives { filip, mrm, mim, .. } = &self.objectives;
        ensure!(
            filip.is_none() && mrm.is_none() && mim.is_none(),
            "objectives: FILIP, MRM and MIM are of patches; the image encoder sees regions"
        );
        ensure!(
            self.vision.init.is_none(),
            "vision.init is an encoder of patches; the image encoder sees regions"
        );
        ensure!(
            self.task() != Some(Task::Grounding),
            "grounding lets patches propose rectangles; the image encoder sees regions"
        );
        Ok(())
    }

    fn validate_stages(&self) -> Result<()> {
        let lack = self.stages()?.iter().any(|stage| stage.objectives.lack_wrong_pairs());
        ensure!(
            !lack,
            "objectives.wpg.wrong = \"paired\" takes the wrong pairs of ITM, and needs it"
        );
        Ok(())
    }

    fn validate_task(&self) -> Result<()> {
        let tasks = self.objectives.tasks();
        ensure!(tasks.len() <= 1, "objectives: {tasks:?} are several tasks; expected one at most");
        ensure!(
            tasks.is_empty() || !self.data.expressions,
            "data.expressions makes captions of phrases; {tasks:?} reads its own files"
        );
        if tasks == [Task::Grounding] {
            // A rectangle is a place in the whole picture.
            let Augment { crop_scale, flip, rand_ops, .. } = &self.augment;
            ensure!(
                *crop_scale == [1.0, 1.0]
                    && *flip == 0.0
                    && *rand_ops == 0
                    && !self.preprocess.crop,
                "grounding needs whole pictures: augment.crop_scale = [1.0, 1.0], augment.flip = \
                 0.0, augment.rand_ops = 0 and preprocess.crop = false"
            );
        }
        Ok(())
    }
}

impl TrainConfig {
    fn validate(&self) -> Result<()> {
        ensure!(self.batch_size > 1, "train.batch_size must be at least 2: ITC needs negatives");
        for (name, given) in [
            ("steps", self.steps),
            ("accumulate", self.accumulate as u64),
            ("per_picture", self.per_picture as u64),
            ("workers", self.workers as u64),
            ("queue", self.queue as u64),
            ("log_every", self.log_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_last", self.keep_last as u64),
        ] {
            ensure!(given > 0, "train.{name} must be at least 1");
        }
        ensure!((0.0..=1.0).contains(&self.momentum), "train.momentum must be in [0, 1]");
        ensure!(
            self.momentum_final.is_none_or(|last| (self.momentum..=1.0).contains(&last)),
            "train.momentum_final must be from train.momentum to 1"
        );
        ensure!(
            self.collapse_below.is_none_or(|below| below > 0.0 && below.is_finite()),
            "train.collapse_below must be above 0"
        );
        Ok(())
    }
}

impl OptimizerConfig {
    fn validate(&self) -> Result<()> {
        ensure!(self.clip_norm > 0.0, "optimizer.clip_norm must be above 0");
        for (name, rate) in [
            ("lr", self.lr),
            ("warmup_lr", self.warmup_lr),
            ("final_lr", self.final_lr),
            ("weight_decay", self.weight_decay),
            ("task_head_lr", self.task_head_lr),
            ("fusion_lr", self.fusion_lr),
        ] {
            ensure!(
                rate >= 0.0 && rate.is_finite(),
                "optimizer.{name} is {rate}; expected 0 or more"
            );
        }
        ensure!(
            self.betas.iter().all(|beta| (0.0..1.0).contains(beta)),
            "optimizer.betas are {:?}; expected numbers in [0, 1)",
            self.betas
        );
        ensure!(self.epsilon > 0.0, "optimizer.epsilon must be above 0");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, settings: &[&str], expected: &str) {
        let settings: Vec<String> = settings.iter().map(|setting| setting.to_string()).collect();
        let error = Recipe::open(name).unwrap().with(&settings).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains(expected), "{settings:?}: {message}");
    }

    #[test]
    fn numbers_without_a_meaning_are_refused() {
        for per_pair in [0, 3] {
            let setting = format!("objectives.itm.per_pair={per_pair}");
            refused("quick-mvp", &[&setting], "objectives.itm.per_pair is");
        }
        refused("quick-mvp", &["objectives.wpg.nearest=0"], "objectives.wpg.nearest");
        refused("quick-unimo3", &["model.text.causal=true"], "causal");
        let direction = "model.fusion.connection={kind=\"none\", direction=\"text\"}";
        refused("quick-unimo3", &[direction], "direction");
    }

    #[test]
    fn a_mask_hides_a_patch_and_leaves_one_where_hidden_ones_are_dropped() {
        // Of 16 patches.
        let drop = "model.vision.mask_mode=\"drop\"";
        for (ratio, mode) in [("0.03", drop), ("0.97", drop), ("0.0", drop)] {
            let ratio = format!("mask.image_ratio={ratio}");
            refused("quick", &[&ratio, mode], "of 16 patches");
        }
        let settings = ["mask.image_ratio=0.97", "model.vision.mask_mode=\"token\""];
        Recipe::open("quick").unwrap().with(&settings.map(String::from)).unwrap();
    }

    #[test]
    fn wrong_pairs_by_similarity_need_a_contrast_before() {
        let begins = |settings: &[&str]| {
            let settings: Vec<String> =
                settings.iter().map(|setting| setting.to_string()).collect();
            Recipe::open("quick").unwrap().with(&settings).unwrap().check_similarity()
        };
        let refused = |settings: &[&str], expected: &str| {
            let message = begins(settings).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        let alone = "objectives={itm={}, mlm={}}";
        refused(&[alone], "objectives.itc");
        begins(&[alone, "start.checkpoint=runs/quick"]).unwrap();
        let objectives = "objectives={itc={}, itm={}, mlm={}}";
        let stages = |first: &str, second: &str| {
            format!(
                "stage=[{{name=\"first\", steps=1, objectives=[{first}]}}, \
                 {{name=\"second\", steps=1, objectives=[{second}]}}]"
            )
        };
        let late = stages("\"itm\", \"mlm\"", "\"itc\"");
        refused(&["train.steps=2", objectives, &late], "stage \"first\" of ITM");
        let early = stages("\"itc\"", "\"itm\", \"mlm\"");
        begins(&["train.steps=2", objectives, &early]).unwrap();
        begins(&["objectives={itm={negatives=\"random\"}, mlm={}}"]).unwrap();
    }
}
