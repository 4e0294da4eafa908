//! The image encoder: a vision transformer over patches, some of which may be masked, or over a
//! detector's regions.

pub mod image_size;
pub mod patch_embedding;
pub mod patch_mask;
pub mod positions;
pub mod vit;

pub use image_size::ImageSize;
pub use patch_mask::PatchMask;
pub use positions::{Grid, Resampling};
pub use vit::{MaskMode, RegionsConfig, Vit, VitConfig};
