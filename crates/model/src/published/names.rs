//! What parameters are called in published checkpoints, and how they lie in memory there.

/// How a published tensor lies in memory, compared with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// The same numbers in the same order.
    Same,
    /// Theirs is `[output, ...]`, ours `[..., output]`: linear layers and the convolution of patches.
    Transposed,
}

/// One parameter of ours in a published checkpoint.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub theirs: String,
    /// The parameter's path in our module.
    pub ours: String,
    pub layout: Layout,
    /// Their shape, where it does not follow from ours.
    pub shape: Option<Vec<usize>>,
    /// Which part of their tensor ours is, and of how many of equal size.
    pub part: Option<(usize, usize)>,
}

/// The parameters of a model, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub entries: Vec<Entry>,
    /// Tensors that a checkpoint may have and the model does not read.
    pub unused: Vec<String>,
}

impl Names {
    fn push(&mut self, theirs: String, ours: String, layout: Layout) -> &mut Entry {
        self.entries.push(Entry { theirs, ours, layout, shape: None, part: None });
        self.entries.last_mut().expect("just pushed")
    }

    /// A tensor that both have in the same order.
    pub fn same(&mut self, theirs: &str, ours: &str) {
        self.push(theirs.into(), ours.into(), Layout::Same);
    }

    /// A tensor that they have in another shape.
    pub fn reshaped(&mut self, theirs: &str, ours: &str, shape: &[usize]) {
        self.push(theirs.into(), ours.into(), Layout::Same).shape = Some(shape.into());
    }

    /// A layer norm.
    pub fn norm(&mut self, theirs: &str, ours: &str) {
        self.same(&format!("{theirs}.weight"), &format!("{ours}.gamma"));
        self.same(&format!("{theirs}.bias"), &format!("{ours}.beta"));
    }

    /// A linear layer.
    pub fn linear(&mut self, theirs: &str, ours: &str, bias: bool) {
        self.push(format!("{theirs}.weight"), format!("{ours}.weight"), Layout::Transposed);
        if bias {
            self.same(&format!("{theirs}.bias"), &format!("{ours}.bias"));
        }
    }

    /// The projection of patches, a convolution with them.
    pub fn patches(&mut self, theirs: &str, ours: &str, patch: &Patch) {
        let Patch { width, size, bias } = *patch;
        let weight = format!("{theirs}.weight");
        self.push(weight, format!("{ours}.weight"), Layout::Transposed).shape =
            Some(vec![width, 3, size, size]);
        if bias {
            self.same(&format!("{theirs}.bias"), &format!("{ours}.bias"));
        }
    }

    /// Linear layers of ours whose outputs are one layer's with them: `{theirs}weight` and
    /// `{theirs}bias`.
    pub fn stacked(&mut self, theirs: &str, ours: &[String]) {
        for (name, layout) in [("weight", Layout::Transposed), ("bias", Layout::Same)] {
            for (index, layer) in ours.iter().enumerate() {
                self.push(format!("{theirs}{name}"), format!("{layer}.{name}"), layout).part =
                    Some((index, ours.len()));
            }
        }
    }

    /// The entries of `inner`, whose module stands at `ours` in this one and whose tensors stand
    /// behind `theirs`.
    pub fn nest(&mut self, theirs: &str, ours: &str, inner: Names) {
        self.unused.extend(inner.unused.iter().map(|name| format!("{theirs}{name}")));
        self.entries.extend(inner.entries.into_iter().map(|entry| Entry {
            theirs: format!("{theirs}{}", entry.theirs),
            ours: format!("{ours}{}", entry.ours),
            ..entry
        }));
    }
}

/// Of several spellings of a model's parameters the one that knows most of `present`.
pub(super) fn best(spellings: &[Names], present: impl Fn(&str) -> bool) -> &Names {
    let known = |names: &&Names| names.entries.iter().filter(|e| present(&e.theirs)).count();
    // The first of equals.
    spellings.iter().rev().max_by_key(known).expect("a model has at least one spelling")
}

/// The projection of patches.
pub(super) struct Patch {
    pub width: usize,
    pub size: usize,
    pub bias: bool,
}
