//! Statements about two pictures: accuracy and consistency (NLVR2; Suhr et al., ACL 2019, section
//! 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::EvalError;

/// A statement's group, whether it is true, and what the model says.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Shared by the statements with the same sentence.
    pub group: &'a str,
    pub label: bool,
    pub prediction: bool,
}

/// Accuracy and consistency, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Number of statements.
    pub n: usize,
    /// Share of the statements that are judged rightly.
    pub accuracy: f64,
    /// Number of groups.
    pub groups: usize,
    /// Share of the groups of which every statement is judged rightly.
    pub consistency: f64,
}

/// Accuracy and consistency of judgements.
///
/// # Errors
/// No judgements.
pub fn pairs<'a>(judged: impl IntoIterator<Item = Judged<'a>>) -> Result<Pairs, EvalError> {
    let (mut n, mut right) = (0, 0);
    let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
    for Judged { group, label, prediction } in judged {
        let is_right = label == prediction;
        n += 1;
        right += usize::from(is_right);
        *groups.entry(group).or_insert(true) &= is_right;
    }
    if n == 0 {
        return Err(EvalError::NoExamples);
    }
    let consistent = groups.values().filter(|is_right| **is_right).count();
    Ok(Pairs {
        n,
        accuracy: 100.0 * right as f64 / n as f64,
        groups: groups.len(),
        consistency: 100.0 * consistent as f64 / groups.len() as f64,
    })
}
