//! Pickles that lie.

use weft_weights::Weights;

use crate::common::{Folder, floats, open_error, zip};

/// What is pickled of a tensor of the floats in `data/0`.
#[derive(Clone)]
struct Tensor<'a> {
    kind: &'a str,
    key: &'a str,
    count: i32,
    offset: i32,
    shape: &'a [i32],
    stride: &'a [i32],
}

/// All six elements, as three rows.
const WHOLE: Tensor =
    Tensor { kind: "FloatStorage", key: "0", count: 6, offset: 0, shape: &[3, 2], stride: &[2, 1] };

fn int(number: i32) -> Vec<u8> {
    [&b"J"[..], &number.to_le_bytes()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn tuple(items: &[i32]) -> Vec<u8> {
    [b"(".to_vec(), items.iter().flat_map(|&item| int(item)).collect(), b"t".to_vec()].concat()
}

impl Tensor<'_> {
    fn pickled(&self) -> Vec<u8> {
        [
            &b"ctorch._utils\n_rebuild_tensor_v2\n(("[..],
            &text("storage"),
            format!("ctorch\n{}\n", self.kind).as_bytes(),
            &text(self.key),
            &text("cpu"),
            &int(self.count),
            b"tQ",
            &int(self.offset),
            &tuple(self.shape),
            &tuple(self.stride),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
        .concat()
    }
}

/// A file whose root is a dictionary of these items, each a key and a value.
fn file(items: &[Vec<u8>]) -> Vec<u8> {
    archive(&[&b"\x80\x02}("[..], &items.concat(), b"u."].concat())
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let storage: Vec<u8> = (0..6).flat_map(|value| (value as f32).to_le_bytes()).collect();
    zip(&[("a/data.pkl", pickle), ("a/data/0", &storage)])
}

#[test]
fn floats_that_are_not_finite_are_an_error_that_names_the_tensor() {
    let pickle = [&b"\x80\x02}"[..], &text("w"), &WHOLE.pickled(), b"s."].concat();
    let storage = [0.0, 1.0, 2.0, 3.0, f32::INFINITY, 5.0].map(f32::to_le_bytes).concat();
    let folder = Folder::new();
    let path = folder.file("w.pt", zip(&[("data.pkl", &pickle), ("data/0", &storage)]));
    let message = Weights::open(path).unwrap().get("w").unwrap_err().to_string();
    assert!(message.contains(r#"w.pt: tensor "w": 1 of 6 elements are not finite"#), "{message}");
}

#[test]
fn tensors_of_other_kinds_are_errors() {
    let plain = WHOLE.pickled();
    let arguments = plain.strip_suffix(b"tR").unwrap();
    let ended = |end: &[u8]| [arguments, end].concat();
    let folder = Folder::new();
    let path = folder.file("w.pt", file(&[text("w"), ended(b"NtR")]));
    assert!(Weights::open(path).unwrap().get("w").is_ok());

    let message = error_of(&file(&[text("w"), ended(b"}tR")]));
    assert!(message.contains("a conjugate or negated view is not read"), "{message}");
    let message = error_of(&file(&[text("w"), ended(b"NNtR")]));
    assert!(message.contains("a tensor of 8 arguments"), "{message}");

    // The third version of the call wants a storage of bytes, the second one that has a type.
    let third = replaced(&ended(b"ctorch\nfloat32\ntR"), "_v2", "_v3");
    let message = error_of(&file(&[text("w"), third]));
    assert!(message.contains("expected a storage without an element type"), "{message}");
    let untyped = replaced(&plain, "ctorch\nFloatStorage", "ctorch.storage\nUntypedStorage");
    let message = error_of(&file(&[text("w"), untyped]));
    assert!(message.contains("expected a storage with an element type"), "{message}");
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&bytes[..place], to.as_bytes(), &bytes[place + from.len()..]].concat()
}

fn error_of(content: &[u8]) -> String {
    let folder = Folder::new();
    open_error(&folder.file("w.pt", content))
}

#[test]
fn views_are_read_in_row_major_order() {
    let cases: [(Tensor, &[f32]); 6] = [
        (WHOLE, &[0., 1., 2., 3., 4., 5.]),
        (Tensor { shape: &[2, 3], stride: &[1, 2], ..WHOLE }, &[0., 2., 4., 1., 3., 5.]),
        (Tensor { offset: 1, shape: &[2, 2], stride: &[3, 1], ..WHOLE }, &[1., 2., 4., 5.]),
        (Tensor { shape: &[2, 2], stride: &[0, 1], ..WHOLE }, &[0., 1., 0., 1.]),
        (Tensor { offset: 5, shape: &[], stride: &[], ..WHOLE }, &[5.]),
        (Tensor { offset: 9, shape: &[0, 7], stride: &[7, 1], ..WHOLE }, &[]),
    ];
    let folder = Folder::new();
    for (tensor, expected) in cases {
        let path = folder.file("w.pt", file(&[text("w"), tensor.pickled()]));
        let shape: Vec<_> = tensor.shape.iter().map(|&size| size as usize).collect();
        let found = Weights::open(path).unwrap().get("w").unwrap();
        assert_eq!(found, floats(&shape, expected));
    }
}

#[test]
fn views_that_leave_their_storage_are_errors_that_name_the_tensor() {
    let behind = "reaches behind the 6 elements of its storage";
    let cases = [
        (Tensor { offset: 1, ..WHOLE }, behind),
        (Tensor { shape: &[4, 2], ..WHOLE }, behind),
        (Tensor { stride: &[3, 1], ..WHOLE }, behind),
        (Tensor { stride: &[i32::MAX, i32::MAX], ..WHOLE }, behind),
        (Tensor { offset: i32::MAX, shape: &[], stride: &[], ..WHOLE }, behind),
        (Tensor { shape: &[i32::MAX; 2], stride: &[i32::MAX; 2], ..WHOLE }, behind),
        (Tensor { shape: &[i32::MAX; 3], stride: &[0; 3], ..WHOLE }, "too large"),
        (Tensor { shape: &[1 << 20, 2], stride: &[0; 2], ..WHOLE }, "6 elements as 2097152"),
        (Tensor { offset: -1, ..WHOLE }, "its offset is negative"),
        (Tensor { shape: &[-1], stride: &[1], ..WHOLE }, "a size or stride is no number"),
        (Tensor { stride: &[2, -1], ..WHOLE }, "a size or stride is no number"),
        (Tensor { stride: &[1], ..WHOLE }, "as many strides as sizes"),
        (Tensor { shape: &[1; 65], stride: &[1; 65], ..WHOLE }, "65 dimensions"),
        (Tensor { count: 7, ..WHOLE }, "claims 7 elements of 4 bytes, the zip archive holds 24"),
        (Tensor { count: -1, ..WHOLE }, "claims -1 elements"),
        (Tensor { kind: "DoubleStorage", ..WHOLE }, "claims 6 elements of 8 bytes"),
        (Tensor { key: "1", ..WHOLE }, "its storage data/1 is not in the zip archive"),
        (Tensor { key: "../data.pkl", ..WHOLE }, "data/../data.pkl is not in the zip archive"),
    ];
    for (tensor, expected) in cases {
        let message = error_of(&file(&[text("layer.w"), tensor.pickled()]));
        assert!(message.contains(r#": tensor "layer.w": "#), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn only_what_tensors_need_is_imported() {
    let refused = [
        (&b"\x80\x02cos\nsystem\n."[..], "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x02cbuiltins\neval\n.", "builtins.eval"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02ctorch\nComplexFloatStorage\n.", "torch.ComplexFloatStorage"),
        (b"\x80\x02ctorch\nfloat8_e4m3fn\n.", "torch.float8_e4m3fn"),
        (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "_rebuild_sparse_tensor"),
    ];
    for (pickle, global) in refused {
        let message = error_of(&archive(pickle));
        assert!(message.contains("refused to import "), "{message}");
        assert!(message.contains(global), "{message}");
    }
}

#[test]
fn broken_pickles_are_errors() {
    let cases = [
        (&b""[..], "before byte 0: expected 1 bytes"),
        (b"\x80\x02", "expected 1 bytes, 0 are left"),
        (b".", "the stack is empty"),
        (b"0.", "the stack is empty"),
        (b"N(.", "the stack is empty"),
        (b"N(\x85.", "the stack is empty"),
        (b"Nt.", "no mark is set"),
        (b"h\x00.", "nothing was kept at 0"),
        (b"j\xff\xff\xff\xff.", "nothing was kept at 4294967295"),
        (b"q\x00.", "the stack is empty"),
        (b"\x80\x06.", "pickle protocol 6"),
        (b"\x80\x01.", "pickle protocol 1"),
        (b"X\xff\xff\xff\xffa.", "expected 4294967295 bytes, 2 are left"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "expected 18446744073709551615 bytes"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa.", "expected 9223372036854775807 bytes"),
        (b"X\x01\x00\x00\x00\xff.", "text: "),
        (b"ctorch", "a line does not end"),
        (b"}(Nu.", "a key has no value"),
        (b"NNNs.", "expected a dictionary"),
        (b"NNa.", "expected a list"),
        (b"NNb.", "expected a dictionary"),
        (b"N)R.", "a call that is not read"),
        (b"ccollections\nOrderedDict\nNR.", "expected a tuple"),
        (b"ccollections\nOrderedDict\n)\x85R.", "a call that is not read"),
        (b"ctorch\nfloat32\n)R.", "a call that is not read"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "a tensor of 0 arguments"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR.", "expected a storage"),
        (b"ctorch._utils\n_rebuild_parameter\n(NNNtR.", "expected the tensor of a parameter"),
        (b"NQ.", "expected the description of a storage"),
        (b")Q.", "a storage of 0 parts"),
        (b"(NNNNNtQ.", "expected the description of a storage"),
        (b"NN\x93.", "expected the name of something"),
        (b"P0\n.", "instruction 0x50 is not read"),
        (b"\x82\x01.", "instruction 0x82 is not read"),
        (b"}NNs.", "a key is neither text nor number"),
    ];
    for (pickle, expected) in cases {
        let message = error_of(&archive(pickle));
        assert!(message.contains("pickle of tensors: "), "{message}");
        assert!(message.contains(expected), "{pickle:?}: {message}");
    }
}

#[test]
fn what_is_no_tensor_is_counted() {
    let items = [
        [text("w"), WHOLE.pickled()].concat(),
        [text("none"), b"N".to_vec()].concat(),
        [text("bytes"), b"C\x02ab".to_vec()].concat(),
        [text("long"), b"\x8a\x09\0\0\0\0\0\0\0\0\x01".to_vec()].concat(),
        [text("type"), b"ctorch\nfloat32\n".to_vec()].concat(),
        [int(-1), b"K\x05M\x01\x02\x86".to_vec()].concat(),
        [text("empty"), b"]".to_vec()].concat(),
        b"\x8a\x02\xff\x00G\0\0\0\0\0\0\0\0".to_vec(),
        [b"\x8a\x01\xfe".to_vec(), WHOLE.pickled()].concat(),
        [b"\x8a\x00".to_vec(), WHOLE.pickled()].concat(),
    ];
    let folder = Folder::new();
    let weights = Weights::open(folder.file("w.pt", file(&items))).unwrap();
    assert_eq!(weights.names(), ["-2", "0", "w"]);
    assert_eq!(weights.ignored(), 7);
}

#[test]
fn two_tensors_of_one_name_are_an_error() {
    for items in [
        vec![text("w"), WHOLE.pickled(), text("w"), WHOLE.pickled()],
        vec![
            text("a.w"),
            WHOLE.pickled(),
            text("a"),
            b"}".to_vec(),
            text("w"),
            WHOLE.pickled(),
            b"s".to_vec(),
        ],
        vec![text("1"), WHOLE.pickled(), int(1), WHOLE.pickled()],
    ] {
        let message = error_of(&file(&items));
        assert!(message.contains("comes twice"), "{message}");
    }
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| {
        let lists = [b"]".repeat(depth), b"a".repeat(depth - 1)].concat();
        archive(&[&b"\x80\x02"[..], &lists, b"."].concat())
    };
    let folder = Folder::new();
    assert!(Weights::open(folder.file("w.pt", nested(64))).is_ok());
    for depth in [100, 1_000_000] {
        let message = error_of(&nested(depth));
        assert!(message.contains("nested more than 64 levels deep"), "{message}");
    }
    // A list that holds itself.
    let message = error_of(&archive(b"\x80\x02]q\x00h\x00a."));
    assert!(message.contains("nested more than 64 levels deep"), "{message}");
}

#[test]
fn shared_values_do_not_multiply_without_end() {
    // Each of 60 lists holds the one before it four times.
    let mut pickle = b"\x80\x02]q\x00".to_vec();
    for level in 1..60_u8 {
        pickle.extend([b']', b'q', level, b'(']);
        pickle.extend([b'h', level - 1].repeat(4));
        pickle.push(b'e');
    }
    pickle.push(b'.');
    let message = error_of(&archive(&pickle));
    assert!(message.contains("names and shapes of more than"), "{message}");

    let message = error_of(&archive(&b"N0".repeat(3 << 20)));
    assert!(message.contains("instructions are not followed"), "{message}");
}
