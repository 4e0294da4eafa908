//! The text encoder.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_nn::init::seeded;
use weft_nn::{AttentionMask, NormPosition, TransformerConfig};
use weft_text::{TextEncoder, TextEncoderConfig};

fn encoder(norm: NormPosition) -> TextEncoder {
    let transformer = TransformerConfig::new(8, 2, 2, norm);
    let config = TextEncoderConfig::new(6, transformer);
    config.validate().unwrap();
    seeded(config.init(20, &Device::flex()), 1, 0.3)
}

fn encode(encoder: &TextEncoder, ids: &[i32], padded_from: usize) -> Vec<f32> {
    let device = Device::flex();
    let count = ids.len();
    let mask: Vec<bool> = (0..count).map(|i| i >= padded_from).collect();
    let padding = AttentionMask::padding(Tensor::<2, Bool>::from_data(
        TensorData::new(mask, [1, count]),
        &device,
    ));
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [1, count]), &device);
    encoder.forward(ids, &padding).into_data().iter::<f32>().collect()
}

#[test]
fn padding_changes_nothing_but_its_own_outputs() {
    for norm in [NormPosition::Post, NormPosition::Pre] {
        let encoder = encoder(norm);
        let short = encode(&encoder, &[2, 7, 3], 3);
        let long = encode(&encoder, &[2, 7, 3, 0, 0], 3);
        let other = encode(&encoder, &[2, 7, 3, 9, 11], 3);
        for (i, value) in short.iter().enumerate() {
            assert!((value - long[i]).abs() < 1e-6);
            assert!((value - other[i]).abs() < 1e-6);
        }
    }
}

#[test]
fn order_matters() {
    let encoder = encoder(NormPosition::Post);
    assert_ne!(encode(&encoder, &[2, 7, 8, 3], 4)[..8], encode(&encoder, &[2, 8, 7, 3], 4)[..8]);
}

#[test]
fn too_few_tokens_are_refused() {
    let transformer = TransformerConfig::new(8, 1, 2, NormPosition::Post);
    let mut config = TextEncoderConfig::new(2, transformer);
    assert!(config.validate().unwrap_err().to_string().contains("max_tokens 2"));
    config.max_tokens = 3;
    config.transformer.dropout = 1.0;
    assert!(config.validate().unwrap_err().to_string().contains("dropout 1"));
}
