//! Tensors of a published checkpoint, by our parameters' names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use weft_weights::{Array, Data, Weights};

use super::error::{PublishedError, listed};
use super::layout::{their_shape, to_ours};
use super::names::Names;

/// What became of the tensors of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Tensors that were taken.
    pub loaded: Vec<String>,
    /// Tensors that the model needs and the checkpoint lacks: they keep their initial values.
    pub missing: Vec<String>,
    /// Tensors that the model has no use for.
    pub unexpected: Vec<String>,
    /// Tensors that were taken in part or resampled, and how.
    pub reshaped: Vec<String>,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines = [
            ("loaded", &self.loaded),
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("reshaped", &self.reshaped),
        ];
        for (what, names) in lines {
            write!(f, "{what:<10} {:>4}", names.len())?;
            if what != "loaded" && !names.is_empty() {
                write!(f, "  {}", listed(names))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Coverage {
    /// An error where something is missing that `allowed` does not name.
    ///
    /// # Errors
    ///
    /// [`PublishedError::Missing`], with the names.
    pub fn complete(&self, path: &Path, allowed: &[String]) -> Result<(), PublishedError> {
        let missing: Vec<String> =
            self.missing.iter().filter(|name| !allowed.contains(name)).cloned().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(PublishedError::Missing { path: path.into(), missing }),
        }
    }
}

/// Parameters by our paths.
pub(super) type Values = BTreeMap<String, Array>;

/// Names that differ between versions of the reference, and what stands in front of a part of a
/// larger model.
pub(super) struct Dialect {
    /// What may stand in front of every name.
    pub prefixes: &'static [&'static str],
    /// Later spellings and the one that [`Names`] have.
    pub spellings: &'static [(&'static str, &'static str)],
    /// Parts of names of tensors without use: buffers, and parameters that no forward pass reads.
    pub ignored: &'static [&'static str],
}

/// A checkpoint whose tensors go by the names of [`Names`].
pub(super) struct Checkpoint<'a> {
    weights: &'a Weights,
    /// From our spelling to the file's.
    tensors: BTreeMap<String, String>,
}

impl<'a> Checkpoint<'a> {
    /// `probe` is a name that every model of the kind has: the first prefix behind which it is found
    /// is taken.
    pub fn new(weights: &'a Weights, dialect: &Dialect, probe: &str) -> Self {
        let names = weights.names();
        let spelt = |name: &str| canonical(name, dialect.spellings);
        let all: BTreeSet<String> = names.iter().map(|name| spelt(name)).collect();
        let prefix = dialect
            .prefixes
            .iter()
            .find(|prefix| all.contains(&spelt(&format!("{prefix}{probe}"))))
            .unwrap_or(&"");
        let mut tensors = BTreeMap::new();
        for name in names {
            // Heads stand beside what has the prefix.
            let inner = name.strip_prefix(prefix).unwrap_or(name);
            if !dialect.ignored.iter().any(|part| inner.contains(part)) {
                tensors.insert(spelt(inner), name.to_string());
            }
        }
        Self { weights, tensors }
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The first dimension of a tensor, which says how many outputs a layer has.
    pub fn rows(&self, name: &str) -> Result<usize, PublishedError> {
        let missing = || PublishedError::Missing {
            path: self.weights.path().into(),
            missing: vec![name.into()],
        };
        let shape = self.weights.shape(self.tensors.get(name).ok_or_else(missing)?)?;
        Ok(shape.first().copied().unwrap_or(1))
    }

    /// The values of our parameters, whose shapes are `shapes`, and what became of the file's.
    ///
    /// # Errors
    ///
    /// Where a tensor cannot be read or has another shape. What is missing stands in the coverage.
    pub fn read(
        &self,
        names: &Names,
        shapes: &BTreeMap<String, Vec<usize>>,
    ) -> Result<(Values, Coverage), PublishedError> {
        let mut values = BTreeMap::new();
        let mut coverage = Coverage::default();
        let mut used = BTreeSet::new();
        for entry in &names.entries {
            let Some(file_name) = self.tensors.get(&entry.theirs) else {
                coverage.missing.push(entry.theirs.clone());
                continue;
            };
            let shape = &shapes[&entry.ours];
            let expected = their_shape(entry, shape);
            let found = self.weights.shape(file_name)?;
            if found != expected {
                return Err(PublishedError::Shape {
                    path: self.weights.path().into(),
                    tensor: file_name.clone(),
                    expected,
                    found: found.into(),
                });
            }
            let theirs = self.weights.get(file_name)?.into_floats(file_name)?;
            let ours = Data::Float(to_ours(entry, &theirs, shape));
            values.insert(entry.ours.clone(), Array { shape: shape.clone(), data: ours });
            if used.insert(&entry.theirs) {
                coverage.loaded.push(file_name.clone());
            }
        }
        let known = |name: &String| used.contains(name) || names.unused.contains(name);
        let others = self.tensors.iter().filter(|(name, _)| !known(name));
        coverage.unexpected = others.map(|(_, name)| name.clone()).collect();
        coverage.missing.dedup();
        Ok((values, coverage))
    }
}

/// A name in the spelling of [`Names`].
pub(super) fn canonical(name: &str, spellings: &[(&str, &str)]) -> String {
    let mut name = name.to_string();
    for (later, ours) in spellings {
        match later.strip_prefix('^') {
            Some(start) if name.starts_with(start) => name = name.replacen(start, ours, 1),
            Some(_) => {}
            None => name = name.replace(later, ours),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_replaced_at_the_start_or_everywhere() {
        let spellings = [("^layers.", "encoder.layer."), (".fc1.", ".intermediate.dense.")];
        assert_eq!(
            canonical("layers.0.mlp.fc1.bias", &spellings),
            "encoder.layer.0.mlp.intermediate.dense.bias"
        );
        assert_eq!(canonical("mlp.layers.0", &spellings), "mlp.layers.0");
    }
}
