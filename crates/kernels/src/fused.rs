//! The switch between fused kernels and operations composed of Burn's.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(any(feature = "flex", feature = "cube"))]
use burn::backend::DispatchTensor;

/// Set to 0, this environment variable turns the fused kernels off before the first operation.
pub const VARIABLE: &str = "WEFT_FUSED";

static FUSED: LazyLock<AtomicBool> =
    LazyLock::new(|| AtomicBool::new(std::env::var(VARIABLE).as_deref() != Ok("0")));

/// Turns the fused kernels of the whole process on or off. Both ways compute the same functions;
/// results differ by rounding alone.
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
