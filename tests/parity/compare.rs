//! One fixture: the same weights and inputs, and every output and gradient of the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use weft_model::published::{self, Inputs, Outputs, PublishedModel};
use weft_weights::{Array, Weights};

/// Of outputs, absolute.
const OUTPUT_TOLERANCE: f64 = 1e-5;
/// Of the gradient of each parameter, relative to its norm.
const GRADIENT_TOLERANCE: f64 = 1e-4;
/// A gradient below this part of all gradients' norm is nothing but rounding: the bias of keys, for
/// example, shifts all scores of a row and so has none. Both sides must then be below it.
const ROUNDING: f64 = 1e-6;

/// How far weft is from the reference on a fixture.
#[derive(Debug, Default)]
pub struct Differences {
    outputs: usize,
    largest: f64,
    gradients: usize,
    largest_relative: f64,
    pub problems: Vec<String>,
}

impl Differences {
    pub const HEADER: &str = "| fixture | outputs | largest difference | gradients | largest \
                              relative difference |\n| --- | --- | --- | --- | --- |";

    /// A row of a Markdown table.
    pub fn row(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {:.1e} | {} | {:.1e} |",
            self.outputs, self.largest, self.gradients, self.largest_relative
        )
    }
}

/// Runs a fixture forward and backward.
pub fn compare(folder: &Path) -> Result<Differences> {
    let device = Device::flex().autodiff();
    let (model, coverage) = published::open(folder, &device)?;
    ensure!(coverage.missing.is_empty(), "missing tensors: {:?}", coverage.missing);
    ensure!(coverage.unexpected.is_empty(), "tensors without use: {:?}", coverage.unexpected);
    let io = Io::open(folder)?;
    let mut differences = Differences::default();
    comes_back(model.as_ref(), folder, &mut differences)?;
    let outputs = model.forward(&Inputs::new(io.inputs, &device))?;
    for (field, expected) in &io.outputs {
        output(field, expected, &outputs, &mut differences)?;
    }
    if !io.cotangents.is_empty() {
        let sum = inner_products(&io.cotangents, &outputs, &device)?;
        let spelt = io.gradients.iter().map(|(name, array)| (model.canonical(name), array));
        let expected: BTreeMap<String, &Array> = spelt.collect();
        let names: Vec<String> = expected.keys().cloned().collect();
        let found = model.gradients(&sum.backward(), &names);
        gradients(&expected, &found, &mut differences)?;
    }
    Ok(differences)
}

/// What `io.safetensors` holds, without the first part of each name.
struct Io {
    inputs: BTreeMap<String, Array>,
    outputs: BTreeMap<String, Array>,
    cotangents: BTreeMap<String, Array>,
    gradients: BTreeMap<String, Array>,
}

impl Io {
    fn open(folder: &Path) -> Result<Self> {
        let file = Weights::open(folder.join("io.safetensors"))?;
        let part = |part: &str| {
            file.names()
                .into_iter()
                .filter_map(|name| Some((name, name.strip_prefix(part)?)))
                .map(|(name, inner)| Ok((inner.to_string(), file.get(name)?)))
                .collect::<Result<BTreeMap<_, _>>>()
        };
        let io = Self {
            inputs: part("input.")?,
            outputs: part("output.")?,
            cotangents: part("cotangent.")?,
            gradients: part("grad.")?,
        };
        let known = io.inputs.len() + io.outputs.len() + io.cotangents.len() + io.gradients.len();
        ensure!(known == file.names().len(), "io.safetensors holds tensors of no known kind");
        ensure!(!io.outputs.is_empty(), "io.safetensors holds no output");
        Ok(io)
    }
}

