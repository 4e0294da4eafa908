//! Memory of this process, as Linux tells it.

/// The largest resident set since the start or the last [`reset_peak`], in MiB; 0 where the system
/// does not tell.
pub fn peak_rss_mib() -> f64 {
    mib("VmHWM:")
}

/// The resident set, in MiB; 0 where the system does not tell.
pub fn rss_mib() -> f64 {
    mib("VmRSS:")
}

fn mib(figure: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse(&status, figure).map_or(0.0, |kib| kib / 1024.0)
}

/// Forgets the peak so far, where the system can.
pub fn reset_peak() {
    // A system without it reports the peak since the start; that is still true, so no error.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn parse(status: &str, figure: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(figure))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(parse(status, "VmHWM:"), Some(2048.0));
        assert_eq!(parse(status, "VmRSS:"), Some(1.0));
        assert_eq!(parse("Name:\tx\n", "VmHWM:"), None);
    }
}
