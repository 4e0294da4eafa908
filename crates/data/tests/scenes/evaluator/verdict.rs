//! What the facts say of a sentence, and how that is joined.

use Verdict::{False, Open, True, Vague};

/// What the facts say of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    True,
    False,
    /// No picture tells.
    Open,
    /// One cannot say: such a sentence must not be used.
    Vague,
}

pub fn verdict(truth: bool) -> Verdict {
    if truth { True } else { False }
}

/// Kleene's "and": one false is enough, whatever the others are.
pub fn every(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut result = True;
    for verdict in verdicts {
        result = match (result, verdict) {
            (False, _) | (_, False) => False,
            (Vague, _) | (_, Vague) => Vague,
            (Open, _) | (_, Open) => Open,
            _ => True,
        };
    }
    result
}

pub fn opposite(verdict: Verdict) -> Verdict {
    match verdict {
        True => False,
        False => True,
        other => other,
    }
}

pub fn some(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    opposite(every(verdicts.into_iter().map(opposite)))
}
