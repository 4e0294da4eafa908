//! Fusion encoders: where image and text meet, layer by layer.
//!
//! - [`joint`]: self-attention over patches and words together (MAMO)
//! - [`co_attention`]: two streams that attend to one another (METER), with [bridges](bridge) from
//!   the encoders' layers (BridgeTower)
//!
//! A text encoder whose blocks have cross-attention to the picture (ALBEF, BLIP) is
//! `weft_text::TextEncoder` with a `memory_width`.

pub mod bridge;
pub mod co_attention;
pub mod joint;

pub use bridge::{Bridge, BridgeKind};
pub use co_attention::{CoAttentionConfig, CoAttentionFusion, Streams};
pub use joint::{ClassToken, Fused, JointFusion, JointFusionConfig};
