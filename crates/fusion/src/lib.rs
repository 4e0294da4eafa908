//! Fusion encoders: where image and text meet, layer by layer.

pub mod joint;

pub use joint::{ClassToken, Fused, JointFusion, JointFusionConfig};
