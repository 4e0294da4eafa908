//! Indices on a device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// `rows` as a tensor that `select` takes, `[rows]`.
pub fn indices(rows: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.into_iter().map(|row| row as i32).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}
