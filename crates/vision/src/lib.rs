//! The image encoder: a vision transformer over patches, some of which may be masked.

pub mod patch_embedding;
pub mod patch_mask;
pub mod vit;

pub use patch_mask::PatchMask;
pub use vit::{MaskMode, Vit, VitConfig};
