//! Builds the `weft` binary for a backend and becomes it.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    backend::{self, Backend},
    run,
};

/// Builds `weft` for the backend that `args` name and runs `weft COMMAND ARGS`.
pub fn build_and_run(command: &str, args: &[OsString]) -> Result<u8> {
    let backend = backend::select(args)?;
    eprintln!(
        "xtask: building weft for backend {} (the first time takes some minutes)",
        backend.feature()
    );
    run::become_it(weft(backend, command, args))
}

// `cargo run` becomes the program once it is built, so no process stands between it and the shell.
fn weft(backend: Backend, command: &str, args: &[OsString]) -> Command {
    let mut cargo = run::cargo();
    cargo
        .args(["run", "--release", "--package", "weft-cli", "--bin", "weft"])
        .args(["--no-default-features", "--features", backend.feature()])
        .args(["--", command])
        .args(args);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_is_a_feature_and_the_arguments_are_passed_on() {
        let args = ["--backend=cuda", "--steps", "3"].map(OsString::from);
        let command = weft(Backend::Cuda, "train", &args);
        let line: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        let line = line.join(" ");
        assert!(line.contains("--no-default-features --features cuda -- "), "{line}");
        assert!(line.ends_with(" -- train --backend=cuda --steps 3"), "{line}");
    }
}
