//! What a pickle imports and calls. Nothing is imported and no Python runs: a name is looked up among
//! the few of [`Global`], and any other ends the reading.

use super::pickle::{Machine, PickleError, Result};
use super::value::{Global, Id, Storage, Tensor, Value};

impl<'a> Machine<'a> {
    pub(super) fn global_in_code(&mut self) -> Result<()> {
        let module = self.code.line()?;
        let name = self.code.line()?;
        self.global(module, name)
    }

    pub(super) fn global_on_stack(&mut self) -> Result<()> {
        let [name, module] = [self.pop()?, self.pop()?];
        let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name])
        else {
            return Err("expected the name of something to import".into());
        };
        self.global(module, name)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let global = Global::named(module, name)
            .ok_or_else(|| PickleError::Refused(format!("{module}.{name}")))?;
        self.push(Value::Global(global));
        Ok(())
    }

    /// The state of an object, which of a dictionary is not its items: `_metadata` of a state dict.
    pub(super) fn build(&mut self) -> Result<()> {
        self.pop()?;
        let top = self.top()?;
        match self.values[top] {
            Value::Dict(_) => Ok(()),
            _ => Err("expected a dictionary to give a state".into()),
        }
    }

    pub(super) fn call(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err("expected a tuple of arguments".into());
        };
        let value = match (&self.values[callee], arguments.as_slice()) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(Vec::new()),
            (Value::Global(Global::RebuildTensorV2), arguments) => self.tensor(arguments)?,
            (Value::Global(Global::RebuildTensorV3), arguments) => self.typed_tensor(arguments)?,
            (Value::Global(Global::RebuildParameter), [data, _, _]) => match self.values[*data] {
                Value::Tensor(tensor) => Value::Tensor(tensor),
                _ => return Err("expected the tensor of a parameter".into()),
            },
            _ => return Err("a call that is not read".into()),
        };
        self.push(value);
        Ok(())
    }

    /// Arguments: storage, offset, sizes, strides, whether it is trained, hooks, metadata.
    fn tensor(&self, arguments: &[Id]) -> Result<Value<'a>> {
        let ([storage, offset, shape, stride, _, _] | [storage, offset, shape, stride, _, _, _]) =
            *arguments
        else {
            return Err(format!("a tensor of {} arguments", arguments.len()).into());
        };
        if arguments.get(6).is_some_and(|&id| !matches!(self.values[id], Value::Plain)) {
            return Err("a conjugate or negated view is not read".into());
        }
        let (Value::Storage(storage), Value::Int(offset)) =
            (&self.values[storage], &self.values[offset])
        else {
            return Err("expected a storage and an offset".into());
        };
        let dtype = storage.dtype.ok_or("expected a storage with an element type")?;
        Ok(Value::Tensor(Tensor { storage: *storage, dtype, offset: *offset, shape, stride }))
    }

    /// Arguments: storage, offset, sizes, strides, whether it is trained, hooks, element type.
    fn typed_tensor(&self, arguments: &[Id]) -> Result<Value<'a>> {
        let [storage, offset, shape, stride, _, _, dtype] = *arguments else {
            return Err(format!("a tensor of {} arguments", arguments.len()).into());
        };
        let (Value::Storage(storage), Value::Int(offset), Value::Global(Global::Dtype(dtype))) =
            (&self.values[storage], &self.values[offset], &self.values[dtype])
        else {
            return Err("expected a storage, an offset and an element type".into());
        };
        if storage.dtype.is_some() {
            return Err("expected a storage without an element type".into());
        }
        let (storage, dtype, offset) = (*storage, *dtype, *offset);
        Ok(Value::Tensor(Tensor { storage, dtype, offset, shape, stride }))
    }

    /// `("storage", type, key, device, count)` on the stack becomes a storage.
    pub(super) fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let Value::Tuple(parts) = &self.values[id] else {
            return Err("expected the description of a storage".into());
        };
        let &[tag, kind, key, _, count] = parts.as_slice() else {
            return Err(format!("a storage of {} parts", parts.len()).into());
        };
        let (
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(_),
            Value::Int(count),
        ) = (&self.values[tag], &self.values[kind], &self.values[key], &self.values[count])
        else {
            return Err("expected the description of a storage".into());
        };
        let storage = Storage { dtype: *dtype, key, count: *count };
        self.push(Value::Storage(storage));
        Ok(())
    }
}
