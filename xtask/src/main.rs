//! `cargo xtask COMMAND`: the one launcher of the workspace.
//!
//! It does not depend on Burn, so it compiles in seconds; what needs Burn is built on demand, with
//! the cargo feature of the chosen backend.

mod backend;
mod bench;
mod ci;
mod command;
mod doctor;
mod run;
mod test;
mod weft;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use command::{Action, Invocation};

fn main() -> ExitCode {
    match dispatch(std::env::args_os().skip(1).collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(args: Vec<OsString>) -> Result<u8> {
    let Invocation { command, args } = command::parse(args)?;
    match command.action {
        Action::Weft => weft::build_and_run(command.name, &args),
        Action::Doctor => doctor::run(command.name, &args),
        Action::Test => test::run(&args),
        Action::Bench => bench::run(&args),
        Action::Ci => ci::run(&args),
        Action::Help => {
            print!("{}", command::help());
            Ok(0)
        }
    }
}
