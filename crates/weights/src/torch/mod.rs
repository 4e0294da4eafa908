//! Files of `torch.save`: a zip archive with a pickle that describes tensors, and their bytes.

mod archive;
mod call;
mod pickle;
mod value;
mod view;

use std::collections::BTreeMap;
use std::path::Path;

use archive::Archive;
use pickle::{Pickle, PickleError};
use value::{Id, Tensor, Value};
use view::View;

use crate::array::Array;
use crate::error::WeightsError;
use crate::weights::Source;

/// How deeply dictionaries and lists may nest.
const MAX_DEPTH: usize = 64;

/// The most bytes that names and shapes take together. A pickle that uses a dictionary many times
/// over would need more.
const MAX_NAMES: usize = 64 << 20;

/// An open file of `torch.save`.
pub(crate) struct TorchFile {
    archive: Archive,
    views: BTreeMap<String, View>,
    ignored: usize,
}

impl TorchFile {
    /// Maps the file, reads its pickle and checks that every tensor lies within its storage.
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let archive = Archive::open(path)?;
        let bytes = archive.pickle()?;
        let pickle = Pickle::read(&bytes).map_err(|error| match error {
            PickleError::Refused(global) => WeightsError::Refused { path: path.into(), global },
            PickleError::Broken(detail) => {
                WeightsError::file(path, format!("pickle of tensors: {detail}"))
            }
        })?;
        if matches!(pickle.value(pickle.root), Value::Tensor(_)) {
            let detail = "holds a single tensor without a name; expected a dictionary";
            return Err(WeightsError::file(path, detail));
        }
        let mut names = Names {
            archive: &archive,
            pickle: &pickle,
            path: String::new(),
            left: MAX_NAMES,
            views: BTreeMap::new(),
            ignored: 0,
        };
        names.visit(pickle.root, 0)?;
        let Names { views, ignored, .. } = names;
        drop(pickle);
        drop(bytes);
        Ok(Self { archive, views, ignored })
    }
}

impl Source for TorchFile {
    fn names(&self) -> Vec<&str> {
        self.views.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.views.get(name).map(|view| view.shape.as_slice())
    }

    fn read(&self, name: &str) -> Result<Array, WeightsError> {
        let path = self.archive.path();
        let view = self.views.get(name).ok_or_else(|| WeightsError::missing(path, name))?;
        view.read(&self.archive)
            .map_err(|detail| WeightsError::tensor(path, name, detail))?
            .finite(path, name)
    }

    fn ignored(&self) -> usize {
        self.ignored
    }
}

/// A walk over the values of a pickle, on which tensors get their names.
struct Names<'a> {
    archive: &'a Archive,
    pickle: &'a Pickle<'a>,
    /// The keys on the way to the current value, with dots between them.
    path: String,
    /// How many bytes names and shapes may still take.
    left: usize,
    views: BTreeMap<String, View>,
    ignored: usize,
}

impl Names<'_> {
    fn visit(&mut self, id: Id, depth: usize) -> Result<(), WeightsError> {
        if depth > MAX_DEPTH {
            return Err(self.broken(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        match self.pickle.value(id) {
            Value::Tensor(tensor) => self.name(tensor),
            Value::Dict(items) => items.iter().try_for_each(|&(key, value)| {
                let key = self.key(key)?;
                self.descend(&key, value, depth)
            }),
            Value::List(items) | Value::Tuple(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, &item)| self.descend(&index.to_string(), item, depth)),
            Value::Plain
            | Value::Int(_)
            | Value::Text(_)
            | Value::Global(_)
            | Value::Storage(_) => {
                self.ignored += 1;
                Ok(())
            }
        }
    }

    /// Visits the value that stands under `key`.
    fn descend(&mut self, key: &str, value: Id, depth: usize) -> Result<(), WeightsError> {
        self.spend(key.len() + 1)?;
        let length = self.path.len();
        if depth > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        self.visit(value, depth + 1)?;
        self.path.truncate(length);
        Ok(())
    }

    fn key(&self, id: Id) -> Result<String, WeightsError> {
        match self.pickle.value(id) {
            Value::Text(text) => Ok(text.to_string()),
            Value::Int(number) => Ok(number.to_string()),
            _ => Err(self.broken(format!("{:?}: a key is neither text nor number", self.path))),
        }
    }

    fn name(&mut self, tensor: &Tensor) -> Result<(), WeightsError> {
        let broken = |detail| WeightsError::tensor(self.archive.path(), &self.path, detail);
        let view = View::new(self.pickle, self.archive, tensor).map_err(broken)?;
        self.spend(self.path.len() + view.bytes())?;
        if self.views.contains_key(&self.path) {
            return Err(WeightsError::tensor(self.archive.path(), &self.path, "comes twice"));
        }
        self.views.insert(self.path.clone(), view);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), WeightsError> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            self.broken(format!("names and shapes of more than {MAX_NAMES} bytes"))
        })?;
        Ok(())
    }

    fn broken(&self, detail: String) -> WeightsError {
        WeightsError::file(self.archive.path(), format!("pickle of tensors: {detail}"))
    }
}
