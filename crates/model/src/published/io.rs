//! What goes into the forward pass of a published model and what comes out, by the reference's names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use weft_nn::AttentionMask;
use weft_nn::index::indices;
use weft_weights::{Array, Data};

use super::error::PublishedError;

/// Inputs of a forward pass, named as the arguments of the reference's.
#[derive(Debug)]
pub struct Inputs {
    arrays: BTreeMap<String, Array>,
    device: Device,
    used: RefCell<BTreeSet<String>>,
}

impl Inputs {
    /// `device` is where the model is.
    pub fn new(arrays: BTreeMap<String, Array>, device: &Device) -> Self {
        Self { arrays, device: device.clone(), used: RefCell::default() }
    }

    /// Where the tensors are made.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// An input that may be absent.
    pub(super) fn get(&self, name: &str) -> Option<&Array> {
        self.used.borrow_mut().insert(name.into());
        self.arrays.get(name)
    }

    /// Whole numbers below `limit`, `[batch, tokens]`.
    pub(super) fn ids(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Tensor<2, Int>>, PublishedError> {
        let Some(array) = self.get(name) else {
            return Ok(None);
        };
        let ids = array.ints(name)?;
        if let Some(id) = ids.iter().find(|id| **id < 0 || **id >= limit as i64) {
            return Err(wrong(name, format!("{id} is not in 0..{limit}")));
        }
        let shape = dimensions::<2>(name, array)?;
        Ok(Some(Tensor::from_data(TensorData::new(ids.to_vec(), shape), &self.device)))
    }

    /// `input_ids`, which must be there and fit into `positions` rows of a position table. With
    /// `padding`, positions are counted behind that token's id and without such tokens.
    pub(super) fn texts(
        &self,
        vocab_size: usize,
        positions: usize,
        padding: Option<usize>,
    ) -> Result<Tensor<2, Int>, PublishedError> {
        const NAME: &str = "input_ids";
        let ids = required(NAME, self.ids(NAME, vocab_size)?)?;
        let [_, tokens] = ids.dims();
        let host = required(NAME, self.get(NAME))?.ints(NAME)?;
        let counted = |id: &&i64| padding.is_none_or(|padding| **id != padding as i64);
        let lengths = host.chunks(tokens.max(1)).map(|row| row.iter().filter(counted).count());
        let (longest, room) =
            (lengths.max().unwrap_or(0), positions.saturating_sub(padding.map_or(0, |id| id + 1)));
        if longest > room && self.get("position_ids").is_none() {
            return Err(wrong(NAME, format!("{longest} tokens, but positions for {room}")));
        }
        Ok(ids)
    }

    /// Floats.
    pub(super) fn floats<const D: usize>(
        &self,
        name: &str,
    ) -> Result<Option<Tensor<D>>, PublishedError> {
        let Some(array) = self.get(name) else {
            return Ok(None);
        };
        let shape = dimensions::<D>(name, array)?;
        let values = array.floats(name)?.to_vec();
        Ok(Some(Tensor::from_data(TensorData::new(values, shape), &self.device)))
    }

    /// A mask that is 0 where attention must not see, `[batch, tokens]`.
    pub(super) fn mask(&self, name: &str) -> Result<Option<AttentionMask>, PublishedError> {
        let Some(array) = self.get(name) else {
            return Ok(None);
        };
        let shape = dimensions::<2>(name, array)?;
        let hidden: Vec<bool> = numbers(array).into_iter().map(|value| value == 0.0).collect();
        let hidden = Tensor::<2, Bool>::from_data(TensorData::new(hidden, shape), &self.device);
        Ok(Some(AttentionMask::padding(hidden)))
    }

    /// Classes of items, below `limit`: the items that have one, and their classes. -100 stands for
    /// none.
    pub(super) fn classes(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Labels>, PublishedError> {
        const NONE: i64 = -100;
        let Some(array) = self.get(name) else {
            return Ok(None);
        };
        let classes = array.ints(name)?;
        let known: Vec<usize> = (0..classes.len()).filter(|i| classes[*i] != NONE).collect();
        if let Some(item) = known.iter().find(|i| !(0..limit as i64).contains(&classes[**i])) {
            return Err(wrong(name, format!("{} is not in 0..{limit}", classes[*item])));
        }
        let classes = indices(known.iter().map(|item| classes[*item] as usize), &self.device);
        Ok(Some(Labels { items: indices(known, &self.device), classes }))
    }

    /// A switch, off where absent.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|array| numbers(array).iter().any(|value| *value != 0.0))
    }

    /// An error where an input has not been asked for.
    pub(super) fn check_all_used(&self) -> Result<(), PublishedError> {
        for switch in SWITCHES {
            self.get(switch);
        }
        let used = self.used.borrow();
        match self.arrays.keys().find(|name| !used.contains(*name)) {
            Some(name) => Err(wrong(name, "the model does not take it".into())),
            None => Ok(()),
        }
    }
}

/// Classes of some items of a batch.
pub(super) struct Labels {
    /// Which items have one, `[labelled]`.
    pub items: Tensor<1, Int>,
    /// `[labelled]`
    pub classes: Tensor<1, Int>,
}

/// What the reference returns or keeps is its caller's choice; weft returns all that it has.
const SWITCHES: [&str; 4] =
    ["output_hidden_states", "output_attentions", "return_dict", "use_cache"];

/// Any array as floats.
pub(super) fn numbers(array: &Array) -> Vec<f32> {
    match &array.data {
        Data::Float(values) => values.clone(),
        Data::Int(values) => values.iter().map(|value| *value as f32).collect(),
    }
}

/// The input or an error that says that it must be there.
pub(super) fn required<T>(name: &str, input: Option<T>) -> Result<T, PublishedError> {
    input.ok_or_else(|| wrong(name, "missing".into()))
}

/// An error about an input.
pub(super) fn wrong(name: &str, detail: String) -> PublishedError {
    PublishedError::Input { name: name.into(), detail }
}

fn dimensions<const D: usize>(name: &str, array: &Array) -> Result<[usize; D], PublishedError> {
    let fail = |_| wrong(name, format!("expected {D} dimensions, found {:?}", array.shape));
    array.shape.clone().try_into().map_err(fail)
}

/// Fields of the reference's output, in its order.
#[derive(Debug, Default)]
pub struct Outputs {
    pub fields: Vec<(String, Output)>,
}

/// A tensor of any number of dimensions.
#[derive(Debug, Clone)]
pub struct Output {
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub values: Tensor<1>,
}

impl Outputs {
    /// What the reference's encoders return.
    pub(super) fn of_encoder(
        last: Tensor<3>,
        pooled: Option<Tensor<2>>,
        states: &[Tensor<3>],
    ) -> Self {
        let mut outputs = Self::default();
        outputs.push("last_hidden_state", last);
        if let Some(pooled) = pooled {
            outputs.push("pooler_output", pooled);
        }
        outputs.push_all("hidden_states", states);
        outputs
    }

    pub(super) fn push<const D: usize>(&mut self, name: impl Into<String>, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        let count = tensor.shape().num_elements();
        self.fields.push((name.into(), Output { shape, values: tensor.reshape([count]) }));
    }

    /// A field without dimensions, from one of `[1]`.
    pub(super) fn push_number(&mut self, name: &str, number: Tensor<1>) {
        self.fields.push((name.into(), Output { shape: vec![], values: number }));
    }

    /// `{name}.0`, `{name}.1`, ...
    pub(super) fn push_all<const D: usize>(&mut self, name: &str, tensors: &[Tensor<D>]) {
        for (index, tensor) in tensors.iter().enumerate() {
            self.push(format!("{name}.{index}"), tensor.clone());
        }
    }

    /// The field of a name.
    pub fn get(&self, name: &str) -> Option<&Output> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, output)| output)
    }
}
