//! The switch between fused kernels and operations composed of Burn's.

use std::sync::atomic::{AtomicBool, Ordering};

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
