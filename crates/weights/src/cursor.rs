//! Reading bytes one after another, never behind the end.

use std::ops::Range;

/// A place in bytes. What is wrong is told in words, for the caller to put the file in front.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads a range, which must lie within `bytes`; places count from the start of `bytes`.
    pub(crate) fn over(bytes: &'a [u8], range: Range<usize>) -> Self {
        Self { bytes: &bytes[..range.end], at: range.start }
    }

    /// The place of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next `length` bytes. A length beyond the address space is behind the end, too.
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken =
            taken.ok_or_else(|| format!("expected {length} bytes, {} are left", rest.len()))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    /// The next `length` bytes as text.
    pub(crate) fn text(&mut self, length: u64) -> Result<&'a str, String> {
        utf8(self.take(length)?)
    }

    /// Text up to the next line feed, which is skipped.
    pub(crate) fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("a line does not end")?;
        self.at += length + 1;
        utf8(&rest[..length])
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|source| format!("text: {source}"))
}
