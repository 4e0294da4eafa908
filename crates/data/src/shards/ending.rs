//! What stands behind the last entry of a tar archive: zeros alone, and of those not more than a writer puts
//! there. Anything else is what became of samples.

use std::io::{Read, Result, Seek, SeekFrom};

/// Bytes of a block of a tar archive.
pub(super) const BLOCK: u64 = 512;

/// Bytes of the longest record that writers fill up with zeros: 10,240 as a rule, with GNU tar's blocking
/// factor as many as one likes. Fewer zeros that a download has left cannot be told from such.
const LONGEST_RECORD: u64 = 1 << 20;

/// What is wrong with the bytes from `end`, where the last entry ends, to `length`, the archive's; `None` where
/// they are what ends an archive.
pub(super) fn fault(
    archive: &mut (impl Read + Seek),
    end: u64,
    length: u64,
) -> Result<Option<String>> {
    let rest = length.saturating_sub(end);
    if rest < BLOCK {
        return Ok(Some("expected a block of zeros, the end of a tar archive".into()));
    }
    // Of the two blocks that end an archive one may be in the record before.
    if rest > LONGEST_RECORD + BLOCK {
        return Ok(Some(format!(
            "expected the end of the file after at most {} bytes of zeros, found {rest} bytes",
            LONGEST_RECORD + BLOCK
        )));
    }
    archive.seek(SeekFrom::Start(end))?;
    let mut bytes = Vec::new();
    archive.take(rest).read_to_end(&mut bytes)?;
    Ok(bytes.iter().position(|byte| *byte != 0).map(|at| {
        format!(
            "expected zeros up to the end of the file, found others at byte {}",
            end + at as u64
        )
    }))
}

/// About how many samples `lost` bytes held, where `samples` take `bytes`; of a fault, one at least.
pub(super) fn estimate(lost: u64, bytes: u64, samples: usize) -> usize {
    match bytes.checked_div(samples as u64) {
        None | Some(0) => 1,
        Some(each) => ((lost + each / 2) / each).max(1) as usize,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn found(rest: &[u8]) -> Option<String> {
        let bytes = [&[7; 512][..], rest].concat();
        fault(&mut Cursor::new(&bytes), 512, bytes.len() as u64).unwrap()
    }

    #[test]
    fn an_archive_ends_with_no_more_zeros_than_writers_put_there() {
        for good in [512, 1024, 10_240, LONGEST_RECORD as usize + 512] {
            assert_eq!(found(&vec![0; good]), None, "{good}");
        }
        assert!(found(&[0; 511]).unwrap().contains("block of zeros"));
        assert!(found(&vec![0; 1_100_000]).unwrap().contains("1100000 bytes"));
        let mut other = vec![0; 10_240];
        other[600] = 1;
        assert!(found(&other).unwrap().ends_with("at byte 1112"));
    }

    #[test]
    fn lost_samples_are_as_large_as_those_that_are_there() {
        assert_eq!(estimate(9_000, 1_000, 10), 90);
        assert_eq!(estimate(10, 1_000, 10), 1);
        assert_eq!((estimate(10, 0, 0), estimate(0, 0, 0), estimate(10, 0, 3)), (1, 1, 1));
    }
}
