//! The switch between fused kernels and operations composed of Burn's.

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(any(feature = "flex", feature = "cube"))]
use burn::backend::DispatchTensor;

static FUSED: AtomicBool = AtomicBool::new(true);

/// Turns the fused kernels of the whole process on or off. They are on until this is called. Both
/// ways compute the same functions; results differ by rounding alone.
pub fn set_fused(on: bool) {
    FUSED.store(on, Ordering::Relaxed);
}

/// Whether fused kernels are used where a backend has them.
pub fn fused() -> bool {
    FUSED.load(Ordering::Relaxed)
}

/// Whether fused kernels of either kind take a tensor.
#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) fn takes(tensor: &DispatchTensor) -> bool {
    #[cfg(feature = "cube")]
    if crate::cube::takes(tensor) {
        return true;
    }
    #[cfg(feature = "flex")]
    if crate::flex::takes(tensor) {
        return true;
    }
    false
}
