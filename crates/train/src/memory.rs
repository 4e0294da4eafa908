//! How this process gets its memory.

/// Tells the C library to keep memory that is freed, and to hand it out again.
///
/// A training step allocates and frees the same gigabytes again and again. glibc gives large blocks
/// back to the system at once, which then clears every page anew. No other allocator was better on
/// both counts: docs/benchmarks.md compares time and memory. Elsewhere this does nothing.
///
/// To be called first of all: what was allocated before is not affected.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let settings = [
            // No block is mapped on its own, and none that is free at the end is given back.
            (libc::M_MMAP_MAX, 0),
            (libc::M_TRIM_THRESHOLD, -1),
            // Threads that compute share one heap: what one frees another can use.
            (libc::M_ARENA_MAX, 1),
        ];
        for (parameter, value) in settings {
            // SAFETY: mallopt takes any pair of integers, and refuses what it does not know.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}
