//! `cargo xtask bench`: the benchmarks.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{run, test};

pub fn run(args: &[OsString]) -> Result<u8> {
    run::wait(benches(args))
}

// `--bench *` leaves out the unit tests, which cargo would run too and which know none of the
// options of a benchmark (`-- --save-baseline NAME`).
fn benches(args: &[OsString]) -> Command {
    let mut options = args.iter().take_while(|arg| *arg != "--");
    let chosen =
        options.any(|arg| arg == "--bench" || arg.to_string_lossy().starts_with("--bench="));
    let mut cargo = run::cargo();
    cargo.arg("bench").args(test::scope(args));
    if !chosen {
        cargo.args(["--bench", "*"]);
    }
    cargo.args(args);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &str) -> String {
        let command = benches(&args.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ")
    }

    #[test]
    fn all_benchmarks_unless_some_are_chosen() {
        assert_eq!(line(""), "bench --workspace --bench *");
        assert_eq!(line("-- --bench x"), "bench --workspace --bench * -- --bench x");
        assert_eq!(line("--bench attention"), "bench --workspace --bench attention");
        assert_eq!(line("-p weft-nn"), "bench --bench * -p weft-nn");
    }
}
