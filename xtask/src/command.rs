//! The commands of `cargo xtask` and the reading of its command line.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::backend::{self, Backend};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Build `weft` and run its command of the same name.
    Weft,
    /// Check the toolchain, then as [`Action::Weft`].
    Doctor,
    Test,
    Bench,
    Ci,
    Help,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    pub action: Action,
    usage: &'static str,
    summary: &'static str,
}

const fn entry(
    name: &'static str,
    action: Action,
    usage: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, action, usage, summary }
}

const COMMANDS: [Command; 18] = [
    entry("train", Action::Weft, "train [ARGS]", "train a model from a recipe"),
    entry("eval", Action::Weft, "eval [ARGS]", "measure a trained model on a task"),
    entry("search", Action::Weft, "search [ARGS]", "find pictures for a sentence"),
    entry("study", Action::Weft, "study [ARGS]", "train and evaluate over several seeds"),
    entry("ablate", Action::Weft, "ablate NAME [ARGS]", "compare variants of a recipe over seeds"),
    entry("table", Action::Weft, "table FILES", "put evaluations of several seeds into a table"),
    entry("embed", Action::Weft, "embed [ARGS]", "write embeddings of pictures and texts"),
    entry("tag", Action::Weft, "tag [ARGS]", "tags for pictures, by a trained model"),
    entry("inspect", Action::Weft, "inspect gates [ARGS]", "what a trained model does inside"),
    entry(
        "verify",
        Action::Weft,
        "verify [ARGS]",
        "hold a finished run to its recipe's [expected]",
    ),
    entry("data", Action::Weft, "data [ARGS]", "inspect a data set, or get published weights"),
    entry("import", Action::Weft, "import PATH", "read published weights"),
    entry("export", Action::Weft, "export [ARGS]", "write a model for other libraries"),
    entry("doctor", Action::Doctor, "doctor [ARGS]", "check toolchain, drivers and device"),
    entry("test", Action::Test, "test [ARGS]", "run all tests; ARGS select among them"),
    entry(
        "bench",
        Action::Bench,
        "bench [ARGS]",
        "run the benchmarks; `bench peer`: beside PyTorch",
    ),
    entry("ci", Action::Ci, "ci", "format, lints, tests, documentation: all that must pass"),
    entry("help", Action::Help, "help", "show this list"),
];

/// A command and the arguments that are meant for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    pub command: &'static Command,
    pub args: Vec<OsString>,
}

/// Finds the command: the first argument that is not the `--backend` option, which may stand
/// before it. All other arguments are kept, in their order.
pub fn parse(mut args: Vec<OsString>) -> Result<Invocation> {
    let mut position = 0;
    while let Some(width) = args.get(position).and_then(|arg| backend::option_width(arg)) {
        position += width;
    }
    let name = if position < args.len() {
        args.remove(position).to_string_lossy().into_owned()
    } else {
        "help".to_string()
    };
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { name.as_str() };

    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => Ok(Invocation { command, args }),
        None => bail!("{}", unknown(name)),
    }
}

/// The list of commands, one line each.
pub fn help() -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND [ARGS]\n\nCommands:\n");
    for Command { usage, summary, .. } in &COMMANDS {
        text.push_str(&format!("  {usage:<15} {summary}\n"));
    }
    let backends = Backend::names();
    text.push_str(&format!(
        "\nAll but test, bench, ci and help build `weft` first and pass ARGS on to it;\n\
         `cargo xtask train --help` lists them. `--backend {backends}` chooses what to build for\n\
         (default: {}).\n",
        Backend::default().feature(),
    ));
    text
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    let hint = names
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(String::new(), |(_, known)| format!(" (did you mean `{known}`?)"));
    format!("no command `{name}`{hint}; the commands are {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(&'static str, String)> {
        let invocation = parse(line.split_whitespace().map(OsString::from).collect())?;
        let args: Vec<_> = invocation.args.iter().map(|arg| arg.to_string_lossy()).collect();
        Ok((invocation.command.name, args.join(" ")))
    }

    #[test]
    fn the_backend_may_stand_anywhere() {
        for (line, args) in [
            ("train --steps 3", "--steps 3"),
            ("train --steps 3 --backend cuda", "--steps 3 --backend cuda"),
            ("--backend cuda train --steps 3", "--backend cuda --steps 3"),
            ("--backend=cuda train --steps 3", "--backend=cuda --steps 3"),
        ] {
            assert_eq!(parsed(line).unwrap(), ("train", args.to_string()), "{line}");
        }
    }

    #[test]
    fn help_has_four_spellings() {
        for line in ["", "help", "-h", "--help"] {
            assert_eq!(parsed(line).unwrap().0, "help", "{line:?}");
        }
        assert_eq!(parsed("train --help").unwrap(), ("train", "--help".to_string()));
    }

    #[test]
    fn an_unknown_command_names_the_nearest_and_all() {
        let error = parsed("trian").unwrap_err().to_string();
        assert!(error.contains("did you mean `train`?"), "{error}");
        assert!(error.contains("train, eval, search"), "{error}");

        let error = parsed("qqq").unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn a_backend_without_a_command_is_a_request_for_help() {
        assert_eq!(parsed("--backend cuda").unwrap().0, "help");
    }

    #[test]
    fn help_lists_every_command() {
        let help = help();
        for command in &COMMANDS {
            assert!(help.contains(&format!("  {}", command.usage)), "{}", command.name);
        }
    }
}
