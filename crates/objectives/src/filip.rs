//! FILIP: contrast of pictures and captions by their best matching patches and words.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::{cross_entropy, l2_normalize};
use weft_nn::Linear;

use crate::itc::diagonal_accuracy;
use crate::objective::{Loss, Objective, unit_weight};
use crate::views::{ImageView, TextView, Views};

/// The `[objectives.filip]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilipConfig {
    #[serde(default = "unit_weight")]
    pub weight: f64,
}

/// How similar each picture is to each caption: the mean over patches of the similarity of the best
/// word, and the mean over words of that of the best patch (Yao et al. 2022, equations 4 and 5).
///
/// # Shapes
///
/// - `patches`: `[pictures, patches, width]`, rows of length 1
/// - `words`: `[captions, tokens, width]`, rows of length 1
/// - `visible`: `[captions, tokens]`, 1 where there is a token, 0 where there is padding; a caption
///   has at least one token
/// - outputs: `[pictures, captions]` both; by patches, by words
pub fn token_similarities(
    patches: Tensor<3>,
    words: Tensor<3>,
    visible: Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let [pictures, per_picture, width] = patches.dims();
    let [captions, tokens, _] = words.dims();
    let patches = patches.reshape([pictures * per_picture, width]);
    let words = words.reshape([captions * tokens, width]);
    let similarity =
        patches.matmul(words.transpose()).reshape([pictures, per_picture, captions, tokens]);

    // Cosines are at least -1: no padding is ever the best word.
    let hidden: Tensor<4> = (visible.clone().neg() + 1.0).reshape([1, 1, captions, tokens]) * 4.0;
    let best_word = (similarity.clone() - hidden).max_dim(3);
    let by_patches = best_word.mean_dim(1).reshape([pictures, captions]);

    let best_patch = similarity.max_dim(1).reshape([pictures, captions, tokens]);
    let counts = visible.clone().sum_dim(1).reshape([1, captions]);
    let visible = visible.reshape([1, captions, tokens]);
    let by_words = (best_patch * visible).sum_dim(2).reshape([pictures, captions]) / counts;
    (by_patches, by_words)
}

/// InfoNCE: each picture finds its caption by its patches, each caption its picture by its words
/// (Yao et al. 2022, equation 3). Both are matrices over the temperature, pictures down and
/// captions across.
///
/// # Shapes
///
/// - `by_patches`, `by_words`: `[batch, batch]`
/// - output: `[1]`
pub fn filip_loss(by_patches: Tensor<2>, by_words: Tensor<2>) -> Tensor<1> {
    let [batch, _] = by_patches.dims();
    let own = Tensor::<1, Int>::arange(0..batch as i64, &by_patches.device());
    (cross_entropy(by_patches, own.clone()) + cross_entropy(by_words.transpose(), own)) / 2.0
}

/// The objective. Patches and words go through the projections of the shared space, which the class
/// tokens of ITC have, too, and have its temperature. The picture's class token is left out; a caption's first and last
/// token count as words.
pub struct Filip(pub FilipConfig);

impl Objective for Filip {
    fn name(&self) -> &'static str {
        "filip"
    }

    fn weight(&self) -> f64 {
        self.0.weight
    }

    fn compute(&self, views: &mut Views) -> Loss {
        let (image, text) = (views.image(ImageView::Clean), views.text(TextView::Clean));
        let batch = views.batch();
        let ([_, special_and_patches, _], [pairs, tokens, _]) = (image.dims(), text.dims());
        let patches = batch.image_mask.patches();
        let image = image.narrow(1, special_and_patches - patches, patches);
        let visible = batch.padding.bias().equal_elem(0.0).float().reshape([pairs, tokens]);

        let [of_image, of_text] = views.projections();
        let (by_patches, by_words) =
            token_similarities(unit_rows(of_image, image), unit_rows(of_text, text), visible);
        let temperature = views.temperature().unsqueeze_dim::<2>(0);
        let (by_patches, by_words) = (by_patches / temperature.clone(), by_words / temperature);
        let sum = by_patches.clone().inner() + by_words.clone().inner();
        Loss {
            name: self.name(),
            figures: vec![("filip_accuracy", diagonal_accuracy(sum))],
            value: filip_loss(by_patches, by_words),
        }
    }
}

/// Each token's point on the unit sphere of the shared space.
fn unit_rows(projection: &Linear, tokens: Tensor<3>) -> Tensor<3> {
    let [batch, count, width] = tokens.dims();
    let projected = l2_normalize(projection.forward(tokens.reshape([batch * count, width])));
    let [_, width] = projected.dims();
    projected.reshape([batch, count, width])
}
