//! From a host batch to a device batch.

use burn::tensor::Device;
use weft_data::batch::Batch;
use weft_nn::ConfigError;
use weft_objectives::PairBatch;
use weft_objectives::batch::HostPairs;

/// Copies a batch to the device.
pub fn to_device(batch: &Batch, device: &Device) -> Result<PairBatch, ConfigError> {
    let pairs = HostPairs {
        images: &batch.images,
        image_size: batch.image_size,
        image_mask: &batch.image_mask,
        ids: &batch.ids,
        masked_ids: &batch.masked_ids,
        padding: &batch.padding,
        text_mask: &batch.text_mask,
        captions: &batch.captions,
    };
    PairBatch::new(&pairs, device)
}
