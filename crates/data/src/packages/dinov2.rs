//! A DINOv2 in an ONNX model as the weights file that Hugging Face has of one.
//!
//! The exporter kept the names of biases, norms and tokens. It made up others for what it computed
//! from parameters: the second operands of matrix products, which are weights transposed, and the
//! position embeddings, cut into those of the class token and of the grid. The nodes that use them
//! tell which is which. Their order does not: here keys come before values, and queries after both.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use weft_weights::onnx::Model;
use weft_weights::{Array, Data};

use super::error::PackageError;
use super::manifest::Convert;

/// What the names of the encoder's parameters begin with in the model.
const PREFIX: &str = "backbone.";
const POSITIONS: &str = "embeddings.position_embeddings";

/// The sizes in a `config.json`.
#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    image_size: usize,
    mlp_ratio: usize,
    num_channels: usize,
    num_hidden_layers: usize,
    patch_size: usize,
}

/// Where a parameter comes from: names of initialisers.
enum Origin<'a> {
    /// As it is.
    Same(&'a str),
    /// With its two dimensions exchanged.
    Transposed(&'a str),
    /// Behind one another, as the rows of one table.
    Rows([&'a str; 2]),
}

/// Writes the weights that `convert` names, from the model and the `config.json` in `folder`.
pub(super) fn convert(folder: &Path, convert: &Convert) -> Result<(), PackageError> {
    let path = folder.join(&convert.from);
    let failed = |detail: String| PackageError::Convert { path: path.clone(), detail };
    let config = config(&folder.join("config.json"))?;
    let model = Model::open(&path)?;
    let mut origins = origins(&model).map_err(failed)?;

    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes(&config) {
        let origin =
            origins.remove(&name).ok_or_else(|| failed(format!("found no parameter {name:?}")))?;
        let array = read(&model, &origin)?;
        if array.shape != shape {
            let found = array.shape;
            return Err(failed(format!("{name:?}: expected the shape {shape:?}, found {found:?}")));
        }
        tensors.insert(name, array);
    }
    if let Some(name) = origins.keys().next() {
        return Err(failed(format!("holds a parameter {name:?} that a DINOv2 of its sizes lacks")));
    }
    Ok(weft_weights::write(folder.join(&convert.file), &tensors, &BTreeMap::new())?)
}

fn config(path: &Path) -> Result<Config, PackageError> {
    let text = std::fs::read_to_string(path).map_err(PackageError::io(path))?;
    serde_json::from_str(&text)
        .map_err(|error| PackageError::Convert { path: path.into(), detail: error.to_string() })
}

/// The parameters that a DINOv2 has, without the mask token.
fn shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let Config { hidden_size: width, num_channels, patch_size: patch, .. } = *config;
    let inner = width * config.mlp_ratio;
    // Patches of no size fit to no shape that is found.
    let grid = config.image_size.checked_div(patch).unwrap_or(0);
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.cls_token".into(), vec![1, 1, width]),
        (POSITIONS.into(), vec![1, 1 + grid * grid, width]),
        (
            "embeddings.patch_embeddings.projection.weight".into(),
            vec![width, num_channels, patch, patch],
        ),
        ("embeddings.patch_embeddings.projection.bias".into(), vec![width]),
    ];
    let norm =
        |name: String| ["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![width]));
    for layer in 0..config.num_hidden_layers {
        let layer = format!("encoder.layer.{layer}");
        for (name, output, input) in [
            ("attention.attention.query", width, width),
            ("attention.attention.key", width, width),
            ("attention.attention.value", width, width),
            ("attention.output.dense", width, width),
            ("mlp.fc1", inner, width),
            ("mlp.fc2", width, inner),
        ] {
            shapes.push((format!("{layer}.{name}.weight"), vec![output, input]));
            shapes.push((format!("{layer}.{name}.bias"), vec![output]));
        }
        for part in [1, 2] {
            shapes.extend(norm(format!("{layer}.norm{part}")));
            shapes.push((format!("{layer}.layer_scale{part}.lambda1"), vec![width]));
        }
    }
    shapes.extend(norm("layernorm".into()));
    shapes
}

/// The parameters that the model has, by their published names.
fn origins(model: &Model) -> Result<BTreeMap<String, Origin<'_>>, String> {
    let mut origins = BTreeMap::new();
    for name in model.initialisers.names() {
        if let Some(published) = name.strip_prefix(PREFIX) {
            origins.insert(published.to_string(), Origin::Same(name));
        }
    }
    let biases = biases(model);
    for node in model.nodes.iter().filter(|node| node.op_type == "MatMul") {
        let [_, weight] = node.inputs.as_slice() else { continue };
        if !model.initialisers.contains(weight) {
            continue; // of queries with keys, of scores with values
        }
        let name = node.outputs.first().and_then(|output| biases.get(output.as_str()));
        let name = name.ok_or_else(|| format!("no bias tells what {weight:?} is"))?;
        if origins.insert(format!("{name}.weight"), Origin::Transposed(weight)).is_some() {
            return Err(format!("two weights belong to the bias of {name:?}"));
        }
    }
    let rows = [anonymous(model, "Concat")?, anonymous(model, "Reshape")?];
    origins.insert(POSITIONS.into(), Origin::Rows(rows));
    Ok(origins)
}

/// By what it is added to, the published name of each bias without its last part.
fn biases(model: &Model) -> BTreeMap<&str, &str> {
    let mut biases = BTreeMap::new();
    for node in model.nodes.iter().filter(|node| node.op_type == "Add") {
        let [a, b] = node.inputs.as_slice() else { continue };
        for (bias, other) in [(a, b), (b, a)] {
            if let Some(name) =
                bias.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".bias"))
                && model.initialisers.contains(bias)
            {
                biases.insert(other.as_str(), name);
            }
        }
    }
    biases
}

