//! Starting programs: by waiting for them, or by becoming them.

use std::{
    env,
    fmt::Write,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

/// The cargo that runs this launcher, so that a toolchain chosen with `cargo +NAME` stays chosen.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end and returns its exit code.
pub fn wait(mut command: Command) -> Result<u8> {
    let status = command.status().with_context(|| format!("cannot run `{}`", shown(&command)))?;
    Ok(exit_code(status))
}

/// Replaces this process by the program, so that it gets every signal and its exit code counts.
#[cfg(unix)]
pub fn become_it(mut command: Command) -> Result<u8> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run `{}`", shown(&command)))
}

/// Windows cannot replace a process: wait, and leave the reaction to Ctrl-C to the program, which
/// gets it from the console too.
#[cfg(not(unix))]
pub fn become_it(command: Command) -> Result<u8> {
    ctrlc::set_handler(|| {}).context("cannot set a handler for Ctrl-C")?;
    wait(command)
}

/// Whether a program is there and says so: used for `PROGRAM --version`.
pub fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// The first line a program prints, or `None` if it is missing or fails.
pub fn first_line(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_string())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy();
        // Writing to a String cannot fail.
        let _ = write!(line, "{}='{value}' ", name.to_string_lossy());
    }
    let program = command.get_program().to_string_lossy();
    let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program());
    line.push_str(if is_cargo { "cargo" } else { &program });
    for arg in command.get_args().map(|arg| arg.to_string_lossy()) {
        let quote = if arg.is_empty() || arg.contains(char::is_whitespace) { "'" } else { "" };
        let _ = write!(line, " {quote}{arg}{quote}");
    }
    line
}

/// A process that a signal ended has no exit code; shells report 128 + signal.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    // Windows codes have 32 bits; what does not fit must still not become a success.
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_typed() {
        let mut command = Command::new("program");
        command.args(["doc", "--cfg", "a b"]).env("FLAGS", "-D warnings");
        assert_eq!(shown(&command), "FLAGS='-D warnings' program doc --cfg 'a b'");
    }

    #[cfg(unix)]
    #[test]
    fn exit_codes_pass_through() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(wait(shell("exit 0")).unwrap(), 0);
        assert_eq!(wait(shell("exit 3")).unwrap(), 3);
        assert_eq!(wait(shell("kill -TERM $$")).unwrap(), 143);
        assert!(succeeds(shell("exit 0")) && !succeeds(shell("exit 1")));
        assert_eq!(first_line(shell("echo one; echo two")).as_deref(), Some("one"));
        assert_eq!(first_line(shell("echo one; exit 1")), None);
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = wait(Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
        assert!(!succeeds(Command::new("no-such-program")));
    }
}
