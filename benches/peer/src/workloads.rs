//! Weft's side of each workload.

pub mod base;
pub mod data;
mod dual;
pub mod embed;
pub mod encoder;
pub mod mamo;
mod quick;
pub mod rerank;
pub mod topk;
