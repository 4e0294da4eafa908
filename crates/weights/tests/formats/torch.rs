//! Files that torch wrote.

use weft_weights::{Weights, WeightsError};

use crate::common::{Folder, assert_holds, fixture, open_error, unzip, zip};

#[test]
fn every_tensor_of_a_state_dict_is_read_as_torch_sees_it() {
    for name in ["state_dict.bin", "protocol_4.pt", "deflated.bin"] {
        let weights = Weights::open(fixture(name)).unwrap();
        assert_holds(&weights, "state_dict.expected.safetensors");
        assert_eq!(weights.ignored(), 0, "{name}");
    }
}

#[test]
fn tensors_of_a_training_checkpoint_have_paths() {
    let weights = Weights::open(fixture("checkpoint.ckpt")).unwrap();
    assert_holds(&weights, "checkpoint.expected.safetensors");
    for name in ["state_dict.weight", "optimizer.state.1.exp_avg", "history.0", "history.1.0"] {
        assert!(weights.contains(name), "{name}");
    }
    // The eight plain values at the top, one in the history, the optimiser's settings, and its two
    // numbers of parameters.
    let plain = 8 + 1;
    let settings = weights.ignored() - plain - 2;
    assert!((5..20).contains(&settings), "{settings}");
}

#[test]
fn code_is_refused_by_its_name() {
    for (name, global) in [
        ("malicious.bin", "posix.system"),
        ("malicious_beside_weights.bin", "posix.system"),
        ("module.pt", "torch.nn.modules.linear.Linear"),
    ] {
        let error = Weights::open(fixture(name)).unwrap_err();
        assert!(matches!(&error, WeightsError::Refused { global: named, .. } if named == global));
        let message = error.to_string();
        assert!(message.contains(&format!("{name}: refused to import {global}: ")), "{message}");
    }
}

#[test]
fn other_files_of_torch_are_told_apart() {
    for (name, expected) in [
        ("legacy.pt", "format of torch before 1.6; convert it in Python: torch.save(torch.load("),
        ("unnamed.pt", "a single tensor without a name"),
        ("big_endian.pt", "expected the byte order little, found \"big\""),
    ] {
        let message = open_error(&fixture(name));
        assert!(message.contains(expected), "{message}");
    }
    let folder = Folder::new();
    for content in [&b""[..], b"PK", b"text", &[0; 600]] {
        let message = open_error(&folder.file("w.bin", content));
        assert!(message.contains("expected a zip archive"), "{message}");
    }
}

#[test]
fn archives_without_one_pickle_are_errors() {
    let folder = Folder::new();
    let cases: [&[(&str, &[u8])]; 4] = [
        &[("a/version", b"3\n")],
        &[("a/other_data.pkl", b"N.")],
        &[("a/data.pkl", b"N."), ("b/data.pkl", b"N.")],
        &[("a/constants.pkl", b"N.")],
    ];
    for members in cases {
        let message = open_error(&folder.file("w.pt", zip(members)));
        assert!(message.contains("one data.pkl"), "{message}");
    }
}

#[test]
fn an_archive_cut_anywhere_is_an_error() {
    let whole = std::fs::read(fixture("small.pt")).unwrap();
    let folder = Folder::new();
    for length in 0..whole.len() {
        open_error(&folder.file("cut.pt", &whole[..length]));
    }
}

#[test]
fn a_changed_storage_is_an_error_that_names_the_tensor() {
    let mut bytes = std::fs::read(fixture("small.pt")).unwrap();
    let weights = Weights::open(fixture("small.pt")).unwrap();
    let first = weights.get("weight").unwrap().floats("weight").unwrap()[0].to_le_bytes();
    let place = bytes.windows(4).position(|window| window == first).unwrap();
    bytes[place] ^= 1;
    let folder = Folder::new();
    let weights = Weights::open(folder.file("changed.pt", &bytes)).unwrap();
    for _ in 0..2 {
        let message = weights.get("weight").unwrap_err().to_string();
        let expected = r#"tensor "weight": data/0 of the zip archive: wrong checksum"#;
        assert!(message.contains(expected), "{message}");
    }
    // Some writers leave checksums out.
    let crc = crc32fast::hash(&unzip_member("small.pt", "data/0")).to_le_bytes();
    while let Some(place) = bytes.windows(4).position(|window| window == crc) {
        bytes[place..place + 4].fill(0);
    }
    assert!(Weights::open(folder.file("unchecked.pt", &bytes)).unwrap().get("weight").is_ok());
}

fn unzip_member(name: &str, ending: &str) -> Vec<u8> {
    let members = unzip(&std::fs::read(fixture(name)).unwrap());
    members.into_iter().find(|(name, _)| name.ends_with(ending)).unwrap().1
}

#[test]
fn a_storage_that_is_not_there_is_an_error_that_names_the_tensor() {
    let pickle = unzip_member("small.pt", "data.pkl");
    let folder = Folder::new();
    let message = open_error(&folder.file("w.pt", zip(&[("a/data.pkl", &pickle)])));
    assert!(message.contains(r#"tensor "weight": its storage data/0 is not in"#), "{message}");
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let folder = Folder::new();
    let mut bytes = deflated("a/data.pkl", &vec![0; 1 << 20]);
    let message = open_error(&folder.file("bomb.pt", &bytes));
    assert!(message.contains("claims 1048576 bytes of "), "{message}");

    // It claims to be small, and is not.
    let true_size = (1_u32 << 20).to_le_bytes();
    while let Some(place) = bytes.windows(4).position(|window| window == true_size) {
        bytes[place..place + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    let message = open_error(&folder.file("bomb.pt", &bytes));
    assert!(message.contains("claims 100 bytes, holds 101 or more"), "{message}");
}

#[test]
fn encrypted_archives_are_errors() {
    let mut bytes = std::fs::read(fixture("small.pt")).unwrap();
    for (header, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        for place in 0..bytes.len() - 4 {
            if bytes[place..].starts_with(header) {
                bytes[place + flags] |= 1;
            }
        }
    }
    let message = open_error(&Folder::new().file("w.pt", bytes));
    assert!(message.contains("is encrypted"), "{message}");
}

fn deflated(name: &str, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    // Written as stored, then told to be deflated: the zip crate is built without compression.
    let mut bytes = zip(&[(name, &packed)]);
    let header = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let crc = crc32fast::hash(content).to_le_bytes();
    let size = (content.len() as u32).to_le_bytes();
    for (start, method) in [(0, 8), (header, 10)] {
        bytes[start + method..start + method + 2].copy_from_slice(&[8, 0]);
        bytes[start + method + 6..start + method + 10].copy_from_slice(&crc);
        bytes[start + method + 14..start + method + 18].copy_from_slice(&size);
    }
    bytes
}
