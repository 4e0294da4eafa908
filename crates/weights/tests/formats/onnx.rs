//! ONNX models: two that torch exported, one of every element type, and messages that lie.

use weft_weights::Weights;
use weft_weights::onnx::{Model, Node};

use crate::common::{Folder, fixture, floats};

/// A varint field and a field of bytes.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(field << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    while value >= 0x80 {
        encoded.push(value as u8 | 0x80);
        value >>= 7;
    }
    encoded.push(value as u8);
    encoded
}

/// An initialiser `w` of these sizes and this element type, with `data` for its elements.
fn initialiser(sizes: &[u64], data_type: u64, data: Vec<u8>) -> Vec<u8> {
    let sizes: Vec<u8> = sizes.iter().flat_map(|&size| number(1, size)).collect();
    bytes(5, [sizes, number(2, data_type), bytes(8, "w"), data].concat())
}

pub fn model(graph: impl AsRef<[u8]>) -> Vec<u8> {
    [number(1, 8), bytes(7, graph)].concat()
}

/// A small model of two initialisers and a node.
pub fn small() -> Vec<u8> {
    let node = [
        bytes(1, "x"),
        bytes(1, "w"),
        bytes(2, "y"),
        bytes(3, "/head/Gemm"),
        bytes(4, "Gemm"),
        bytes(5, [bytes(1, "transB"), number(3, 1), number(20, 2)].concat()),
        bytes(5, [bytes(1, "alpha"), vec![2 << 3 | 5, 0, 0, 0x80, 0x3f]].concat()),
    ];
    let raw = [1_f32, 2.0].map(f32::to_le_bytes).concat();
    // Sizes and elements, packed and one by one.
    let packed = bytes(7, [varint(5), varint(u64::MAX)].concat());
    let ids = [bytes(1, [3]), number(2, 7), bytes(8, "ids"), packed, number(7, 6)];
    model(
        [bytes(1, node.concat()), initialiser(&[1, 2], 1, bytes(9, raw)), bytes(5, ids.concat())]
            .concat(),
    )
}

fn open(content: &[u8]) -> Result<Model, String> {
    let folder = Folder::new();
    let path = folder.file("m.onnx", content);
    Model::open(&path).map_err(|error| {
        let message = error.to_string();
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        message
    })
}

#[test]
fn nodes_and_initialisers_are_read() {
    let model = open(&small()).unwrap();
    assert_eq!(model.initialisers.names(), ["ids", "w"]);
    assert_eq!(model.initialisers.get("w").unwrap(), floats(&[1, 2], [1.0, 2.0]));
    assert_eq!(model.initialisers.get("ids").unwrap().ints("ids").unwrap(), [5, -1, 6]);
    let node = Node {
        op_type: "Gemm".into(),
        name: "/head/Gemm".into(),
        inputs: vec!["x".into(), "w".into()],
        outputs: vec!["y".into()],
        ints: [("transB".into(), 1)].into(),
    };
    assert_eq!(model.nodes, [node]);
}

#[test]
fn every_element_type_is_read_from_either_of_its_fields() {
    let found = Model::open(fixture("kinds.onnx")).unwrap().initialisers;
    let expected = Weights::open(fixture("kinds.expected.safetensors")).unwrap();
    let far = std::iter::once("external");
    assert_eq!(found.names(), far.chain(expected.names()).collect::<Vec<_>>());
    for name in expected.names() {
        assert_eq!(found.get(name).unwrap(), expected.get(name).unwrap(), "{name}");
    }
    let message = found.get("external").unwrap_err().to_string();
    assert!(
        message.contains(r#"tensor "external": its elements are in another file"#),
        "{message}"
    );
}

/// The initialiser among a node's inputs that has two dimensions.
fn weight_of<'a>(model: &Model, node: &'a Node) -> &'a str {
    let is_weight = |name: &&String| model.initialisers.shape(name).is_ok_and(|s| s.len() == 2);
    node.inputs.iter().find(is_weight).unwrap()
}