/// The one initialiser with a name made up that goes into a node of this operator.
fn anonymous<'a>(model: &'a Model, op_type: &str) -> Result<&'a str, String> {
    let is_anonymous =
        |input: &&String| !input.starts_with(PREFIX) && model.initialisers.contains(input.as_str());
    let nodes = model.nodes.iter().filter(|node| node.op_type == op_type);
    let found: Vec<&String> =
        nodes.flat_map(|node| node.inputs.iter().filter(is_anonymous)).collect();
    match found.as_slice() {
        [name] => Ok(name),
        other => {
            Err(format!("expected one {op_type} with position embeddings, found {}", other.len()))
        }
    }
}

fn read(model: &Model, origin: &Origin) -> Result<Array, PackageError> {
    let floats = |name: &str| {
        let array = model.initialisers.get(name)?;
        Ok::<_, PackageError>((array.shape.clone(), array.into_floats(name)?))
    };
    let (shape, values) = match origin {
        Origin::Same(name) => floats(name)?,
        Origin::Transposed(name) => {
            let (shape, values) = floats(name)?;
            transposed(shape, values)
        }
        Origin::Rows([first, second]) => {
            let ((mut shape, mut values), (more_shape, more)) = (floats(first)?, floats(second)?);
            // What does not fit together is found out by the shape that results.
            if let ([_, rows, _], [_, more_rows, _]) = (shape.as_mut_slice(), more_shape.as_slice())
            {
                *rows += more_rows;
            }
            values.extend(more);
            (shape, values)
        }
    };
    Ok(Array { shape, data: Data::Float(values) })
}

/// Exchanges the dimensions of a matrix; anything else stays as it is.
fn transposed(shape: Vec<usize>, values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let [rows, columns] = shape[..] else { return (shape, values) };
    let column = |column| values.iter().skip(column).step_by(columns).copied();
    let exchanged = (0..columns).flat_map(column).collect();
    (vec![columns, rows], exchanged)
}