/// Every parameter under the reference's name is what the file holds, to the bit.
fn comes_back(
    model: &dyn PublishedModel,
    folder: &Path,
    differences: &mut Differences,
) -> Result<()> {
    let weights = Weights::open(folder)?;
    let names: Vec<String> = weights.names().iter().map(|name| model.canonical(name)).collect();
    let tensors = model.tensors(&names);
    for name in weights.names() {
        // Buffers, and parameters that no forward pass reads, are not weft's.
        let Some(tensor) = tensors.get(&model.canonical(name)) else {
            continue;
        };
        if *tensor != weights.get(name)? {
            differences.problems.push(format!("{name} does not come back as it was"));
        }
    }
    Ok(())
}

fn output(
    field: &str,
    expected: &Array,
    outputs: &Outputs,
    differences: &mut Differences,
) -> Result<()> {
    let output = outputs.get(field).with_context(|| {
        let fields: Vec<&str> = outputs.fields.iter().map(|(name, _)| name.as_str()).collect();
        format!("weft has no output {field}; it has {}", fields.join(", "))
    })?;
    ensure!(
        output.shape == expected.shape,
        "output {field}: {:?} instead of {:?}",
        output.shape,
        expected.shape
    );
    let found: Vec<f32> = output.values.clone().into_data().iter::<f32>().collect();
    let pairs = found.iter().zip(expected.floats(field)?);
    let difference = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, worse);
    differences.outputs += 1;
    differences.largest = worse(differences.largest, difference);
    if !within(difference, OUTPUT_TOLERANCE) {
        differences.problems.push(format!("output {field} differs by {difference:e}"));
    }
    Ok(())
}

/// Whether a difference is small enough; NaN is not.
fn within(difference: f64, limit: f64) -> bool {
    difference <= limit
}

/// The larger of two differences, where NaN is the largest.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The sum over fields of `<output, cotangent>`, whose gradient the fixture holds.
fn inner_products(
    cotangents: &BTreeMap<String, Array>,
    outputs: &Outputs,
    device: &Device,
) -> Result<Tensor<1>> {
    let mut products = Vec::new();
    for (field, cotangent) in cotangents {
        let output = outputs.get(field).with_context(|| format!("weft has no output {field}"))?;
        ensure!(output.shape == cotangent.shape, "cotangent {field}: {:?}", cotangent.shape);
        let values = cotangent.floats(field)?.to_vec();
        let count = values.len();
        let cotangent = Tensor::<1>::from_data(TensorData::new(values, [count]), device);
        products.push((output.values.clone() * cotangent).sum());
    }
    Ok(Tensor::cat(products, 0).sum())
}

fn gradients(
    expected: &BTreeMap<String, &Array>,
    found: &BTreeMap<String, Array>,
    differences: &mut Differences,
) -> Result<()> {
    let names = |side: Vec<&String>| side.into_iter().cloned().collect::<BTreeSet<String>>();
    let (theirs, ours) = (names(expected.keys().collect()), names(found.keys().collect()));
    for name in theirs.difference(&ours) {
        differences.problems.push(format!("{name} has no gradient in weft"));
    }
    for name in ours.difference(&theirs) {
        differences.problems.push(format!("{name} has a gradient in weft alone"));
    }
    let mut square = 0.0;
    for (name, array) in expected {
        square += norm(array.floats(name)?.iter().map(|x| f64::from(*x))).powi(2);
    }
    let rounding = ROUNDING * f64::sqrt(square);
    for name in theirs.intersection(&ours) {
        let (a, b) = (found[name].floats(name)?, expected[name].floats(name)?);
        ensure!(found[name].shape == expected[name].shape, "{name}: {:?}", found[name].shape);
        let size = norm(b.iter().map(|x| f64::from(*x)));
        let difference = norm(a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
        differences.gradients += 1;
        if size <= rounding {
            if !within(norm(a.iter().map(|x| f64::from(*x))), rounding) {
                differences.problems.push(format!("{name}: the gradient should vanish"));
            }
            continue;
        }
        let relative = difference / size;
        differences.largest_relative = worse(differences.largest_relative, relative);
        if !within(relative, GRADIENT_TOLERANCE) {
            differences.problems.push(format!("gradient of {name} differs by {relative:e}"));
        }
    }
    Ok(())
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}
