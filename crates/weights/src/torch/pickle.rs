//! The pickles of `torch.save`, read without running anything.
//!
//! A pickle is a program for a small stack machine. This machine knows only the instructions that
//! dictionaries of tensors need; what those make of imports and calls stands in `call`.

use std::collections::HashMap;

use super::value::{Id, Value};
use crate::cursor::Cursor;

/// The most instructions that are followed, which bounds the memory they take. A tensor takes about
/// 30 of them.
const MAX_STEPS: usize = 4 << 20;

/// Why a pickle is not read.
#[derive(Debug)]
pub(super) enum PickleError {
    /// It names something that tensors do not need.
    Refused(String),
    Broken(String),
}

impl From<String> for PickleError {
    fn from(detail: String) -> Self {
        PickleError::Broken(detail)
    }
}

impl From<&str> for PickleError {
    fn from(detail: &str) -> Self {
        PickleError::Broken(detail.into())
    }
}

pub(super) type Result<T> = std::result::Result<T, PickleError>;

/// All values of a pickle.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    /// The value that was pickled.
    pub(super) root: Id,
}

impl<'a> Pickle<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut machine = Machine {
            code: Cursor::new(bytes),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        match machine.run() {
            Ok(root) => Ok(Self { values: machine.values, root }),
            Err(PickleError::Broken(detail)) => {
                Err(format!("before byte {}: {detail}", machine.code.at()).into())
            }
            Err(refused) => Err(refused),
        }
    }

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }
}

pub(super) struct Machine<'a> {
    pub(super) code: Cursor<'a>,
    pub(super) values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// The heights of the stack that instructions such as TUPLE go back to.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Follows the instructions up to STOP.
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MAX_STEPS {
            match self.code.byte()? {
                b'.' => return self.pop(),
                instruction => self.step(instruction)?,
            }
        }
        Err(format!("more than {MAX_STEPS} instructions are not followed").into())
    }

    fn step(&mut self, instruction: u8) -> Result<()> {
        match instruction {
            // PROTO
            0x80 => self.protocol()?,
            // FRAME
            0x95 => self.code.take(8).map(drop)?,
            // MARK, POP
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop().map(drop)?,
            // NONE, NEWTRUE, NEWFALSE
            b'N' | 0x88 | 0x89 => self.push(Value::Plain),
            // BINFLOAT
            b'G' => self.plain(8)?,
            // BININT, BININT1, BININT2, LONG1
            b'J' => self.four_byte_int()?,
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            0x8a => self.long()?,
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            // SHORT_BINBYTES, BINBYTES, BINBYTES8
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            0x8e => self.bytes(8)?,
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => self.pop_to_mark().map(|items| self.push(Value::Tuple(items)))?,
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Value::List(Vec::new())),
            b'a' => self.pop_many(1).and_then(|items| self.append(items))?,
            b'e' => self.pop_to_mark().and_then(|items| self.append(items))?,
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => self.pop_many(2).and_then(|items| self.set(&items))?,
            b'u' => self.pop_to_mark().and_then(|items| self.set(&items))?,
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => self.length(1).and_then(|at| self.put(at as u32))?,
            b'r' => self.length(4).and_then(|at| self.put(at as u32))?,
            0x94 => self.put(self.memo.len() as u32)?,
            // BINGET, LONG_BINGET
            b'h' => self.length(1).and_then(|at| self.get(at as u32))?,
            b'j' => self.length(4).and_then(|at| self.get(at as u32))?,
            // GLOBAL, STACK_GLOBAL
            b'c' => self.global_in_code()?,
            0x93 => self.global_on_stack()?,
            // REDUCE, BUILD, BINPERSID
            b'R' => self.call()?,
            b'b' => self.build()?,
            b'Q' => self.storage()?,
            other => return Err(format!("instruction {other:#04x} is not read").into()),
        }
        Ok(())
    }

    fn protocol(&mut self) -> Result<()> {
        match self.code.byte()? {
            2..=5 => Ok(()),
            other => Err(format!("pickle protocol {other} is not read").into()),
        }
    }

    pub(super) fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or("the stack is empty".into())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        // Never above the stack's height, for nothing is taken from below the last mark.
        let mark = self.marks.pop().ok_or("no mark is set")?;
        Ok(self.stack.split_off(mark))
    }

    /// An unsigned number of up to 8 bytes in the code.
    fn length(&mut self, bytes: usize) -> Result<u64> {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(self.code.take(bytes as u64)?);
        Ok(u64::from_le_bytes(number))
    }

    fn plain(&mut self, length: u64) -> Result<()> {
        self.code.take(length)?;
        self.push(Value::Plain);
        Ok(())
    }

    fn bytes(&mut self, length_bytes: usize) -> Result<()> {
        let length = self.length(length_bytes)?;
        self.plain(length)
    }

    fn text(&mut self, length_bytes: usize) -> Result<()> {
        let length = self.length(length_bytes)?;
        let text = self.code.text(length)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn int(&mut self, bytes: usize) -> Result<()> {
        let number = self.length(bytes)?;
        self.push(Value::Int(number as i64));
        Ok(())
    }

    fn four_byte_int(&mut self) -> Result<()> {
        let number = i32::from_le_bytes(self.code.array()?);
        self.push(Value::Int(number.into()));
        Ok(())
    }

    fn long(&mut self) -> Result<()> {
        let length = self.length(1)?;
        let bytes = self.code.take(length)?;
        self.push(long(bytes).map_or(Value::Plain, Value::Int));
        Ok(())
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let items = self.pop_many(length)?;
        self.push(Value::Tuple(items));
        Ok(())
    }

    /// The value on top of the stack.
    pub(super) fn top(&mut self) -> Result<Id> {
        let top = self.pop()?;
        self.stack.push(top);
        Ok(top)
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let top = self.top()?;
        let Value::List(list) = &mut self.values[top] else {
            return Err("expected a list to append to".into());
        };
        list.extend(items);
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<()> {
        let top = self.top()?;
        let Value::Dict(dict) = &mut self.values[top] else {
            return Err("expected a dictionary to set items of".into());
        };
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() {
            return Err("a key has no value".into());
        }
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn put(&mut self, at: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn get(&mut self, at: u32) -> Result<()> {
        let id = self.memo.get(&at).ok_or_else(|| format!("nothing was kept at {at}"))?;
        self.stack.push(*id);
        Ok(())
    }
}

/// A little-endian number in two's complement; none where it exceeds 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut number = if negative { [0xff; 8] } else { [0; 8] };
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(number))
}
