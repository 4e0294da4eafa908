//! The joint fusion encoder.

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use weft_fusion::{ClassToken, Fused, JointFusion, JointFusionConfig, Levels, Part};
use weft_nn::init::seeded;
use weft_nn::{AttentionMask, NormPosition, TransformerConfig};

fn fusion() -> JointFusion {
    fusion_from(ClassToken::Learned)
}

fn fusion_from(class_token: ClassToken) -> JointFusion {
    let transformer = TransformerConfig::new(8, 2, 2, NormPosition::Pre);
    seeded(JointFusionConfig { class_token, transformer }.init(6, 8, &Device::flex()), 1, 0.3)
}

fn random(shape: [usize; 3]) -> Tensor<3> {
    Tensor::random(shape, Distribution::Default, &Device::flex())
}

fn padding(rows: &[[u8; 4]]) -> AttentionMask {
    let mask: Vec<bool> = rows.iter().flatten().map(|p| *p == 1).collect();
    let mask = TensorData::new(mask, [rows.len(), 4]);
    AttentionMask::padding(Tensor::<2, Bool>::from_data(mask, &Device::flex()))
}

fn levels(output: Tensor<3>) -> Levels {
    Levels::new(vec![output])
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

#[test]
fn every_position_has_an_output() {
    let (image, text) = (levels(random([2, 1 + 5, 6])), levels(random([2, 4, 8])));
    let fused = fusion().forward(&image, &text, &padding(&[[0; 4], [0; 4]]));
    assert_eq!(fused.class.dims(), [2, 8]);
    assert_eq!(fused.image.dims(), [2, 5, 8]);
    assert_eq!(fused.text.dims(), [2, 4, 8]);
}

#[test]
fn only_what_the_widths_need_is_projected() {
    let fusion = fusion();
    assert!(fusion.image_projection.is_some());
    assert!(fusion.text_projection.is_none());
}

#[test]
fn a_part_is_that_of_the_whole() {
    let (image, text) = (levels(random([2, 6, 6])), levels(random([2, 4, 8])));
    let padding = padding(&[[0, 0, 0, 1], [0; 4]]);
    for (norm, class_token) in [
        (NormPosition::Pre, ClassToken::Image),
        (NormPosition::Post, ClassToken::Image),
        (NormPosition::Post, ClassToken::Text),
    ] {
        for depth in [1, 3] {
            let transformer = TransformerConfig::new(8, depth, 2, norm);
            let config = JointFusionConfig { class_token, transformer };
            let fusion = seeded(config.init(6, 8, &Device::flex()), 1, 0.3);
            let whole = fusion.forward(&image, &text, &padding);
            for part in [Part::Class, Part::Image, Part::Text] {
                let found = fusion.forward_part(&image, &text, &padding, part);
                let expected = whole.part(part);
                assert_eq!(found.dims(), expected.dims(), "{part:?}");
                let difference = (found - expected).abs().max().into_scalar::<f32>();
                assert!(difference < 1e-5, "{norm:?}, {depth} blocks, {part:?}: {difference}");
            }
        }
    }
}

#[test]
fn padded_words_do_not_matter_and_words_do() {
    let fusion = fusion();
    let (image, text) = (random([1, 6, 6]), random([1, 4, 8]));
    let changed = text.clone().slice_assign([0..1, 3..4, 0..8], random([1, 1, 8]) * 9.0);
    let class = |text: &Tensor<3>, padding: &AttentionMask| {
        values(fusion.forward(&levels(image.clone()), &levels(text.clone()), padding).class)
    };
    let padded = padding(&[[0, 0, 0, 1]]);
    assert_eq!(class(&text, &padded), class(&changed, &padded));
    let whole = padding(&[[0, 0, 0, 0]]);
    assert_ne!(class(&text, &whole), class(&changed, &whole));
}

#[test]
fn hidden_regions_do_not_matter() {
    let fusion = fusion();
    let (image, text) = (random([1, 6, 6]), levels(random([1, 4, 8])));
    let changed = image.clone().slice_assign([0..1, 5..6, 0..6], random([1, 1, 6]) * 9.0);
    let hidden = TensorData::new(vec![false, false, false, false, false, true], [1, 6]);
    let hidden = AttentionMask::padding(Tensor::<2, Bool>::from_data(hidden, &Device::flex()));
    let words = padding(&[[0, 0, 0, 1]]);
    let class = |image: &Tensor<3>, hidden: Option<AttentionMask>| {
        let image = levels(image.clone()).with_padding(hidden);
        values(fusion.forward(&image, &text, &words).class)
    };
    assert_eq!(class(&image, Some(hidden.clone())), class(&changed, Some(hidden)));
    assert_ne!(class(&image, None), class(&changed, None));
}

/// MVPTR: the transformer sees regions and words alone, and the class is the first word's tanh layer.
#[test]
fn the_class_can_be_the_first_words() {
    let fusion = fusion_from(ClassToken::Text);
    assert!(fusion.class_token.is_none());
    let (image, text) = (random([2, 6, 6]), random([2, 4, 8]));
    let hidden = [[false, false, false, false, true, true], [false; 6]].concat();
    let of_image = Tensor::<2, Bool>::from_data(TensorData::new(hidden, [2, 6]), &Device::flex());
    let (of_image, of_text) = (AttentionMask::padding(of_image), padding(&[[0, 0, 0, 1], [0; 4]]));
    let seen = levels(image.clone()).with_padding(Some(of_image.clone()));
    let fused = fusion.forward(&seen, &levels(text.clone()), &of_text);

    // Position by position: the image's first token is left out, and no other is put in its place.
    let regions = fusion.image_projection.as_ref().unwrap().forward(image.narrow(1, 1, 5));
    let mask = AttentionMask::from_bias(of_image.bias().narrow(3, 1, 5)).before(&of_text);
    let states = fusion.stack.forward(Tensor::cat(vec![regions, text], 1), Some(&mask));
    assert_eq!(values(fused.image), values(states.clone().narrow(1, 0, 5)));
    assert_eq!(values(fused.text), values(states.clone().narrow(1, 5, 4)));
    let first = states.narrow(1, 5, 1).reshape([2, 8]);
    let expected = fusion.pooler.as_ref().unwrap().dense.forward(first).tanh();
    assert_eq!(values(fused.class), values(expected));
}

#[test]
fn the_image_encoders_class_token_is_used_only_where_asked() {
    let (image, text) = (random([1, 6, 6]), random([1, 4, 8]));
    let changed = image.clone().slice_assign([0..1, 0..1, 0..6], random([1, 1, 6]) * 9.0);
    let padding = padding(&[[0; 4]]);
    let class = |from, image: &Tensor<3>| {
        let image = levels(image.clone());
        values(fusion_from(from).forward(&image, &levels(text.clone()), &padding).class)
    };
    assert_eq!(class(ClassToken::Learned, &image), class(ClassToken::Learned, &changed));
    assert_ne!(class(ClassToken::Image, &image), class(ClassToken::Image, &changed));
}

#[test]
fn weights_are_of_words_on_patches() {
    let fusion = fusion();
    let (image, text) = (levels(random([2, 6, 6])), levels(random([2, 4, 8])));
    let padding = padding(&[[0, 0, 0, 1], [0; 4]]);
    let (fused, weights) = fusion.forward_with_weights(&image, &text, &padding);
    assert_eq!(weights.len(), 2);
    assert_eq!(weights[0].dims(), [2, 2, 4, 5]);
    // Part of a row that sums to 1 over [CLS], patches and words.
    for row in values(weights[1].clone()).chunks(5) {
        let sum: f32 = row.iter().sum();
        assert!(row.iter().all(|w| *w > 0.0) && sum < 1.0, "{row:?}");
    }
    let without = fusion.forward(&image, &text, &padding);
    let difference = (fused.class - without.class).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn grad_cam_is_zero_where_nothing_depends_and_of_each_pair_alone() {
    let fusion = fusion();
    let (image, text) = (random([2, 6, 6]), random([2, 4, 8]));
    let padding = padding(&[[0; 4], [0; 4]]);
    let first = |fused: Fused| {
        let [batch, _] = fused.class.dims();
        fused.class.narrow(1, 0, 1).reshape([batch])
    };
    let cam = |score: &dyn Fn(Fused) -> Tensor<1>, image: &Tensor<3>| {
        fusion.grad_cam(&levels(image.clone()), &levels(text.clone()), &padding, 0, score)
    };
    let both = cam(&first, &image);
    assert_eq!(both.dims(), [2, 4, 5]);
    assert!(values(both.clone()).iter().all(|x| *x >= 0.0));
    assert!(values(both.clone()).iter().any(|x| *x > 1e-6));
    assert!(values(cam(&|fused| first(fused) * 0.0, &image)).iter().all(|x| *x == 0.0));
    // Another second picture leaves the first pair's map as it is.
    let changed = image.clone().slice_assign([1..2, 0..6, 0..6], random([1, 6, 6]));
    let changed = cam(&first, &changed);
    let pair = |x: &Tensor<3>, at| values(x.clone().narrow(0, at, 1));
    assert_eq!(pair(&both, 0), pair(&changed, 0));
    assert_ne!(pair(&both, 1), pair(&changed, 1));
}
