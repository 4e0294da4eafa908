//! Safetensors files: element types, and headers that lie.

use weft_weights::{Weights, WeightsError};

use crate::common::{Folder, fixture, floats, ints, open_error, safetensors};

/// A header of one tensor `w`.
fn header(dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
}

#[test]
fn every_element_type_becomes_floats_or_integers() {
    let folder = Folder::new();
    let cases: [(&str, &[u8], _); 15] = [
        ("F64", &(-1e-3_f64).to_le_bytes(), floats(&[1], [-1e-3])),
        ("F32", &1.1_f32.to_le_bytes(), floats(&[1], [1.1])),
        ("F16", &[0x00, 0x3e], floats(&[1], [1.5])),
        ("F16", &[0x01, 0x80], floats(&[1], [-(2.0_f32.powi(-24))])),
        ("BF16", &[0xc0, 0x3f], floats(&[1], [1.5])),
        ("I64", &i64::MIN.to_le_bytes(), ints(&[1], [i64::MIN])),
        ("I32", &(-5_i32).to_le_bytes(), ints(&[1], [-5])),
        ("I16", &(-5_i16).to_le_bytes(), ints(&[1], [-5])),
        ("I8", &[0x80], ints(&[1], [-128])),
        ("U32", &[0xff; 4], ints(&[1], [u32::MAX.into()])),
        ("U16", &[0xff; 2], ints(&[1], [u16::MAX.into()])),
        ("U8", &[0xff], ints(&[1], [255])),
        ("BOOL", &[1], ints(&[1], [1])),
        ("BOOL", &[0], ints(&[1], [0])),
        ("BOOL", &[2], ints(&[1], [1])),
    ];
    for (dtype, data, expected) in cases {
        let header = header(dtype, "[1]", &format!("[0,{}]", data.len()));
        let path = folder.file("w.safetensors", safetensors(&header, data));
        assert_eq!(Weights::open(path).unwrap().get("w").unwrap(), expected, "{dtype}");
    }
}

#[test]
fn scalars_and_empty_tensors_are_read() {
    let header = r#"{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
                     "e":{"dtype":"I64","shape":[2,0],"data_offsets":[4,4]}}"#;
    let folder = Folder::new();
    let path = folder.file("w.safetensors", safetensors(header, &2_f32.to_le_bytes()));
    let weights = Weights::open(path).unwrap();
    assert_eq!(weights.names(), ["e", "s"]);
    assert_eq!(weights.get("s").unwrap(), floats(&[], [2.0]));
    assert_eq!(weights.get("e").unwrap(), ints(&[2, 0], []));
    assert!(weights.contains("e") && !weights.contains("w"));
    assert_eq!(weights.ignored(), 0);
}

#[test]
fn a_name_that_is_not_there_is_an_error() {
    let weights = Weights::open(fixture("sharded.expected.safetensors")).unwrap();
    for error in [weights.get("tail").unwrap_err(), weights.shape("tail").unwrap_err()] {
        assert!(matches!(&error, WeightsError::Missing { tensor, .. } if tensor == "tail"));
        assert!(error.to_string().contains("sharded.expected.safetensors"));
    }
}

