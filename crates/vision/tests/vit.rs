//! The vision transformer's patches and masks.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use weft_nn::init::seeded;
use weft_nn::{NormPosition, TransformerConfig};
use weft_vision::patch_embedding::PatchEmbedding;
use weft_vision::{MaskMode, PatchMask, RegionsConfig, Vit, VitConfig};

fn config(mask_mode: MaskMode) -> VitConfig {
    let transformer = TransformerConfig::new(8, 2, 2, NormPosition::Pre);
    VitConfig { mask_mode, ..VitConfig::new(12, 4, transformer) }
}

fn vit(mask_mode: MaskMode) -> Vit {
    seeded(config(mask_mode).init(&Device::flex()), 1, 0.3)
}

fn images(batch: usize) -> Tensor<4> {
    Tensor::random([batch, 3, 12, 12], Distribution::Default, &Device::flex())
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn largest_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn mask(rows: &[[u8; 9]]) -> PatchMask {
    let mask = rows.iter().flatten().map(|m| *m == 1).collect();
    PatchMask::new(mask, rows.len(), 9).unwrap()
}

#[test]
fn patch_embedding_is_a_convolution() {
    let device = Device::flex();
    let embedding = seeded(PatchEmbedding::new(4, 3, 8, true, &device), 1, 0.3);
    let images = images(2);
    let found = embedding.forward(embedding.patches(images.clone()));
    let weight = embedding.projection.weight.val().transpose().reshape([8, 3, 4, 4]);
    let bias = embedding.projection.bias.as_ref().map(|bias| bias.val());
    let options = ConvOptions::new([4, 4], [0, 0], [1, 1], 1);
    let expected = conv2d(images, weight, bias, options).flatten::<3>(2, 3).swap_dims(1, 2);
    assert!(largest_difference(found, expected) < 1e-5);
}

#[test]
fn a_mask_without_masked_patches_changes_nothing() {
    let none = mask(&[[0; 9], [0; 9]]);
    for mode in [MaskMode::Token, MaskMode::Drop] {
        let (vit, images) = (vit(mode), images(2));
        let difference =
            largest_difference(vit.forward(images.clone()), vit.forward_masked(images, &none));
        assert!(difference < 1e-5, "{mode:?}: {difference}");
    }
}

#[test]
fn the_pixels_of_masked_patches_do_not_matter() {
    let masked = mask(&[[0, 1, 1, 0, 0, 1, 1, 0, 1]]);
    for mode in [MaskMode::Token, MaskMode::Drop] {
        let (vit, images) = (vit(mode), images(1));
        // Patch 1 covers columns 4 to 8 of rows 0 to 4.
        let changed = images
            .clone()
            .slice_assign([0..1, 0..3, 0..4, 4..8], Tensor::ones([1, 3, 4, 4], &Device::flex()));
        let before = vit.forward_masked(images.clone(), &masked);
        let after = vit.forward_masked(changed.clone(), &masked);
        assert_eq!(values(before), values(after), "{mode:?}");
        let difference = largest_difference(vit.forward(images), vit.forward(changed));
        assert!(difference > 1e-3, "unmasked, the patch must matter");
    }
}

#[test]
fn dropped_patches_return_as_token_and_position() {
    let vit = vit(MaskMode::Drop);
    let rows = [[0, 1, 1, 0, 0, 1, 1, 0, 1], [1, 0, 0, 1, 1, 0, 1, 1, 0]];
    let output = vit.forward_masked(images(2), &mask(&rows));
    assert_eq!(output.dims(), [2, 10, 8]);
    let token = vit.mask_token.val();
    for (picture, row) in rows.iter().enumerate() {
        for (patch, masked) in row.iter().enumerate() {
            let found = output.clone().slice([picture..picture + 1, patch + 1..patch + 2]);
            let position = vit.position_embedding.val().narrow(1, patch + 1, 1);
            let difference = largest_difference(found, token.clone() + position);
            assert_eq!(*masked == 1, difference < 1e-6, "picture {picture} patch {patch}");
        }
    }
}

#[test]
fn a_dropped_picture_is_encoded_as_its_visible_patches_alone() {
    // The visible outputs of one picture do not depend on the others of its batch.
    let vit = vit(MaskMode::Drop);
    let rows = [[0, 1, 1, 0, 0, 1, 1, 0, 1], [1, 0, 0, 1, 1, 0, 1, 1, 0]];
    let images = images(2);
    let both = vit.forward_masked(images.clone(), &mask(&rows));
    for picture in 0..2 {
        let one = vit
            .forward_masked(images.clone().narrow(0, picture, 1), &mask(&rows[picture..=picture]));
        assert!(largest_difference(one, both.clone().narrow(0, picture, 1)) < 1e-5);
    }
}

#[test]
fn uneven_masks_are_refused() {
    let error = PatchMask::new(vec![true, false, true, true], 2, 2).unwrap_err();
    assert!(error.to_string().contains("picture 1 has 2 masked patches"), "{error}");
    let error = PatchMask::new(vec![true; 5], 2, 2).unwrap_err();
    assert!(error.to_string().contains("5 values for 2 x 2"), "{error}");
}

#[test]
fn impossible_sizes_are_refused() {
    let mut bad = config(MaskMode::Token);
    bad.patch_size = 5;
    assert!(bad.validate().unwrap_err().to_string().contains("not a multiple of patch_size 5"));
    let mut bad = config(MaskMode::Token);
    bad.transformer.heads = 3;
    assert!(bad.validate().unwrap_err().to_string().contains("heads 3"));
}

fn of_regions() -> Vit {
    let regions = Some(RegionsConfig { features: 7, most: 4 });
    let config = VitConfig { regions, ..config(MaskMode::Token) };
    config.validate().unwrap();
    seeded(config.init(&Device::flex()), 1, 0.3)
}

/// `count` regions of two pictures, and empty places up to `most`.
fn regions(count: usize, most: usize) -> Tensor<4> {
    let numbers = (0..2 * count * 7).map(|i| ((i * 31 + 7) % 17) as f32 / 8.0 - 1.0);
    let data = TensorData::new(numbers.collect::<Vec<_>>(), [2, 1, count, 7]);
    let there = Tensor::<4>::from_data(data, &Device::flex());
    Tensor::cat(vec![there, Tensor::zeros([2, 1, most - count, 7], &Device::flex())], 2)
}

#[test]
fn places_without_a_region_do_not_matter() {
    let vit = of_regions();
    let (whole, padded) = (vit.forward(regions(2, 2)), vit.forward(regions(2, 4)));
    assert_eq!(padded.dims(), [2, 1 + 4, 8]);
    assert!(largest_difference(whole, padded.narrow(1, 0, 3)) < 1e-5);
    assert!(vit.padding(&regions(2, 4)).is_some());
}

#[test]
fn regions_stand_in_no_order() {
    let vit = of_regions();
    let (forth, back) = (regions(4, 4), regions(4, 4).flip([2]));
    let (forth, back) = (vit.forward(forth), vit.forward(back));
    assert!(largest_difference(forth.clone().narrow(1, 0, 1), back.clone().narrow(1, 0, 1)) < 1e-5);
    let flipped = back.narrow(1, 1, 4).flip([1]);
    assert!(largest_difference(forth.narrow(1, 1, 4), flipped) < 1e-5);
}
