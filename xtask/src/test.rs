//! `cargo xtask test`: the whole test suite, or the part of it that the arguments select.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::run;

/// Runs the tests and then the doc tests. Arguments go to the test runner; as they nearly always
/// narrow the run, doc tests are left out then.
pub fn run(args: &[OsString]) -> Result<u8> {
    if !has_nextest() {
        eprintln!("xtask: cargo-nextest is not installed; running `cargo test`");
    }
    let code = run::wait(tests(args))?;
    if code != 0 {
        return Ok(code);
    }
    if !args.is_empty() {
        eprintln!("xtask: doc tests left out, as arguments select tests");
        return Ok(code);
    }
    run::wait(doc_tests())
}

/// All tests but the doc tests: with cargo-nextest if it is there, else with `cargo test`.
pub fn tests(args: &[OsString]) -> Command {
    let mut cargo = run::cargo();
    if has_nextest() {
        cargo.args(["nextest", "run"]);
    } else {
        // `--tests` leaves out the doc tests, which are a step of their own.
        cargo.args(["test", "--tests"]);
    }
    cargo.args(scope(args)).args(args);
    cargo
}

pub fn doc_tests() -> Command {
    let mut cargo = run::cargo();
    cargo.args(["test", "--workspace", "--doc"]);
    cargo
}

pub fn has_nextest() -> bool {
    let mut cargo = run::cargo();
    cargo.args(["nextest", "--version"]);
    run::succeeds(cargo)
}

/// `--workspace`, unless the arguments choose packages themselves: cargo would ignore their choice.
pub fn scope(args: &[OsString]) -> Option<&'static str> {
    let chooses = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        matches!(&*arg, "--package" | "--workspace" | "--all")
            || arg.starts_with("--package=")
            || (arg.starts_with("-p") && !arg.starts_with("--"))
    };
    let mut options = args.iter().take_while(|arg| *arg != "--");
    (!options.any(chooses)).then_some("--workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(line: &str) -> Option<&'static str> {
        scope(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_whole_workspace_unless_packages_are_chosen() {
        for line in ["", "attention", "--no-fail-fast", "--profile ci", "a -- -p"] {
            assert_eq!(scoped(line), Some("--workspace"), "{line}");
        }
        for line in ["-p weft-nn", "-pweft-nn", "x --package weft-nn", "--workspace"] {
            assert_eq!(scoped(line), None, "{line}");
        }
    }
}