#[test]
fn the_other_kind_of_numbers_is_an_error_that_names_the_tensor() {
    let found = ints(&[1], [3]).floats("layer.weight").unwrap_err().to_string();
    assert_eq!(found, r#"tensor "layer.weight": expected floats, found integers"#);
    assert!(ints(&[1], [3]).into_floats("layer.weight").is_err());
    assert!(floats(&[1], [3.0]).ints("layer.weight").is_err());
    assert_eq!(floats(&[1], [3.0]).floats("w").unwrap(), [3.0]);
    assert_eq!(ints(&[1], [3]).ints("w").unwrap(), [3]);
}

#[test]
fn floats_that_are_not_finite_are_an_error() {
    let folder = Folder::new();
    let values = [1.0, f32::NAN, 2.0, f32::NEG_INFINITY];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let path =
        folder.file("nan.safetensors", safetensors(&header("F32", "[2,2]", "[0,16]"), &data));
    let message = Weights::open(&path).unwrap().get("w").unwrap_err().to_string();
    let expected = "2 of 4 elements are not finite as f32; the first is element 1, NaN";
    assert_eq!(message, format!("{}: tensor \"w\": {expected}", path.display()));

    let wide = safetensors(&header("F64", "[1]", "[0,8]"), &1e300_f64.to_le_bytes());
    let weights = Weights::open(folder.file("wide.safetensors", wide)).unwrap();
    assert!(weights.get("w").unwrap_err().to_string().contains("not finite as f32"));
}

#[test]
fn an_element_type_that_is_not_read_harms_no_other_tensor() {
    let header = r#"{"f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]},
                     "w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    let folder = Folder::new();
    let weights =
        Weights::open(folder.file("w.safetensors", safetensors(header, &[1, 2]))).unwrap();
    assert_eq!(weights.get("w").unwrap(), ints(&[1], [2]));
    let message = weights.get("f8").unwrap_err().to_string();
    assert!(message.contains(r#"tensor "f8": elements of type F8_E4M3 are not read"#), "{message}");
}

#[test]
fn headers_that_lie_are_errors_that_name_the_tensor() {
    let cases = [
        (header("F32", "[2]", "[0,4]"), "[2] elements of type F32 do not fill 4 bytes"),
        (header("F32", "[1]", "[4,8]"), "stands at 4..8 of 4 bytes"),
        (header("F32", "[1]", "[4,0]"), "stands at 4..0"),
        (header("F32", "[1]", "[0,18446744073709551615]"), "stands at 0..18446744073709551615"),
        (header("F32", "[4294967296,4294967296]", "[0,4]"), "do not fill 4 bytes"),
        (header("F32", "[4611686018427387905]", "[0,4]"), "do not fill 4 bytes"),
        (header("F32", "[-1]", "[0,4]"), "-1"),
        (header("F32", "[1.5]", "[0,4]"), "1.5"),
        (header("F33", "[1]", "[0,4]"), "F33"),
        (header("F32", "\"1\"", "[0,4]"), "expected a sequence"),
        (header("F32", "[1]", "[0]"), "expected a tuple of size 2"),
        (r#"{"w":{"dtype":"F32","shape":[1]}}"#.into(), "data_offsets"),
        (r#"{"w":null}"#.into(), "null"),
    ];
    let folder = Folder::new();
    for (header, expected) in cases {
        let path = folder.file("w.safetensors", safetensors(&header, &[0; 4]));
        let message = open_error(&path);
        assert!(message.contains(r#": tensor "w": "#), "{header}: {message}");
        assert!(message.contains(expected), "{header}: {message}");
    }
}

#[test]
fn headers_that_do_not_fit_their_file_are_errors() {
    let two = |first: &str, second: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{first}}},
                 "b":{{"dtype":"U8","shape":[2],"data_offsets":{second}}}}}"#
        )
    };
    let twice = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                    "a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
    let cases = [
        (two("[0,2]", "[1,3]"), "invalid offset"),
        (two("[0,2]", "[0,2]"), "invalid offset"),
        (two("[1,3]", "[3,5]"), "of 4 bytes"),
        (header("U8", "[2]", "[0,2]"), "the tensors fill 2 of 4 bytes"),
        (header("U8", "[2]", "[2,4]"), "invalid offset"),
        (twice.into(), r#"the name "a" comes twice"#),
        (r#"{"__metadata__":{"a":1}}"#.into(), "__metadata__"),
        ("{".into(), "EOF"),
        ("[]".into(), "expected an object"),
        ("\u{0}".into(), "expected value"),
        (format!(r#"{{"a":{}"#, "[".repeat(100_000)), "recursion limit"),
    ];
    let folder = Folder::new();
    for (header, expected) in cases {
        let path = folder.file("w.safetensors", safetensors(&header, &[0; 4]));
        let message = open_error(&path).to_lowercase();
        assert!(message.contains(&expected.to_lowercase()), "{message}");
    }
}

#[test]
fn lengths_of_the_header_that_lie_are_errors() {
    let folder = Folder::new();
    for length in [3, 100, 5_000_000_000, u64::MAX] {
        let path = folder.file("w.safetensors", [&length.to_le_bytes()[..], b"{}"].concat());
        let message = open_error(&path);
        assert!(message.contains(&format!("claims {length} bytes; 2 follow")), "{message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = std::fs::read(fixture("sharded.expected.safetensors")).unwrap();
    let folder = Folder::new();
    for length in 0..whole.len() {
        open_error(&folder.file("cut.safetensors", &whole[..length]));
    }
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = Folder::new();
    open_error(&folder.path().join("nothing.safetensors"));
    let message = open_error(&folder.file("weights.h5", ""));
    assert!(message.contains(".safetensors, .bin, .pt"), "{message}");
}
