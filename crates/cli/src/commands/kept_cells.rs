//! What the runs of a grid gave, kept beside its table, so that nobody needs the runs to check it or go on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use weft_data::lock;
use weft_eval::TaskResult;
use weft_train::checkpoint::UNKNOWN_COMMIT;
use weft_train::report::Summary;
use weft_train::run_dir::{with_ending, write_atomically};

/// What one variant gave with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub variant: String,
    pub seed: u64,
    /// SHA-256 of all recipes behind it.
    pub recipes: String,
    /// Of the program that made or collected the cell, `+` where its sources were changed since. Where another one
    /// trained its runs, both, as `A and B (collected at C)`.
    pub commit: String,
    /// What its runs took.
    pub seconds: f64,
    pub results: Vec<TaskResult>,
}

/// What a cell of these runs says of the programs behind it, when that of the commit `own` collects it. Where no run
/// knows who trained it, this is `own` alone: it made or collected the cell.
pub fn commits(runs: &[Summary], own: &str) -> String {
    let known = runs.iter().flat_map(|run| &run.commits).map(String::as_str);
    let mut trained: BTreeSet<&str> = known.collect();
    if trained.is_empty() {
        return own.into();
    }
    if runs.iter().any(|run| run.commits.is_empty()) {
        trained.insert(UNKNOWN_COMMIT);
    }
    let trained = Vec::from_iter(trained).join(" and ");
    if trained == own { trained } else { format!("{trained} (collected at {own})") }
}

/// The cells of a grid in a JSON file, if there is one.
pub struct KeptCells {
    path: Option<PathBuf>,
    cells: Vec<Cell>,
}

impl KeptCells {
    /// The cells in `path`; none where there is no such file.
    ///
    /// # Errors
    ///
    /// When the file is not one of cells.
    pub fn open(path: Option<PathBuf>) -> Result<Self> {
        let cells = path.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self { path, cells })
    }

    /// The cell of a variant with a seed.
    ///
    /// # Errors
    ///
    /// When there is one, but of other recipes.
    pub fn find(&self, variant: &str, seed: u64, recipes: &str) -> Result<Option<&Cell>> {
        let cell = self.cells.iter().find(|cell| cell.variant == variant && cell.seed == seed);
        let Some(cell) = cell else { return Ok(None) };
        ensure!(
            cell.recipes == recipes,
            "{} holds {variant:?} with seed {seed} of other recipes: the grid, or a recipe of it, has \
             changed since. Remove the cell or the file, or name another --table",
            self.path.as_deref().unwrap_or(Path::new("")).display()
        );
        Ok(Some(cell))
    }

    /// Adds a cell, in the place of one of the same variant and seed, and writes the file, with what another
    /// process has added since. Checkpoints are named from the current folder: the file is published, and where that folder lies belongs to one machine.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, mut cell: Cell) -> Result<()> {
        let here = std::env::current_dir()?;
        for result in &mut cell.results {
            if let Ok(path) = Path::new(&result.checkpoint).strip_prefix(&here) {
                result.checkpoint = path.display().to_string();
            }
        }
        let Some(path) = self.path.clone() else {
            self.put(cell);
            return Ok(());
        };
        let lock = with_ending(&path, "lock");
        let _lock = lock::hold(&lock).with_context(|| lock.display().to_string())?;
        self.cells = read(&path)?;
        self.put(cell);
        let text = serde_json::to_string_pretty(&self.cells)?;
        write_atomically(&path, format!("{text}\n").as_bytes())
    }

    fn put(&mut self, cell: Cell) {
        self.cells.retain(|other| (&other.variant, other.seed) != (&cell.variant, cell.seed));
        self.cells.push(cell);
        self.cells.sort_by_key(|cell| cell.seed);
    }
}

