//! Where a model finds what a text speaks of, without having been shown a rectangle.

use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use weft_fusion::Fused;
use weft_nn::AttentionMask;
use weft_nn::index::indices;

use super::{Images, Inference, Texts};

impl Inference {
    /// For each (picture, text) of `pairs`, by their numbers in `images` and `texts`, how much each
    /// patch speaks for a match: Grad-CAM of the matching head at fusion layer `layer`, counted from
    /// 0, averaged over the text's tokens (ALBEF, section 6.5). Row by row, `[patches]` each.
    ///
    /// # Errors
    ///
    /// When the fusion encoder has no such layer, or the matching head was not trained.
    pub fn grad_cam(
        &self,
        images: &Images,
        texts: &Texts,
        pairs: &[(usize, usize)],
        layer: usize,
    ) -> Result<Vec<Vec<f32>>> {
        self.check_layer(layer)?;
        ensure!(self.matches_pairs(), "Grad-CAM asks the matching head, which was not trained");
        let mut maps = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(self.recipe.eval.batch_size) {
            maps.extend(self.cam(images, texts, pairs, layer, |fused| {
                column(self.model.match_logits(fused.class), 1)
            }));
        }
        Ok(maps)
    }

    /// The same of what a fine-tuned model says of one picture and one text: how much each patch
    /// speaks for output `output` of the task's head, `[patches]`.
    ///
    /// # Errors
    ///
    /// When the fusion encoder has no such layer, or the model no task of one picture.
    pub fn task_grad_cam(
        &self,
        images: &Images,
        texts: &Texts,
        output: usize,
        layer: usize,
    ) -> Result<Vec<f32>> {
        self.check_layer(layer)?;
        let one = self.recipe.model.task.is_some_and(|task| task.pictures == 1);
        ensure!(one, "the model is not fine-tuned for a task of one picture");
        let maps = self.cam(images, texts, &[(0, 0)], layer, |fused| {
            column(self.model.task_output(vec![fused.part(self.model.task_part())]), output)
        });
        maps.into_iter().next().context("one pair has one map")
    }

    /// Layers of the fusion encoder.
    pub fn fusion_depth(&self) -> usize {
        self.model.backbone.fusion_depth()
    }

    fn check_layer(&self, layer: usize) -> Result<()> {
        let depth = self.fusion_depth();
        ensure!(layer < depth, "fusion layer {layer}: the fusion encoder has {depth}, from 0");
        Ok(())
    }

    fn cam(
        &self,
        images: &Images,
        texts: &Texts,
        pairs: &[(usize, usize)],
        layer: usize,
        score: impl FnOnce(Fused) -> Tensor<1>,
    ) -> Vec<Vec<f32>> {
        let (image, text): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
        let (image, text) = (indices(image, &self.device), indices(text, &self.device));
        let padding = texts.padding.clone().select(0, text.clone());
        let cam = self.model.backbone.grad_cam(
            &images.features.select(&image),
            &texts.features.select(&text),
            &AttentionMask::from_bias(padding.clone()),
            layer,
            score,
        );
        let [batch, tokens, patches] = cam.dims();
        // 1 for each token, 0 for padding, whose bias is negative.
        let seen = padding.equal_elem(0.0).float().reshape([batch, tokens, 1]);
        let mean = (cam * seen.clone()).sum_dim(1) / seen.sum_dim(1);
        let numbers: Vec<f32> = mean.into_data().iter::<f32>().collect();
        numbers.chunks(patches).map(<[f32]>::to_vec).collect()
    }
}

fn column(x: Tensor<2>, column: usize) -> Tensor<1> {
    let [batch, _] = x.dims();
    x.narrow(1, column, 1).reshape([batch])
}
