//! The workloads: one table, one file each beneath `workloads`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use burn::tensor::Device;

use crate::exchange::Exchange;
use crate::protocol::Check;
use crate::workloads::{base, data, embed, encoder, mamo, rerank, topk};

/// What a workload is set up with.
pub struct Context {
    pub device: Device,
    pub threads: usize,
    /// `None`: nobody reads weights and inputs.
    pub exchange: Option<Exchange>,
    pub pictures: Option<PathBuf>,
    pub fused: bool,
    /// Of the workload `encoder`.
    pub encoder: encoder::Sizes,
}

/// What is to be known of a workload once it has taken its first step.
pub struct Facts {
    /// What [`Workload::step`] counts.
    pub unit: &'static str,
    pub parameters: Option<usize>,
    pub check: Check,
    pub notes: Vec<String>,
}

/// Something that is done over and over.
pub trait Workload {
    fn facts(&self) -> Facts;

    /// Does it once; returns how many units of work that was.
    fn step(&mut self) -> Result<f64>;

    /// Before a round, not timed.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// After a round, not timed: returns when nothing computes any more.
    fn settle(&mut self) {}
}

/// A line of the table.
pub struct Entry {
    /// The letter that `--only` takes for the group.
    pub letter: char,
    /// The name of both workers. PyTorch's module has the name up to the first dash.
    pub name: &'static str,
    pub summary: &'static str,
    /// Ways of PyTorch's side, of which the fastest counts.
    pub variants: &'static [&'static str],
    /// The least ratio that weft is to reach.
    pub goal: f64,
    pub setup: fn(&Context) -> Result<Box<dyn Workload>>,
}

const COMPILED: &[&str] = &["eager", "compile"];

pub const WORKLOADS: &[Entry] = &[
    Entry {
        letter: 'a',
        name: "encoder",
        summary: "6 blocks of width 384, 16 x 197 tokens: training step",
        variants: COMPILED,
        goal: 1.0,
        setup: encoder::setup,
    },
    Entry {
        letter: 'b',
        name: "mamo",
        summary: "recipe quick, batch 32: whole training step",
        variants: COMPILED,
        goal: 1.0,
        setup: mamo::setup,
    },
    Entry {
        letter: 'd',
        name: "base",
        summary: "ViT-B/16 and BERT-base, batch 4: contrastive training step",
        variants: COMPILED,
        goal: 1.0,
        setup: base::setup,
    },
    Entry {
        letter: 'e',
        name: "embed-image-1",
        summary: "ViT-B/16, batch 1: inference",
        variants: COMPILED,
        goal: 1.2,
        setup: |context| embed::image(context, 1),
    },
    Entry {
        letter: 'e',
        name: "embed-image-32",
        summary: "ViT-B/16, batch 32: inference",
        variants: COMPILED,
        goal: 1.2,
        setup: |context| embed::image(context, 32),
    },
    Entry {
        letter: 'e',
        name: "embed-text-1",
        summary: "BERT-base, 32 tokens, batch 1: inference",
        variants: COMPILED,
        goal: 1.2,
        setup: |context| embed::text(context, 1),
    },
    Entry {
        letter: 'e',
        name: "embed-text-32",
        summary: "BERT-base, 32 tokens, batch 32: inference",
        variants: COMPILED,
        goal: 1.2,
        setup: |context| embed::text(context, 32),
    },
    Entry {
        letter: 'f',
        name: "data",
        summary: "JPEG 640 x 480, crop to 224, flip, RandAugment(2, 7), normalise",
        variants: &["pillow-v1", "pillow-v2", "tensor-v2"],
        goal: 3.0,
        setup: data::setup,
    },
    Entry {
        letter: 'g',
        name: "topk",
        summary: "exact top 10 of 5,000 x 25,000 x 256",
        variants: &["whole", "chunk-250", "chunk-1000"],
        goal: 1.0,
        setup: topk::setup,
    },
    Entry {
        letter: 'g',
        name: "rerank",
        summary: "1,000 x 64 pairs by the fusion encoder of quick",
        variants: COMPILED,
        goal: 1.0,
        setup: rerank::setup,
    },
];

/// The workload of that name.
pub fn find(name: &str) -> Result<&'static Entry> {
    WORKLOADS
        .iter()
        .find(|entry| entry.name == name)
        .with_context(|| format!("no workload {name:?}: they are {}", names()))
}

/// The workloads that `only` chooses, by letter or name, in the table's order; all without it.
///
/// # Errors
///
/// When a word chooses none.
pub fn select(only: &[String]) -> Result<Vec<&'static Entry>> {
    let chosen = |entry: &Entry, word: &str| word == entry.name || word == entry.letter.to_string();
    for word in only {
        WORKLOADS
            .iter()
            .find(|entry| chosen(entry, word))
            .with_context(|| format!("--only {word}: no such workload; they are {}", names()))?;
    }
    let wanted = |entry: &&Entry| only.is_empty() || only.iter().any(|word| chosen(entry, word));
    Ok(WORKLOADS.iter().filter(wanted).collect())
}

fn names() -> String {
    let names: Vec<_> = WORKLOADS.iter().map(|w| format!("{} ({})", w.name, w.letter)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(only: &str) -> Result<Vec<&'static str>> {
        let words: Vec<String> = only.split_whitespace().map(Into::into).collect();
        Ok(select(&words)?.into_iter().map(|entry| entry.name).collect())
    }

    #[test]
    fn names_are_unique() {
        for (index, entry) in WORKLOADS.iter().enumerate() {
            assert!(WORKLOADS[..index].iter().all(|other| other.name != entry.name));
            assert!(!entry.variants.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn a_letter_or_a_name_chooses() {
        assert_eq!(selected("").unwrap().len(), WORKLOADS.len());
        assert_eq!(selected("a").unwrap(), ["encoder"]);
        assert_eq!(selected("encoder a").unwrap(), ["encoder"]);
        let error = selected("a zebra").unwrap_err().to_string();
        assert!(error.contains("zebra") && error.contains("encoder (a)"), "{error}");
    }
}
