//! Weights files of others, in and out, as named arrays in host memory.
//!
//! [`Weights::open`] reads safetensors files, `torch.save` files, sharded sets of either and
//! Hugging Face folders; [`write()`] writes a safetensors file; [`onnx`] reads the initialisers of an
//! ONNX model.
//!
//! Files are untrusted. No code in them is run, no allocation is sized by a number that was not
//! held against the length of the file, and a file that lies is an error naming the file and,
//! where it is known, the tensor.

mod array;
mod cursor;
mod dtype;
mod error;
mod mapped;
pub mod onnx;
mod protobuf;
mod safetensors;
mod sharded;
mod torch;
mod unique;
mod weights;
mod write;

pub use array::{Array, Data};
pub use error::WeightsError;
pub use weights::Weights;
pub use write::write;
