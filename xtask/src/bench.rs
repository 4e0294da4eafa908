//! `cargo xtask bench`: the benchmarks; `cargo xtask bench peer`: weft and PyTorch side by side;
//! `cargo xtask bench growth`: how time and memory grow with the size of a step.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{run, test};

pub fn run(args: &[OsString]) -> Result<u8> {
    match args.split_first() {
        Some((first, rest)) if first == "peer" => run::become_it(peer("drive", rest)),
        Some((first, rest)) if first == "growth" => run::become_it(peer("growth", rest)),
        _ => run::wait(benches(args)),
    }
}

/// A command of the program that runs both sides: it needs Burn, so it is one of its own.
fn peer(command: &str, args: &[OsString]) -> Command {
    let mut cargo = run::cargo();
    cargo.args(["run", "--release", "--package", "weft-peer", "--", command]).args(args);
    cargo
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

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn line(args: &str) -> String {
        shown(&benches(&words(args)))
    }

    fn shown(command: &Command) -> String {
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

    #[test]
    fn peer_passes_its_options_on() {
        let line = shown(&peer("drive", &words("--only a,d --rounds 9")));
        assert_eq!(line, "run --release --package weft-peer -- drive --only a,d --rounds 9");
    }
}
