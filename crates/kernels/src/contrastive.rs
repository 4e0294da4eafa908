//! The contrastive loss of two sets of embeddings.

#[cfg(feature = "flex")]
pub mod extension;

use burn::tensor::{Int, Tensor};

use crate::cross_entropy;

/// `(CE(s, i) + CE(s^T, i)) / 2` with `s_ij = image_i . text_j / temperature` (Radford et al. 2021,
/// figure 3): each image finds its text among all texts, and each text its image.
///
/// Where it is fused, the similarities never stand in memory at once.
///
/// # Shapes
///
/// - `image`, `text`: `[n, width]`; row `i` of one belongs to row `i` of the other
/// - `temperature` and output: `[1]`
///
/// # Panics
///
/// Without pairs: their mean is not defined.
pub fn contrastive(image: Tensor<2>, text: Tensor<2>, temperature: Tensor<1>) -> Tensor<1> {
    assert!(image.dims()[0] > 0, "the contrastive loss of no pairs is not defined");
    assert_eq!(image.dims(), text.dims(), "the shapes of the embeddings");
    assert_eq!(temperature.dims(), [1], "the shape of the temperature");
    #[cfg(feature = "flex")]
    {
        use crate::flex::takes;
        use burn::backend::Dispatch;
        use extension::ContrastiveOps;

        let [image, text, temperature] =
            [image.into_dispatch(), text.into_dispatch(), temperature.into_dispatch()];
        if [&image, &text, &temperature].into_iter().all(takes) {
            let (loss, _) = Dispatch::contrastive_forward(image, text, temperature);
            return Tensor::from_dispatch(loss);
        }
        let [image, text] = [image, text].map(Tensor::from_dispatch);
        composed(image, text, Tensor::from_dispatch(temperature))
    }
    #[cfg(not(feature = "flex"))]
    composed(image, text, temperature)
}

/// As [`contrastive`], from the similarities over the temperature.
///
/// # Shapes
///
/// - `similarity`: `[n, n]`, images down and texts across
/// - output: `[1]`
pub fn contrastive_of_similarity(similarity: Tensor<2>) -> Tensor<1> {
    let [n, _] = similarity.dims();
    let own = Tensor::<1, Int>::arange(0..n as i64, &similarity.device());
    let image_to_text = cross_entropy(similarity.clone(), own.clone());
    let text_to_image = cross_entropy(similarity.transpose(), own);
    (image_to_text + text_to_image) / 2.0
}

fn composed(image: Tensor<2>, text: Tensor<2>, temperature: Tensor<1>) -> Tensor<1> {
    contrastive_of_similarity(image.matmul(text.transpose()) / temperature.unsqueeze_dim::<2>(0))
}
