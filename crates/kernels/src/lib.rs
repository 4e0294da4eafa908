//! Tensor operations that every encoder of weft goes through.
//!
//! Each operation stands in a file of its own with its equation and shapes. They are composed of
//! Burn's operations, so they run and differentiate on every backend; a backend that has something
//! faster replaces the body here and nothing above changes.

pub mod attention;
pub mod cross_entropy;
pub mod layer_norm;
pub mod mean;
pub mod normalize;

pub use attention::{Attended, attention};
pub use cross_entropy::{cross_entropy, cross_entropy_soft};
pub use layer_norm::standardize;
pub use mean::mean;
pub use normalize::l2_normalize;
