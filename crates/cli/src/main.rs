//! The `weft` program: a thin layer of arguments over the libraries.

mod backend;
mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    ablate, data, doctor, embed, eval, export, import, inspect, search, study, table, tag, train,
    verify,
};

/// With the commit that the program was made of (build.rs).
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("WEFT_COMMIT"), ")");

/// Vision-language pre-training.
#[derive(Parser)]
#[command(name = "weft", version = VERSION)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model from a recipe.
    Train(train::Args),
    /// Measure a trained model on held-out pictures.
    Eval(eval::Args),
    /// Train and evaluate a recipe and its tasks over several seeds.
    Study(study::Args),
    /// Compare variants of a recipe over the same seeds.
    Ablate(ablate::Args),
    /// Put evaluations of several seeds into one table.
    Table(table::Args),
    /// Find pictures for a sentence.
    Search(search::Args),
    /// Write embeddings of pictures and captions.
    Embed(embed::Args),
    /// Name what is in pictures, as tags for another model to learn from.
    Tag(tag::Args),
    /// Read published weights and say what of them weft uses.
    Import(import::Args),
    /// Write a trained model as folders that the reference library and weft load.
    Export(export::Args),
    /// Look at what a trained model does inside.
    Inspect(inspect::Args),
    /// Hold a finished run to what its recipe expects.
    Verify(verify::Args),
    /// Describe a data set: its splits, captions and bad records; or fetch published weights.
    Data(data::Args),
    /// Tell what is there and what is missing: backends, devices, threads, memory.
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    weft_train::memory::keep_freed_memory();
    let command = Cli::parse().command;
    if !matches!(command, Command::Train(_)) {
        end_with_the_reader();
    }
    // On a thread of the pool itself: a thread outside it would sleep through every parallel
    // operation and be woken after it, thousands of times a step.
    match rayon::scope(|_| run(command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets `weft search ... | head` end quietly once its reader has enough, as other programs do, where
/// Rust would panic. Not for training, which must not end because nobody reads on.
fn end_with_the_reader() {
    #[cfg(unix)]
    // SAFETY: called before any other thread exists; it sets the default action of one signal.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Study(args) => study::run(args),
        Command::Ablate(args) => ablate::run(args),
        Command::Table(args) => table::run(args),
        Command::Search(args) => search::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Tag(args) => tag::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Data(args) => data::run(args),
        Command::Doctor(args) => doctor::run(args),
    }
}
