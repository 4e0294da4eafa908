//! Files with a few bytes changed: whatever becomes of them, no panic and no huge allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use weft_weights::Weights;
use weft_weights::onnx::Model;

use crate::common::{Folder, fixture, unzip, zip};

/// The largest allocation that reading may ask for. The files have a few kilobytes; a view that
/// is expanded may have a million elements of 8 bytes, as they are and as integers.
const LARGEST_ALLOWED: usize = 9 << 20;

thread_local! {
    /// The largest request of the thread, which is of one test.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The system's allocator, with a note of the largest request.
struct Watched;

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(size));
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    Overwrite(Index, Vec<u8>),
    Cut(Index),
    /// One digit of the text becomes many: numbers in JSON get huge.
    Digits(Index, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = || prop_oneof![vec(any::<u8>(), 1..9), Just(vec![0xff; 8]), Just(vec![0; 4])];
    let change = prop_oneof![
        4 => (any::<Index>(), 1_u8..).prop_map(|(place, mask)| Change::Flip(place, mask)),
        2 => (any::<Index>(), bytes()).prop_map(|(place, bytes)| Change::Insert(place, bytes)),
        2 => (any::<Index>(), 1_usize..20).prop_map(|(place, n)| Change::Delete(place, n)),
        4 => (any::<Index>(), bytes()).prop_map(|(place, bytes)| Change::Overwrite(place, bytes)),
        1 => any::<Index>().prop_map(Change::Cut),
        2 => (any::<Index>(), 1_usize..22).prop_map(|(place, n)| Change::Digits(place, n)),
    ];
    vec(change, 1..4)
}

fn changed(original: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for change in changes {
        let end = bytes.len();
        if end == 0 {
            break;
        }
        match change {
            Change::Flip(place, mask) => bytes[place.index(end)] ^= mask,
            Change::Insert(place, new) => {
                let place = place.index(end);
                bytes.splice(place..place, new.iter().copied());
            }
            Change::Delete(place, count) => {
                let place = place.index(end);
                bytes.drain(place..(place + count).min(end));
            }
            Change::Overwrite(place, new) => {
                let place = place.index(end);
                bytes.splice(place..(place + new.len()).min(end), new.iter().copied());
            }
            Change::Cut(place) => bytes.truncate(place.index(end)),
            Change::Digits(place, count) => {
                let digits: Vec<_> = (0..end).filter(|&i| bytes[i].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    let place = digits[place.index(digits.len())];
                    bytes.splice(place..place, std::iter::repeat_n(b'9', *count));
                }
            }
        }
    }
    bytes
}

/// Reads everything; errors are fine.
fn read(path: &Path) {
    if let Ok(weights) = Weights::open(path) {
        read_all(&weights);
    }
    assert!(LARGEST.get() <= LARGEST_ALLOWED, "a huge allocation");
}

fn read_all(weights: &Weights) {
    for name in weights.names() {
        if let Ok(array) = weights.get(name) {
            assert_eq!(array.shape, weights.shape(name).unwrap());
            assert_eq!(array.shape.iter().product::<usize>(), array.data.len());
        }
    }
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

proptest! {
    #[test]
    fn of_safetensors_files(changes in changes()) {
        let folder = Folder::new();
        read(&folder.file("w.safetensors", changed(&bytes_of("state_dict.expected.safetensors"), &changes)));
    }

    /// The length in front is right, so that the changed header is read at all.
    #[test]
    fn of_safetensors_headers(changes in changes()) {
        let bytes = bytes_of("sharded.expected.safetensors");
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = changed(&bytes[8..end], &changes);
        let length = (header.len() as u64).to_le_bytes();
        let folder = Folder::new();
        read(&folder.file("w.safetensors", [&length[..], &header, &bytes[end..]].concat()));
    }

    #[test]
    fn of_zip_archives(changes in changes()) {
        let folder = Folder::new();
        for name in ["small.pt", "deflated.bin"] {
            read(&folder.file(name, changed(&bytes_of(name), &changes)));
        }
    }

    /// The archive around it is whole, so that the changed pickle is read at all.
    #[test]
    fn of_pickles(changes in changes()) {
        let folder = Folder::new();
        for name in ["small.pt", "state_dict.bin", "protocol_4.pt", "checkpoint.ckpt"] {
            let mut members = unzip(&bytes_of(name));
            for (_, content) in members.iter_mut().filter(|(name, _)| name.ends_with("data.pkl")) {
                *content = changed(content, &changes);
            }
            let members: Vec<_> =
                members.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
            read(&folder.file(name, zip(&members)));
        }
    }

    #[test]
    fn of_indices(changes in changes()) {
        let folder = Folder::new();
        let index = "model.safetensors.index.json";
        for shard in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
            folder.file(shard, bytes_of(&format!("sharded_safetensors/{shard}")));
        }
        let bytes = bytes_of(&format!("sharded_safetensors/{index}"));
        read(&folder.file(index, changed(&bytes, &changes)));
    }

    #[test]
    fn of_onnx_models(changes in changes()) {
        let folder = Folder::new();
        let kinds = bytes_of("kinds.onnx");
        for bytes in [crate::onnx::small(), bytes_of("gemm.onnx"), kinds] {
            if let Ok(model) = Model::open(folder.file("m.onnx", changed(&bytes, &changes))) {
                read_all(&model.initialisers);
            }
        }
        prop_assert!(LARGEST.get() <= LARGEST_ALLOWED, "a huge allocation");
    }

    #[test]
    fn of_anything(bytes in vec(any::<u8>(), 0..200)) {
        let folder = Folder::new();
        for name in ["w.safetensors", "w.bin", "model.safetensors.index.json"] {
            read(&folder.file(name, &bytes));
        }
        read(&folder.file("w.pt", zip(&[("a/data.pkl", &bytes)])));
        let _ = Model::open(folder.file("m.onnx", &bytes));
    }
}
