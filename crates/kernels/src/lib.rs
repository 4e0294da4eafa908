//! Tensor operations that every encoder of weft goes through.
//!
//! Each operation stands in a file of its own with its equation and shapes. They are composed of
//! Burn's operations, so they run and differentiate on every backend. On Flex, Burn's CPU backend,
//! those that cost most are fused, and some of them on Burn's CubeCL backends: see `flex` and `cube`,
//! behind the features of these names.

pub mod adamw;
pub mod attention;
pub mod contrastive;
pub mod cross_entropy;
#[cfg(feature = "cube")]
pub mod cube;
pub mod embedding;
#[cfg(feature = "flex")]
pub mod flex;
pub mod fused;
pub mod gelu;
pub mod layer_norm;
pub mod linear;
pub mod linear_cross_entropy;
pub mod mean;
pub mod normalize;
pub mod square_sum;

pub use adamw::{AdamWUpdate, Follower, Moments, Updated, adamw, follow};
pub use attention::{attention, attention_with_weights};
pub use contrastive::{contrastive, contrastive_of_similarity};
pub use cross_entropy::{cross_entropy, cross_entropy_soft};
pub use embedding::embedding;
pub use fused::{fused, set_fused};
pub use gelu::gelu;
pub use layer_norm::{layer_norm, residual_layer_norm, standardize};
pub use linear::{linear, linear_gelu};
pub use linear_cross_entropy::{LinearCrossEntropy, linear_cross_entropy};
pub use mean::mean;
pub use normalize::l2_normalize;
pub use square_sum::square_sum;