/// The cells in `path`.
fn read(path: &Path) -> Result<Vec<Cell>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}: expected the cells of a grid", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(variant: &str, seed: u64) -> Cell {
        Cell {
            variant: variant.into(),
            seed,
            recipes: "abc".into(),
            commit: "0".into(),
            seconds: 1.5,
            results: Vec::new(),
        }
    }

    #[test]
    fn what_is_added_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.json");
        let mut kept = KeptCells::open(Some(path.clone())).unwrap();
        kept.add(cell("a", 1)).unwrap();
        kept.add(cell("a", 0)).unwrap();
        let again = KeptCells::open(Some(path.clone())).unwrap();
        assert_eq!(again.find("a", 0, "abc").unwrap(), Some(&cell("a", 0)));
        assert_eq!(again.find("b", 0, "abc").unwrap(), None);
        // Made again, it takes the place of the other.
        kept.add(Cell { seconds: 2.5, ..cell("a", 1) }).unwrap();
        assert_eq!(kept.cells.len(), 2);
        assert_eq!(kept.find("a", 1, "abc").unwrap().unwrap().seconds, 2.5);
        let error = again.find("a", 1, "other").unwrap_err().to_string();
        assert!(error.contains("grid.json") && error.contains("seed 1"), "{error}");
        std::fs::write(&path, "{}").unwrap();
        assert!(KeptCells::open(Some(path)).is_err());
    }

    #[test]
    fn two_processes_add_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.json");
        let open = || KeptCells::open(Some(path.clone())).unwrap();
        let (mut one, mut other) = (open(), open());
        one.add(cell("a", 0)).unwrap();
        other.add(cell("a", 1)).unwrap();
        one.add(cell("b", 0)).unwrap();
        assert_eq!(open().cells, [cell("a", 0), cell("b", 0), cell("a", 1)]);
    }

    #[test]
    fn checkpoints_are_named_from_the_current_folder() {
        let here = std::env::current_dir().unwrap();
        let result = |checkpoint: &Path| TaskResult {
            task: "retrieval".into(),
            split: "test".into(),
            n: 1,
            metrics: [].into(),
            recipe: "quick".into(),
            checkpoint: checkpoint.display().to_string(),
            seed: 0,
            seconds: 1.0,
        };
        let results = vec![result(&here.join("runs/a")), result(Path::new("runs/b"))];
        let mut kept = KeptCells::open(None).unwrap();
        kept.add(Cell { results, ..cell("a", 0) }).unwrap();
        let named: Vec<&str> =
            kept.cells[0].results.iter().map(|result| &*result.checkpoint).collect();
        assert_eq!(named, ["runs/a", "runs/b"]);
    }

    #[test]
    fn a_cell_names_who_trained_it_and_who_collected_it() {
        let run = |commits: &str| -> Summary {
            let text = format!(
                r#"{{"recipe": "quick", "seed": 0, "steps": 1, "seconds": 1, "samples_per_second": 1,
                     "data_wait_fraction": 0, "peak_rss_mib": 1, "best": null, "chance": {{}},
                     "metrics": {{}}{commits}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let (a, b) = (run(r#", "commits": ["a"]"#), run(r#", "commits": ["b", "a"]"#));
        let silent = run("");
        let of =
            |runs: &[&Summary]| commits(&runs.iter().copied().cloned().collect::<Vec<_>>(), "a");
        assert_eq!(of(&[&a, &a]), "a");
        assert_eq!(of(&[&b]), "a and b (collected at a)");
        assert_eq!(of(&[&silent, &silent]), "a");
        assert_eq!(of(&[&silent, &a]), "a and unknown (collected at a)");
        assert!(!serde_json::to_string(&silent).unwrap().contains("commits"));
    }

    #[test]
    fn without_a_file_cells_are_kept_in_memory_alone() {
        let mut kept = KeptCells::open(None).unwrap();
        kept.add(cell("a", 0)).unwrap();
        assert_eq!(kept.cells, [cell("a", 0)]);
    }
}
