//! Where PyTorch is.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has torch.
pub struct Torch {
    python: PathBuf,
    pub version: String,
}

impl Torch {
    /// Asks `python` for torch's version; the error is one line that says what is missing.
    pub fn find(python: &Path) -> Result<Self, String> {
        let shown = python.display();
        let output = Command::new(python)
            .args(["-c", "import torch, safetensors; print(torch.__version__)"])
            .output()
            .map_err(|error| format!("{shown} cannot be run ({error})"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it says nothing").to_string();
            return Err(format!("{shown} has no torch ({last})"));
        }
        let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
        Ok(Self { python: python.to_path_buf(), version })
    }

    /// The command of a worker without its arguments.
    pub fn worker(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join("worker.py");
        let mut command = Command::new(&self.python);
        command.arg(script);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_one_line() {
        let error = Torch::find(Path::new("no-such-python")).err().unwrap();
        assert!(error.contains("no-such-python cannot be run"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_python_without_torch_is_named() {
        let error = Torch::find(Path::new("false")).err().unwrap();
        assert!(error.contains("false has no torch"), "{error}");
    }
}
