//! `cargo xtask doctor`: is everything there to build and run `weft`? It looks before the long
//! build starts; `weft doctor` then opens the device.

use std::{env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    backend::{self, Backend},
    run, test, weft,
};

const MINIMUM_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// One line of the report.
struct Finding {
    state: State,
    subject: &'static str,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Missing, and nothing works without it.
    Missing,
    /// Missing or worth knowing, but not in the way.
    Note,
}

impl Finding {
    /// Good with what was found, or `otherwise` with what to do.
    fn from(
        subject: &'static str,
        found: Option<String>,
        otherwise: State,
        advice: impl Into<String>,
    ) -> Self {
        match found {
            Some(detail) => Self { state: State::Good, subject, detail },
            None => Self { state: otherwise, subject, detail: advice.into() },
        }
    }

    fn print(&self) {
        let state = match self.state {
            State::Good => "ok",
            State::Missing => "MISSING",
            State::Note => "note",
        };
        println!("{state:<8} {:<14} {}", self.subject, self.detail);
    }
}

pub fn run(command: &str, args: &[OsString]) -> Result<u8> {
    let backend = backend::select(args)?;
    let mut findings = vec![rust(), c_compiler(), nextest()];
    if backend == Backend::Cuda {
        findings.extend([cuda_driver(), cuda_toolkit(), llvm()]);
    }
    findings.iter().for_each(Finding::print);
    if findings.iter().any(|finding| finding.state == State::Missing) {
        return Ok(1);
    }
    weft::build_and_run(command, args)
}

fn rust() -> Finding {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("--version");
    let found = run::first_line(rustc)
        .filter(|line| line.split_whitespace().nth(1).and_then(version) >= version(MINIMUM_RUST));
    let advice = format!("install Rust {MINIMUM_RUST} or newer: `rustup update stable`");
    Finding::from("rustc", found, State::Missing, advice)
}

/// Major and minor number of `1.95` or `1.95.0-nightly`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn c_compiler() -> Finding {
    if cfg!(windows) {
        // There the linker comes with the Rust toolchain's own requirements.
        let detail = "not checked on Windows".to_string();
        return Finding { state: State::Note, subject: "C compiler", detail };
    }
    let mut cc = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.arg("--version");
    let advice = "install a C compiler named `cc` (package gcc or clang; Xcode tools on macOS)";
    Finding::from("C compiler", run::first_line(cc), State::Missing, advice)
}

fn nextest() -> Finding {
    let found = test::has_nextest().then(|| "tests run in parallel".to_string());
    let advice = "optional, `cargo xtask test` falls back to `cargo test`; \
                  `cargo install cargo-nextest --locked`";
    Finding::from("cargo-nextest", found, State::Note, advice)
}

fn cuda_driver() -> Finding {
    let mut smi = Command::new("nvidia-smi");
    smi.args(["--query-gpu=name,driver_version", "--format=csv,noheader"]);
    let found = run::first_line(smi).filter(|line| !line.is_empty());
    let advice = "no NVIDIA GPU answers `nvidia-smi`: install the driver, or use --backend cpu";
    Finding::from("CUDA driver", found, State::Missing, advice)
}

/// The toolkit is needed at run time: kernels are compiled against its headers with NVRTC.
fn cuda_toolkit() -> Finding {
    let root = match env::var_os("CUDA_PATH") {
        Some(path) => vec![PathBuf::from(path)],
        // Where CubeCL looks when the variable is not set.
        None => ["/usr/local/cuda", "/opt/cuda", "/usr"].map(PathBuf::from).to_vec(),
    };
    let found = root.into_iter().find(|root| root.join("include/cuda_fp16.h").exists());
    let advice = "no CUDA headers: install the CUDA toolkit and set CUDA_PATH to its folder";
    let found = found.map(|root| root.display().to_string());
    Finding::from("CUDA toolkit", found, State::Missing, advice)
}

fn llvm() -> Finding {
    let detail = "the first build for cuda downloads a prebuilt LLVM (needs the network)";
    Finding { state: State::Note, subject: "LLVM", detail: detail.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version("1.95"), Some((1, 95)));
        assert_eq!(version("1.96.0-nightly"), Some((1, 96)));
        assert!(version("1.100.0") > version("1.95.0"));
        assert!(version("2.0.0") > version("1.95.0"));
        assert_eq!(version("rustc"), None);
        assert!(version(MINIMUM_RUST).is_some(), "rust-version of the workspace");
    }

    #[test]
    fn what_is_not_found_carries_its_advice() {
        let finding = Finding::from("thing", None, State::Missing, "install it");
        assert!(finding.state == State::Missing && finding.detail == "install it");
        let finding = Finding::from("thing", Some("1.2".into()), State::Missing, "install it");
        assert!(finding.state == State::Good && finding.detail == "1.2");
    }
}
