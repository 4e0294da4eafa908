//! Tells the program which commit it was made of: tables name it.

use std::path::Path;
use std::process::Command;

/// What the program is compiled from, relative to this crate.
const SOURCES: [&str; 4] =
    ["../../crates", "../../datasets", "../../Cargo.toml", "../../Cargo.lock"];

fn main() {
    println!("cargo::rustc-env=WEFT_COMMIT={}", commit().unwrap_or_else(|| "unknown".into()));
    // A commit, or a change of the sources. (Cargo would run this at each build for a path that is not there.)
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    let log = log.iter().map(String::as_str).filter(|log| Path::new(log).exists());
    for path in SOURCES.into_iter().chain(log) {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// Nothing outside a repository, or where that is another one. `+` says that the sources differ from the commit.
fn commit() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    let changed = !git(&[&status[..], &SOURCES].concat())?.is_empty();
    Some(commit + if changed { "+" } else { "" })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}
