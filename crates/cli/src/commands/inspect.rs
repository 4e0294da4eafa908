//! `weft inspect`: what a trained model does inside.

use std::process::ExitCode;

use anyhow::Result;
use weft_data::error::Ledger;
use weft_train::inference::{Gates, WordGates};

use super::source::{DataArgs, ModelArgs};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// How much each layer of a co-attention encoder uses each level of the other modality (managers:
    /// of its own), and for which words.
    Gates(GatesArgs),
}

#[derive(clap::Args)]
struct GatesArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    data: DataArgs,
    /// The split that is looked at.
    #[arg(long, default_value = "val")]
    split: String,
    /// Words that occur less often are left out.
    #[arg(long, default_value_t = 20)]
    often: usize,
    /// Words shown of each layer, from both ends.
    #[arg(long, default_value_t = 8)]
    words: usize,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let What::Gates(args) = args.what;
    let (_, model) = args.model.load()?;
    let dataset = args.data.open(&model.recipe)?;
    let mut ledger = Ledger::default();
    let gates = model.gates(dataset.split(&args.split)?, args.often, &mut ledger)?;
    ledger.check(model.recipe.data.bad_budget, dataset.total())?;
    for gates in gates {
        println!("{}", shown(&gates, args.words));
    }
    if ledger.total() > 0 {
        eprintln!("pictures that could not be read:\n{ledger}");
    }
    Ok(ExitCode::SUCCESS)
}

/// One layer of one stream, with bars.
fn shown(gates: &Gates, words: usize) -> String {
    let mut text = format!("layer {}, {} stream\n", gates.layer, gates.stream);
    let width = gates.levels.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(8);
    if let Some(share) = gates.in_layer {
        text += &format!("  {:<width$}  {share:>6.3}  {}\n", "in-layer", bar(share));
    }
    for (name, weight) in &gates.levels {
        text += &format!("  {name:<width$}  {weight:>6.3}  {}\n", bar(*weight));
    }
    text + &shown_words(gates, words)
}

/// The words for which the layer stays most in itself, or reaches highest, and those for which it does
/// least, each with how much of every level is used for it.
fn shown_words(gates: &Gates, words: usize) -> String {
    let mut sorted: Vec<&WordGates> = gates.words.iter().collect();
    if sorted.is_empty() {
        return String::new();
    }
    sorted.sort_by(|a, b| height(b).total_cmp(&height(a)).then(a.word.cmp(&b.word)));
    let what = if gates.in_layer.is_some() { "in-layer share" } else { "mean level" };
    let names: Vec<&str> = gates.levels.iter().map(|(name, _)| name.as_str()).collect();
    let list = |words: &[&WordGates]| -> String { words.iter().map(|word| line(word)).collect() };
    let few = words.min(sorted.len());
    let lowest: Vec<&WordGates> = sorted.iter().rev().take(few).copied().collect();
    format!(
        "  words with the highest {what}, and what is used of {}:\n{}  with the lowest:\n{}",
        names.join(", "),
        list(&sorted[..few]),
        list(&lowest)
    )
}

/// A word, its height, and each of its levels.
fn line(word: &WordGates) -> String {
    let levels: String = word.levels.iter().map(|level| format!("  {level:.3}")).collect();
    format!("    {:<16} {:>6.3} {levels}\n", word.word, height(word))
}

/// The in-layer share, or where between the lowest level (0) and the highest (levels - 1) the weights
/// lie.
fn height(word: &WordGates) -> f64 {
    word.in_layer.unwrap_or_else(|| {
        let total: f64 = word.levels.iter().sum();
        let sum: f64 = word.levels.iter().enumerate().map(|(at, w)| at as f64 * w).sum();
        if total > 0.0 { sum / total } else { 0.0 }
    })
}

/// Forty characters are 1.
fn bar(share: f64) -> String {
    "\u{2588}".repeat((share.clamp(0.0, 1.0) * 40.0).round() as usize)
}
