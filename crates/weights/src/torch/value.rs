//! What a pickle may hold.

use crate::dtype::Dtype;

/// Place of a value among all values of a pickle.
pub(super) type Id = usize;

/// A value. Values name each other by place: a pickle can share them, and nest them so deeply (or
/// within themselves) that owning ones could not be dropped.
pub(super) enum Value<'a> {
    /// None, truth values, floats, bytes and huge integers: nothing that a tensor is made of.
    Plain,
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
}

/// Elements in a file of the archive.
#[derive(Clone, Copy)]
pub(super) struct Storage {
    /// Element type; none where the tensors on it say theirs.
    pub(super) dtype: Option<Dtype>,
    /// The name of the file: a text.
    pub(super) key: Id,
    /// Number of elements, or of bytes where it has no element type.
    pub(super) count: i64,
}

/// A view of a storage. Nothing in it has been held against the storage yet.
#[derive(Clone, Copy)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) dtype: Dtype,
    /// In elements.
    pub(super) offset: i64,
    /// The sizes: a tuple.
    pub(super) shape: Id,
    /// How many elements apart neighbours are, for each dimension: a tuple.
    pub(super) stride: Id,
}

/// All that a pickle may import. Nothing is imported: each of these is understood here.
#[derive(Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    /// A tensor on a storage that knows its element type.
    RebuildTensorV2,
    /// A tensor that knows its element type, on a storage of bytes.
    RebuildTensorV3,
    /// A tensor that is trained.
    RebuildParameter,
    Storage(Option<Dtype>),
    Dtype(Dtype),
}

impl Global {
    pub(super) fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
            ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorV3,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch.storage", "UntypedStorage") => Global::Storage(None),
            ("torch", name) => match name.strip_suffix("Storage") {
                Some(element) => Global::Storage(Some(storage_dtype(element)?)),
                None => Global::Dtype(dtype(name)?),
            },
            _ => return None,
        })
    }
}

/// The element type of `torch.FloatStorage` and the like.
fn storage_dtype(element: &str) -> Option<Dtype> {
    Some(match element {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
        _ => return None,
    })
}

/// The element type of `torch.float32` and the like.
fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" => Dtype::F64,
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::Bool,
        _ => return None,
    })
}
