//! Reading and writing weights files, and files that lie.
//!
//! The fixtures are written by `tests/parity/generate_weights.py` in the workspace's root.

mod common;
mod mutations;
mod onnx;
mod pickle;
mod safetensors;
mod sharded;
mod torch;
mod write;
