//! Fusion encoders: where image and text meet, layer by layer.
//!
//! - [`joint`]: self-attention over patches and words together (MAMO)
//! - [`co_attention`]: two streams that attend to one another (METER), and their
//!   [connections](connection) to other layers, a file each: [`bridge`] (BridgeTower), [`manager`]
//!   (ManagerTower), and [`gate`], [`level_sum`], [`level_concat`], our readings of UNIMO-3
//!
//! A text encoder whose blocks have cross-attention to the picture (ALBEF, BLIP) is
//! `weft_text::TextEncoder` with a `memory_width`.

pub mod attend;
pub mod bridge;
pub mod co_attention;
pub mod config;
pub mod connection;
pub mod fused;
pub mod gate;
pub mod joint;
pub mod level_concat;
pub mod level_sum;
pub mod links;
pub mod manager;
pub mod mixture;

pub use bridge::Bridge;
pub use co_attention::{CoAttentionConfig, CoAttentionFusion, LayerReadings, Streams};
pub use config::{FusionConfig, FusionKind};
pub use connection::{ConnectionConfig, ConnectionKind, Direction, Granularity, Sources};
pub use fused::{Fused, Levels, Part};
pub use gate::CrossLayerGate;
pub use joint::{ClassToken, JointFusion, JointFusionConfig};
pub use level_concat::LevelConcat;
pub use level_sum::LevelSum;
pub use links::Links;
pub use manager::Manager;
pub use mixture::Reading;
