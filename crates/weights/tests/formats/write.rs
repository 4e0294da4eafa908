//! Writing safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use weft_weights::{Array, Weights, WeightsError, write};

use crate::common::{Folder, floats, ints};

fn metadata() -> BTreeMap<String, String> {
    ["licence", "author", "note", "base"].map(|key| (key.into(), format!("of {key}"))).into()
}

fn arrays() -> impl Strategy<Value = BTreeMap<String, Array>> {
    let array = (vec(0_usize..4, 0..4), any::<bool>()).prop_flat_map(|(shape, is_float)| {
        let count = shape.iter().product::<usize>();
        if is_float {
            let values = prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL;
            vec(values, count).prop_map(move |values| floats(&shape, values)).boxed()
        } else {
            vec(any::<i64>(), count).prop_map(move |values| ints(&shape, values)).boxed()
        }
    });
    btree_map(".{0,8}", array, 0..6)
}

proptest! {
    // Each waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn what_is_written_is_read(arrays in arrays()) {
        let folder = Folder::new();
        let path = folder.path().join("w.safetensors");
        write(&path, &arrays, &metadata()).unwrap();
        let weights = Weights::open(&path).unwrap();
        prop_assert_eq!(weights.names(), arrays.keys().collect::<Vec<_>>());
        for (name, array) in &arrays {
            prop_assert_eq!(&weights.get(name).unwrap(), array);
        }
    }

    #[test]
    fn the_order_of_tensors_does_not_change_the_bytes(arrays in arrays()) {
        let folder = Folder::new();
        let [forth, back] = ["forth", "back"].map(|name| folder.path().join(name));
        write(&forth, arrays.iter(), &metadata()).unwrap();
        write(&back, arrays.iter().rev(), &metadata()).unwrap();
        prop_assert_eq!(fs::read(forth).unwrap(), fs::read(back).unwrap());
    }
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let folder = Folder::new();
    let path = folder.path().join("w.safetensors");
    let [b, a, n] = [floats(&[2, 1], [1.0, -2.0]), floats(&[], [0.5]), ints(&[1], [7])];
    write(&path, [("b", &b), ("a", &a), ("n", &n)], &metadata()).unwrap();
    let header = concat!(
        r#"{"__metadata__":{"author":"of author","base":"of base","format":"pt","#,
        r#""licence":"of licence","note":"of note"},"#,
        r#""n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"#,
        r#""a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"#,
        r#""b":{"dtype":"F32","shape":[2,1],"data_offsets":[12,20]}}"#
    );
    let mut expected = header.as_bytes().to_vec();
    expected.resize(header.len().next_multiple_of(8), b' ');
    expected.splice(..0, (expected.len() as u64).to_le_bytes());
    expected.extend(7_i64.to_le_bytes());
    expected.extend([0.5_f32, 1.0, -2.0].iter().flat_map(|value| value.to_le_bytes()));
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn the_reference_implementation_reads_what_is_written() {
    let folder = Folder::new();
    let path = folder.path().join("w.safetensors");
    let awkward = "a \"quoted\"\n\u{1}name: ü";
    write(&path, [(awkward, &floats(&[3], [1.0, 2.0, 3.0]))], &metadata()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor(awkward).unwrap().shape(), [3]);
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut expected: HashMap<_, _> = metadata().into_iter().collect();
    expected.insert("format".into(), "pt".into());
    assert_eq!(header.metadata().as_ref(), Some(&expected));
}

/// Writing `tensors` over an old file fails and leaves it alone. Returns the message.
fn refused(tensors: &[(&str, &Array)]) -> String {
    let folder = Folder::new();
    let path = folder.file("w.safetensors", "old");
    let error = write(&path, tensors.iter().copied(), &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, WeightsError::Tensor { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(folder.names(), ["w.safetensors"]);
    error.to_string()
}

#[test]
fn tensors_that_cannot_be_written_are_errors() {
    let [one, int] = [floats(&[1], [1.0]), ints(&[1], [1])];
    assert!(refused(&[("a", &one), ("a", &one)]).contains("comes twice"));
    assert!(refused(&[("a", &one), ("a", &int)]).contains("comes twice"));
    assert!(refused(&[("a", &int), ("a", &one)]).contains("comes twice"));
    assert!(refused(&[("__metadata__", &one)]).contains("belongs to the format"));
    let short = floats(&[3], [1.0, 2.0]);
    assert!(refused(&[("short", &short)]).contains(r#""short": expected 3 elements"#));
    assert!(refused(&[("a", &floats(&[usize::MAX, 2], []))]).contains("expected"));
}

#[test]
fn nothing_is_left_of_a_file_that_cannot_take_its_place() {
    let folder = Folder::new();
    let path = folder.path().join("taken");
    fs::create_dir(&path).unwrap();
    let array = floats(&[1], [1.0]);
    let error = write(&path, [("a", &array)], &BTreeMap::new()).unwrap_err();
    assert!(matches!(&error, WeightsError::Io { path: named, .. } if *named == path), "{error}");
    assert_eq!(folder.names(), ["taken"]);

    let nowhere = folder.path().join("nowhere/w.safetensors");
    let message = write(&nowhere, [("a", &array)], &BTreeMap::new()).unwrap_err().to_string();
    assert!(message.starts_with(nowhere.to_str().unwrap()), "{message}");
}

#[cfg(unix)]
#[test]
fn a_written_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.path().join("w.safetensors");
    write(&path, [("a", &floats(&[1], [1.0]))], &BTreeMap::new()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&folder.file("other", "")));
}
