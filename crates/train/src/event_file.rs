//! TensorBoard event files: scalars only.
//!
//! A file is a sequence of records: length (u64), masked CRC-32C of the length, payload, masked
//! CRC-32C of the payload. A payload is the protocol buffer `Event`; of it only `wall_time` (1),
//! `step` (2), `file_version` (3) and `summary` (5) with `value { tag (1), simple_value (2) }` are
//! needed, so the few bytes are written by hand instead of with a code generator.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// What names of event files begin with.
pub const PREFIX: &str = "events.out.tfevents.";

/// An event file that TensorBoard reads while it grows.
pub struct EventFile {
    file: BufWriter<File>,
}

impl EventFile {
    /// Begins a new file in `directory`; `first_step` keeps the names of a resumed run apart.
    pub fn create(directory: &Path, first_step: u64) -> Result<Self> {
        let seconds = wall_time() as u64;
        let name = format!("{PREFIX}{seconds:010}.weft.{first_step}");
        let path = directory.join(name);
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let mut events = Self { file: BufWriter::new(file) };
        let mut event = Vec::new();
        double(&mut event, 1, wall_time());
        bytes(&mut event, 3, b"brain.Event:2");
        events.record(&event)?;
        Ok(events)
    }

    /// Writes `scalars` at `step`.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        scalars: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            key(&mut entry, 2, 5);
            entry.extend((value as f32).to_le_bytes());
            bytes(&mut summary, 1, &entry);
        }
        let mut event = Vec::new();
        double(&mut event, 1, wall_time());
        key(&mut event, 2, 0);
        varint(&mut event, step);
        bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    fn record(&mut self, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(payload)?;
        self.file.write_all(&masked_crc(payload).to_le_bytes())?;
        // A record at a time is little, and a killed run keeps what it logged.
        Ok(self.file.flush()?)
    }
}

fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// TensorFlow's masking, which keeps a checksum of checksums from being weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(out, field << 3 | wire_type);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorFlow itself writes at the head of each file: the length 24, and its checksum.
    #[test]
    fn the_checksum_is_tensorflows() {
        assert_eq!(masked_crc(&24u64.to_le_bytes()).to_le_bytes(), [0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn records_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 0).unwrap();
        events.scalars(300, [("loss", 1.5)]).unwrap();
        drop(events);
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let file = std::fs::read(path).unwrap();
        let mut records = Vec::new();
        let mut rest = file.as_slice();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let payload = &rest[12..12 + length];
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            assert_eq!(rest[12 + length..16 + length], masked_crc(payload).to_le_bytes());
            records.push(payload.to_vec());
            rest = &rest[16 + length..];
        }
        assert_eq!(records.len(), 2);
        assert!(records[0].ends_with(b"brain.Event:2"));
        // step 300 as a varint, then summary { value { tag "loss", simple_value 1.5 } }
        let expected = [
            [0x10, 0xac, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4].as_slice(),
            b"loss",
            &[0x15],
            &1.5f32.to_le_bytes(),
        ]
        .concat();
        assert!(records[1].ends_with(&expected));
    }
}
