//! Memory of this process.

/// The largest resident set so far, in MiB; 0 where the system does not tell.
pub fn peak_rss_mib() -> u64 {
    #[cfg(unix)]
    {
        // SAFETY: getrusage fills the struct it is given and does nothing else.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            if libc::getrusage(libc::RUSAGE_SELF, &mut usage) != 0 {
                return 0;
            }
            usage
        };
        // Kibibytes on Linux, bytes on Apple's systems.
        let unit = if cfg!(target_vendor = "apple") { 1 << 20 } else { 1 << 10 };
        usage.ru_maxrss as u64 / unit
    }
    #[cfg(not(unix))]
    0
}
