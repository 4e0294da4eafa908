//! `cargo xtask ci`: everything that must pass before a change is merged.

use std::{ffi::OsString, process::Command, time::Instant};

use anyhow::{Result, ensure};

use crate::{run, test};

struct Step {
    name: &'static str,
    command: Command,
}

/// Runs the steps in order and stops at the first that fails.
pub fn run(args: &[OsString]) -> Result<u8> {
    ensure!(args.is_empty(), "ci takes no arguments; a single step is a cargo command of its own");

    let start = Instant::now();
    let mut passed = Vec::new();
    for Step { name, command } in steps() {
        let line = run::shown(&command);
        eprintln!("\n=== {name}: {line}");
        let step_start = Instant::now();
        let code = run::wait(command)?;
        let seconds = step_start.elapsed().as_secs_f64();
        if code != 0 {
            eprintln!("=== {name} FAILED after {seconds:.1} s; to repeat it:\n    {line}");
            return Ok(code);
        }
        eprintln!("=== {name} passed in {seconds:.1} s");
        passed.push(format!("{name} {seconds:.1} s"));
    }
    eprintln!("\n=== ci passed in {:.1} s: {}", start.elapsed().as_secs_f64(), passed.join(", "));
    Ok(0)
}

// Cheap steps first. None of them changes RUSTFLAGS, features or the profile, so that each
// dependency is checked once (clippy, doc) and compiled once (tests, doc tests).
fn steps() -> Vec<Step> {
    let cargo = |args: &[&str]| {
        let mut cargo = run::cargo();
        cargo.args(args);
        cargo
    };
    let clippy = cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        Step { name: "format", command: cargo(&["fmt", "--all", "--check"]) },
        Step { name: "clippy", command: clippy },
        Step { name: "tests", command: test::tests(&[]) },
        Step { name: "tests of composed operations", command: composed_tests() },
        Step { name: "doc tests", command: test::doc_tests() },
        Step { name: "documentation", command: doc },
    ]
}

/// What must hold without the fused kernels, too: gradients, parity, learning, exact resume.
fn composed_tests() -> Command {
    const TESTS: [&str; 5] = ["gradients", "losses", "parity", "overfit", "resume"];
    let args: Vec<OsString> =
        TESTS.iter().flat_map(|name| ["--test".into(), OsString::from(name)]).collect();
    let mut command = test::tests(&args);
    command.env("WEFT_FUSED", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_changes_the_flags_of_the_compiler() {
        for Step { name, command } in steps() {
            let changed: Vec<_> = command.get_envs().map(|(variable, _)| variable).collect();
            // Neither is read by the compiler of the dependencies.
            let harmless = ["RUSTDOCFLAGS", "WEFT_FUSED"];
            assert!(
                changed.iter().all(|variable| harmless.iter().any(|h| variable == h)),
                "{name}"
            );
        }
    }
}
