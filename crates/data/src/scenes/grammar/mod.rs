//! Sentences about scenes: phrases, claims with their truth, captions.

pub mod caption;
pub mod claim;
pub mod describe;
pub mod phrase;
pub mod propose;
pub mod words;
pub mod writer;