#[test]
fn the_weights_of_an_exported_model_are_found_by_their_nodes() {
    let expected = Weights::open(fixture("onnx_module.expected.safetensors")).unwrap();
    let weights = ["0.weight", "2.weight"].map(|name| expected.get(name).unwrap());

    let gemm = Model::open(fixture("gemm.onnx")).unwrap();
    let nodes: Vec<_> = gemm.nodes.iter().filter(|node| node.op_type == "Gemm").collect();
    assert_eq!(nodes.len(), 2);
    for (node, weight) in nodes.iter().zip(&weights) {
        assert_eq!(node.ints["transB"], 1);
        assert_eq!(&gemm.initialisers.get(weight_of(&gemm, node)).unwrap(), weight);
    }

    // As the second operand of a product, a weight is transposed.
    let matmul = Model::open(fixture("matmul.onnx")).unwrap();
    let nodes: Vec<_> = matmul.nodes.iter().filter(|node| node.op_type == "MatMul").collect();
    assert_eq!(nodes.len(), 2);
    for ((node, weight), name) in nodes.iter().zip(&weights).zip(["/0/MatMul", "/2/MatMul"]) {
        assert_eq!(node.name, name);
        let found = matmul.initialisers.get(weight_of(&matmul, node)).unwrap();
        let [rows, columns] = weight.shape[..] else { panic!("two dimensions") };
        assert_eq!(found.shape, [columns, rows]);
        let (found, weight) = (found.floats(name).unwrap(), weight.floats(name).unwrap());
        for (index, value) in found.iter().enumerate() {
            assert_eq!(*value, weight[index % rows * columns + index / rows]);
        }
    }
}

#[test]
fn messages_that_lie_are_errors() {
    let cases = [
        (vec![], "expected a graph"),
        (b"text".to_vec(), "wire type 4"),
        (vec![0x3a], "expected 1 bytes, 0 are left"),
        (vec![0x3a, 5, 1], "expected 5 bytes, 1 are left"),
        ([vec![0x3a], varint(u64::MAX)].concat(), "expected 18446744073709551615 bytes"),
        ([vec![0x3a], vec![0xff; 11]].concat(), "a number does not end"),
        (vec![0x39, 0, 0], "expected 8 bytes"),
        (model(bytes(1, bytes(4, [0xff]))), "text: "),
        (model([initialiser(&[], 1, vec![]), initialiser(&[], 1, vec![])].concat()), "twice"),
        (model(bytes(5, bytes(1, [0x80]))), "expected 1 bytes"),
    ];
    for (content, expected) in cases {
        let message = open(&content).unwrap_err();
        assert!(message.contains("ONNX model: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn initialisers_that_lie_are_errors_that_name_the_tensor() {
    let raw = bytes(9, [0; 8]);
    let cases = [
        (initialiser(&[3], 1, raw.clone()), "expected [3] elements of 4 bytes, found 8 bytes"),
        (initialiser(&[u64::MAX], 1, raw.clone()), "found 8 bytes"),
        (initialiser(&[1 << 32, 1 << 32], 1, raw.clone()), "found 8 bytes"),
        (initialiser(&[2], 1, vec![]), "found 0 bytes"),
        (initialiser(&[2], 1, [raw.clone(), raw.clone()].concat()), "found 16 bytes"),
        (initialiser(&[2], 8, raw.clone()), "elements of ONNX type 8 are not read"),
        (initialiser(&[2], 1, bytes(9, [0xff; 8])), "2 of 2 elements are not finite"),
        (initialiser(&[2], 1, [raw, bytes(13, "")].concat()), "another file"),
    ];
    for (graph, expected) in cases {
        let message = open(&model(graph)).unwrap().initialisers.get("w").unwrap_err().to_string();
        assert!(message.contains(r#"tensor "w": "#) && message.contains(expected), "{message}");
    }
}

#[test]
fn a_model_in_several_parts_is_one() {
    let part = |name: &str| bytes(7, bytes(1, bytes(3, name)));
    let model = open(&[part("a"), part("b")].concat()).unwrap();
    assert_eq!(model.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(), ["a", "b"]);
}
