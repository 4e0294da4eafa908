//! Where a run stands.

use serde::{Deserialize, Serialize};
use weft_data::error::Ledger;

/// What stands for the commit of a program that does not say of what it was made.
pub const UNKNOWN_COMMIT: &str = "unknown";

/// Where a run stands, besides its tensors. Data position and all randomness follow from the step
/// and the recipe's seed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Seconds spent training, over all restarts.
    pub seconds: f64,
    /// Seconds of these spent waiting for data.
    pub data_wait: f64,
    /// Records that could not be used so far.
    pub ledger: Ledger,
    /// The best value so far of what the best checkpoint is chosen by, and its step.
    pub best: Option<Best>,
    /// Commits of the programs that took the steps, in order. Programs of before this was kept say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
}

impl Progress {
    /// Says that the program made of `commit` takes the next steps. Steps of which nobody said so are of an unknown
    /// one.
    pub fn taken_by(&mut self, commit: &str) {
        if self.step > 0 && self.commits.is_empty() {
            self.commits.push(UNKNOWN_COMMIT.into());
        }
        if !self.commits.iter().any(|known| known == commit) {
            self.commits.push(commit.into());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_which_programs_took_its_steps() {
        let mut progress = Progress::default();
        progress.taken_by("a");
        progress.step = 7;
        progress.taken_by("b");
        progress.taken_by("a");
        assert_eq!(progress.commits, ["a", "b"]);
        // One that was begun before that was kept.
        let mut old: Progress = serde_json::from_str(
            r#"{"step": 7, "seconds": 1, "data_wait": 0, "ledger": {"causes": {}, "seen": []}, "best": null}"#,
        )
        .unwrap();
        assert!(!serde_json::to_string(&old).unwrap().contains("commits"));
        old.taken_by("b");
        assert_eq!(old.commits, [UNKNOWN_COMMIT, "b"]);
    }
}
