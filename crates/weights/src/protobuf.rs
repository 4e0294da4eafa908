//! The wire format of protocol buffers, as far as ONNX files need it.

use std::ops::Range;

use crate::cursor::Cursor;

/// The most bytes of a number of variable length.
const MAX_VARINT: u32 = 10;

/// A field of a message.
pub(crate) struct Field {
    pub(crate) number: u64,
    pub(crate) value: Value,
}

/// What a field holds.
pub(crate) enum Value {
    Number(u64),
    /// The place of eight or four bytes, for example of an f64 or f32.
    Fixed(Range<usize>),
    /// The place of a message, a text, bytes or many numbers.
    Bytes(Range<usize>),
}

/// The fields of the message that stands in a range of `bytes`; places count from the start of
/// `bytes`. Nothing follows an error.
pub(crate) fn fields(
    bytes: &[u8],
    range: Range<usize>,
) -> impl Iterator<Item = Result<Field, String>> {
    let mut cursor = Some(Cursor::over(bytes, range));
    std::iter::from_fn(move || {
        let rest = cursor.as_mut().filter(|rest| !rest.is_at_end())?;
        let field = field(rest);
        if field.is_err() {
            cursor = None;
        }
        Some(field)
    })
}

fn field(cursor: &mut Cursor) -> Result<Field, String> {
    let key = varint(cursor)?;
    let value = match key & 7 {
        0 => Value::Number(varint(cursor)?),
        1 => Value::Fixed(place(cursor, 8)?),
        2 => {
            let length = varint(cursor)?;
            Value::Bytes(place(cursor, length)?)
        }
        5 => Value::Fixed(place(cursor, 4)?),
        other => return Err(format!("wire type {other} is not read")),
    };
    Ok(Field { number: key >> 3, value })
}

/// Skips `length` bytes and tells where they stand.
fn place(cursor: &mut Cursor, length: u64) -> Result<Range<usize>, String> {
    let start = cursor.at();
    cursor.take(length)?;
    Ok(start..cursor.at())
}

/// The numbers of variable length that stand in a range of `bytes`.
pub(crate) fn varints(bytes: &[u8], range: Range<usize>) -> Result<Vec<u64>, String> {
    let mut cursor = Cursor::over(bytes, range);
    let mut numbers = Vec::new();
    while !cursor.is_at_end() {
        numbers.push(varint(&mut cursor)?);
    }
    Ok(numbers)
}

/// Seven bits a byte, the lowest first; the highest bit of a byte says that another follows.
fn varint(cursor: &mut Cursor) -> Result<u64, String> {
    let mut number = 0;
    for index in 0..MAX_VARINT {
        let byte = cursor.byte()?;
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number does not end".into())
}
