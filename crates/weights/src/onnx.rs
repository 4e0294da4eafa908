//! The initialisers of ONNX models, and the nodes that say where they are used.
//!
//! An exporter names a weight after the module it is of, but for the second operand of a `MatMul`
//! often makes up a name; then the node that it feeds tells what it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::array::Array;
use crate::cursor::utf8;
use crate::dtype::Dtype;
use crate::error::WeightsError;
use crate::mapped::Mapped;
use crate::protobuf::{Field, Value, fields, varints};
use crate::weights::{Source, Weights};

/// What is read of an ONNX model.
#[derive(Debug)]
pub struct Model {
    /// The initialisers of the graph.
    pub initialisers: Weights,
    /// The nodes of the graph, in the order of the file, without those of subgraphs.
    pub nodes: Vec<Node>,
}

/// A node of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The operator, for example `MatMul`.
    pub op_type: String,
    /// The name; exporters write the path of the module. May be empty.
    pub name: String,
    /// The names of what goes in: initialisers, or outputs of other nodes. An optional input that
    /// is left out is empty.
    pub inputs: Vec<String>,
    /// The names of what comes out.
    pub outputs: Vec<String>,
    /// The attributes that are integers, such as `transB` of a `Gemm`.
    pub ints: BTreeMap<String, i64>,
}

impl Model {
    /// Reads the graph of a model; an initialiser is read when it is asked for.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, is no ONNX model, or two initialisers have one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let file = Mapped::open(path)?;
        let mut nodes = Vec::new();
        let mut tensors = BTreeMap::new();
        graph(&file, &mut nodes, &mut tensors)
            .map_err(|detail| WeightsError::file(path, format!("ONNX model: {detail}")))?;
        Ok(Self { initialisers: Weights::new(path, Initialisers { file, tensors }), nodes })
    }
}

/// Reads every part of the graph: the format lets a message come in several.
fn graph(
    file: &Mapped,
    nodes: &mut Vec<Node>,
    tensors: &mut BTreeMap<String, Initialiser>,
) -> Result<(), String> {
    let bytes = file.bytes();
    let mut found = false;
    for field in fields(bytes, 0..bytes.len()) {
        let Field { number: 7, value: Value::Bytes(graph) } = field? else { continue };
        found = true;
        for field in fields(bytes, graph) {
            match field? {
                Field { number: 1, value: Value::Bytes(range) } => nodes.push(node(bytes, range)?),
                Field { number: 5, value: Value::Bytes(range) } => {
                    let (name, tensor) = initialiser(bytes, range)?;
                    if tensors.contains_key(&name) {
                        return Err(format!("the initialiser {name:?} comes twice"));
                    }
                    tensors.insert(name, tensor);
                }
                _ => {}
            }
        }
    }
    if found { Ok(()) } else { Err("expected a graph".into()) }
}

fn node(bytes: &[u8], range: Range<usize>) -> Result<Node, String> {
    let mut node = Node::default();
    for field in fields(bytes, range) {
        let Field { number, value: Value::Bytes(range) } = field? else { continue };
        match number {
            1 => node.inputs.push(text(bytes, range)?),
            2 => node.outputs.push(text(bytes, range)?),
            3 => node.name = text(bytes, range)?,
            4 => node.op_type = text(bytes, range)?,
            5 => node.ints.extend(int_attribute(bytes, range)?),
            _ => {}
        }
    }
    Ok(node)
}

/// Name and value of an attribute that is an integer.
fn int_attribute(bytes: &[u8], range: Range<usize>) -> Result<Option<(String, i64)>, String> {
    let (mut name, mut int) = (String::new(), None);
    for field in fields(bytes, range) {
        match field? {
            Field { number: 1, value: Value::Bytes(range) } => name = text(bytes, range)?,
            Field { number: 3, value: Value::Number(number) } => int = Some(number as i64),
            _ => {}
        }
    }
    Ok(int.map(|int| (name, int)))
}

fn text(bytes: &[u8], range: Range<usize>) -> Result<String, String> {
    utf8(&bytes[range]).map(str::to_string)
}

struct Initialisers {
    file: Mapped,
    tensors: BTreeMap<String, Initialiser>,
}

struct Initialiser {
    shape: Vec<usize>,
    /// The number that the format gives to the element type.
    data_type: u64,
    is_external: bool,
    /// The whole message.
    place: Range<usize>,
}

/// Reads everything of an initialiser but its elements.
fn initialiser(bytes: &[u8], place: Range<usize>) -> Result<(String, Initialiser), String> {
    let mut name = String::new();
    let (mut dims, mut data_type, mut is_external) = (Vec::new(), 0, false);
    for field in fields(bytes, place.clone()) {
        match field? {
            Field { number: 1, value: Value::Number(size) } => dims.push(size),
            Field { number: 1, value: Value::Bytes(range) } => dims.extend(varints(bytes, range)?),
            Field { number: 2, value: Value::Number(number) } => data_type = number,
            Field { number: 8, value: Value::Bytes(range) } => name = text(bytes, range)?,
            Field { number: 13, .. } => is_external = true,
            _ => {}
        }
    }
    // A negative size is a huge number here, and no file has bytes for it.
    let shape = dims.iter().map(|&size| usize::try_from(size)).collect::<Result<_, _>>();
    let shape = shape.map_err(|_| format!("the initialiser {name:?} has sizes {dims:?}"))?;
    Ok((name, Initialiser { shape, data_type, is_external, place }))
}

impl Initialiser {
    fn read(&self, bytes: &[u8]) -> Result<Array, String> {
        if self.is_external {
            return Err("its elements are in another file; save the model as one file".into());
        }
        let dtype = dtype(self.data_type)
            .ok_or_else(|| format!("elements of ONNX type {} are not read", self.data_type))?;
        dtype.array(&self.shape, &self.elements(bytes, dtype)?)
    }

    /// The elements as little-endian bytes, from whichever field holds them.
    fn elements(&self, bytes: &[u8], dtype: Dtype) -> Result<Vec<u8>, String> {
        let mut elements = Vec::new();
        // Small types stand in wider numbers, of which they are the lowest bytes.
        let narrow = |number: u64| number.to_le_bytes().into_iter().take(dtype.size());
        for field in fields(bytes, self.place.clone()) {
            match field? {
                // raw_data, and float_data or double_data: the bytes as they are
                Field { number: 4 | 9 | 10, value: Value::Bytes(range) | Value::Fixed(range) } => {
                    elements.extend_from_slice(&bytes[range]);
                }
                // int32_data, int64_data, uint64_data
                Field { number: 5 | 7 | 11, value: Value::Bytes(range) } => {
                    elements.extend(varints(bytes, range)?.into_iter().flat_map(narrow));
                }
                Field { number: 5 | 7 | 11, value: Value::Number(number) } => {
                    elements.extend(narrow(number));
                }
                _ => {}
            }
        }
        Ok(elements)
    }
}

impl Source for Initialisers {
    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    fn read(&self, name: &str) -> Result<Array, WeightsError> {
        let path = self.file.path();
        let tensor = self.tensors.get(name).ok_or_else(|| WeightsError::missing(path, name))?;
        tensor
            .read(self.file.bytes())
            .map_err(|detail| WeightsError::tensor(path, name, detail))?
            .finite(path, name)
    }
}

fn dtype(data_type: u64) -> Option<Dtype> {
    Some(match data_type {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        16 => Dtype::Bf16,
        _ => return None,
    })
}
