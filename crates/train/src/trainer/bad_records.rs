//! The file of a run that names the records that could not be used.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use weft_data::error::Ledger;

use crate::run_dir::write_atomically;

/// It is written whole: written at each bad record, a large set with many of them would be all that a run does.
const EVERY: Duration = Duration::from_secs(30);

/// `bad-records.json`.
pub(super) struct BadRecords {
    path: PathBuf,
    /// How many records it holds, as far as this process has written it.
    written: usize,
    at: Option<Instant>,
}

impl BadRecords {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written: 0, at: None }
    }

    /// Writes `ledger` if it has grown, the first time at once and then at most twice a minute.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write_now_and_then(&mut self, ledger: &Ledger) -> Result<()> {
        if self.at.is_some_and(|at| at.elapsed() < EVERY) { Ok(()) } else { self.write(ledger) }
    }

    /// Writes `ledger` if it has grown.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write(&mut self, ledger: &Ledger) -> Result<()> {
        let total = ledger.total();
        if total == self.written {
            return Ok(());
        }
        write_atomically(&self.path, &serde_json::to_vec_pretty(ledger)?)?;
        (self.written, self.at) = (total, Some(Instant::now()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use weft_data::error::{BadRecord, Cause};

    use super::*;

    #[test]
    fn many_bad_records_are_few_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad-records.json");
        let mut file = BadRecords::new(path.clone());
        let on_disk = || {
            let text = std::fs::read_to_string(&path).unwrap();
            serde_json::from_str::<Ledger>(&text).unwrap().total()
        };
        let mut ledger = Ledger::default();
        file.write(&ledger).unwrap();
        assert!(!path.exists());
        for record in 0..1000 {
            let origin = format!("record-{record}");
            let bad = BadRecord { cause: Cause::BrokenPicture, origin, detail: "".into() };
            ledger.record(bad);
            file.write_now_and_then(&ledger).unwrap();
        }
        // Nobody counts to a thousand for half a minute.
        assert_eq!(on_disk(), 1);
        file.write(&ledger).unwrap();
        assert_eq!(on_disk(), 1000);
        // What is there already is not written again.
        std::fs::remove_file(&path).unwrap();
        file.write(&ledger).unwrap();
        assert!(!path.exists());
    }
}
