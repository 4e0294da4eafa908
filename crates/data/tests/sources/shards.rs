//! Shards that are damaged: what is lost is counted, as far as its bytes tell.

use proptest::prelude::*;
use weft_data::dataset::{SourceConfig, open};
use weft_data::error::Cause;

use super::*;

/// A shard of `count` samples, each a picture of `size` bytes with a caption.
fn shard(count: usize, size: usize) -> Vec<u8> {
    let picture = vec![b'x'; size];
    let names: Vec<[String; 2]> =
        (0..count).map(|at| [format!("{at:04}.jpg"), format!("{at:04}.txt")]).collect();
    let entries = names.iter().flat_map(|[jpg, txt]| {
        [(jpg.as_str(), picture.as_slice()), (txt.as_str(), b"a caption".as_slice())]
    });
    tar(&entries.collect::<Vec<_>>())
}

/// Bytes of a sample of such a shard: two headers and a caption of a block, and the picture.
fn bytes_of_a_sample(size: usize) -> usize {
    3 * 512 + size.next_multiple_of(512)
}

/// Opens a shard with all of its faults forgiven, and gives the message without.
fn damaged(shard: &[u8]) -> (Dataset, String) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "s.tar", shard);
    let path = dir.path().join("s.tar");
    (open_lenient(&path), error(&SourceConfig::new(path.to_string_lossy())))
}

#[test]
fn zeros_where_most_of_a_shard_should_be_are_lost_samples() {
    let mut bytes = shard(200, 16_000);
    let kept = 20 * bytes_of_a_sample(16_000);
    bytes[kept..].fill(0);
    let (dataset, message) = damaged(&bytes);
    assert_eq!(dataset.total(), 20);
    assert_eq!(dataset.ledger.count(Cause::TruncatedArchive), 180);
    names(&message, &["180 of 200 records", "s.tar:0019", "after 40 files", "about 180 samples"]);
}

#[test]
fn a_broken_header_costs_what_is_behind_it() {
    let mut bytes = shard(200, 1000);
    let header = 20 * bytes_of_a_sample(1000);
    bytes[header..header + 512].fill(0xff);
    let (dataset, message) = damaged(&bytes);
    assert_eq!(dataset.total(), 20);
    assert_eq!(dataset.ledger.count(Cause::TruncatedArchive), 180);
    names(&message, &["180 of 200 records", "s.tar:0019", "about 180 samples"]);
}

#[test]
fn a_shard_without_a_first_header_is_measured_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = shard(50, 1000);
    broken[..512].fill(0xff);
    write(dir.path(), "s-0.tar", &broken);
    write(dir.path(), "s-1.tar", &tar(&[("a.jpg", b"a"), ("a.txt", b"fine")]));
    let dataset = open_lenient(dir.path().join("s-{0..1}.tar"));
    assert_eq!(dataset.total(), 1);
    // 50 samples of five blocks and two blocks at the end, in samples of four blocks.
    assert_eq!(dataset.ledger.count(Cause::TruncatedArchive), 63, "{}", dataset.ledger);
}

#[test]
fn records_filled_up_with_zeros_are_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    for record in [10_240, 1 << 20] {
        let mut bytes = shard(3, 100);
        bytes.resize(bytes.len().next_multiple_of(record), 0);
        write(dir.path(), "s.tar", &bytes);
        let strict = SourceConfig::new(dir.path().join("s.tar").to_string_lossy());
        assert_eq!(open(&strict).unwrap().total(), 3);
    }
}

#[test]
fn archives_behind_one_another_are_not_taken_for_one() {
    let two = [shard(10, 100), shard(30, 100)].concat();
    let (dataset, message) = damaged(&two);
    assert_eq!(dataset.total(), 10);
    assert_eq!(dataset.ledger.count(Cause::TruncatedArchive), 31);
    names(&message, &["expected zeros up to the end of the file"]);
}

proptest! {
    #[test]
    fn a_destroyed_header_loses_its_sample_and_all_behind_it(
        count in 2usize..30,
        size in 1usize..3000,
        at in 0.0f64..1.0,
        with in any::<u8>(),
    ) {
        let mut bytes = shard(count, size);
        // Of any file behind the first sample.
        let file = 2 + ((count - 1) as f64 * 2.0 * at) as usize;
        let first = file / 2 * bytes_of_a_sample(size);
        let header = first + file % 2 * (512 + size.next_multiple_of(512));
        bytes[header..header + 512].fill(with);
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "s.tar", &bytes);
        let dataset = open_lenient(dir.path().join("s.tar"));
        prop_assert_eq!(dataset.total(), file / 2);
        // The two blocks at the end are half of a small sample.
        let lost = dataset.ledger.total();
        prop_assert!((count - file / 2..=count - file / 2 + 1).contains(&lost), "{}", dataset.ledger);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0.0f64..1.0, with in prop::collection::vec(any::<u8>(), 1..600)) {
        let mut bytes = shard(5, 700);
        let first = (at * (bytes.len() - with.len()) as f64) as usize;
        bytes[first..first + with.len()].copy_from_slice(&with);
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "s.tar", &bytes);
        _ = open(&lenient(dir.path().join("s.tar")));
    }
}
