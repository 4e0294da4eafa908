//! What a pair costs in the co-attention encoder, with the connection of its layers.

use weft_fusion::mixture::weight_width;
use weft_fusion::{ConnectionConfig, ConnectionKind, Granularity, Part};
use weft_model::ModelConfig;
use weft_nn::TransformerConfig;

use super::{Cost, attention, block, linear, projection};

/// Of `part`, or of all, of a pair of `words` and `image` tokens.
pub(super) fn pair(model: &ModelConfig, words: usize, image: usize, part: Option<Part>) -> Cost {
    let transformer = &model.fusion.transformer;
    let connection = model.fusion.connection.unwrap_or_default();
    // How many tokens of each stream leave the last layer.
    let [of_words, of_image] = match part {
        None => [words, image],
        Some(Part::Class) => [1, 1],
        Some(Part::Image) => [0, image - model.vision.special_tokens()],
        Some(Part::Text) => [words, 0],
    };
    let stream = |text: bool, tokens: usize, memory: usize| Stream {
        transformer,
        connection,
        text,
        tokens,
        memory,
    };
    let read = model.fusion.encoder_layers() as f64;
    let projected =
        |tokens: usize, width: usize| projection(tokens, width, transformer.width).times(read);
    let text = stream(true, words, image).layers(of_words);
    let patches = stream(false, image, words).layers(of_image);
    text.plus(projected(words, model.text.transformer.width))
        .plus(patches)
        .plus(projected(image, model.vision.transformer.width))
}

/// One modality's way through the encoder.
struct Stream<'a> {
    transformer: &'a TransformerConfig,
    connection: ConnectionConfig,
    text: bool,
    tokens: usize,
    /// The other stream's tokens.
    memory: usize,
}

impl Stream<'_> {
    /// All layers, of which the last one computes `asked` tokens.
    fn layers(&self, asked: usize) -> Cost {
        let (last, inner) = (self.transformer.depth - 1, self.tokens);
        let whole = |layer| self.layer(layer, inner);
        let before = (0..last).map(whole).fold(Cost::default(), Cost::plus);
        let inputs = (self.transformer.depth * inner * self.transformer.width) as f64;
        let all = before.plus(self.layer(last, asked));
        Cost { checkpointed: inputs + whole(last).kept, ..all }
    }

    fn layer(&self, layer: usize, asked: usize) -> Cost {
        let entered = self.entered(layer);
        if asked == 0 {
            return entered;
        }
        let block = block(self.transformer, self.tokens, self.tokens, asked, Some(self.memory));
        block.plus(entered).plus(self.crossed(layer))
    }

    /// What a bridge or a manager puts in the place of the state before a layer.
    fn entered(&self, layer: usize) -> Cost {
        use ConnectionKind as K;
        let (t, m, w) = (self.tokens as f64, self.memory as f64, self.transformer.width as f64);
        let levels = self.connection.levels(layer, self.transformer.depth) as f64;
        let channels = weight_width(self.connection.granularity(), self.transformer.width) as f64;
        // Each level with its embedding, and what its norm makes of it.
        let managed = Cost { kept: 2.0 * levels * t * w, ..mixed(levels, t, w) };
        match self.connection.kind {
            _ if !self.connection.serves(self.text) => Cost::default(),
            K::Add | K::ScaledAdd | K::Interpolate if layer > 0 => {
                Cost { operations: 2.0 * t * w, kept: 2.0 * t * w, ..Cost::default() }
            }
            K::Static => managed,
            K::Managers if layer == 0 => managed,
            // Attention without weights of its own, and a map of what it finds beside the state.
            K::Managers => {
                let rows = self.rows(t);
                managed.plus(Cost {
                    operations: 2.0 * linear(t, w, m) + linear(rows, 2.0 * w, levels * channels),
                    kept: t * m + 2.0 * t * w + rows * levels * channels,
                    ..Cost::default()
                })
            }
            _ => Cost::default(),
        }
    }

    /// What stands in the place of a layer's cross-attention, on top of that.
    fn crossed(&self, layer: usize) -> Cost {
        use ConnectionKind as K;
        let (t, m, w) = (self.tokens as f64, self.memory as f64, self.transformer.width as f64);
        let levels = self.connection.levels(layer, self.transformer.depth) as f64;
        let channels = weight_width(self.connection.granularity(), self.transformer.width) as f64;
        let attend = |keys: f64| attention(self.transformer, t, keys);
        let normed = Cost { kept: (levels + 1.0) * m * w, ..mixed(levels, m, w) };
        match self.connection.kind {
            _ if !self.connection.serves(self.text) => Cost::default(),
            K::Gate => {
                let rows = self.rows(t);
                let chosen = linear(1.0 + levels, w, w) + linear(levels, w, 1.0);
                let gated = Cost {
                    operations: chosen + linear(rows, 2.0 * w, channels),
                    kept: 2.0 * t * w + rows * channels,
                    ..Cost::default()
                };
                attend(m).plus(normed).plus(gated)
            }
            K::Sum => {
                let rows = self.rows(m);
                normed.plus(Cost {
                    operations: levels * linear(rows, 2.0 * w, channels),
                    kept: levels * rows * (2.0 * w + channels),
                    ..Cost::default()
                })
            }
            K::Concat => {
                let more = attend(levels * m);
                let one = attend(m);
                Cost {
                    operations: more.operations - one.operations,
                    kept: more.kept - one.kept + 2.0 * levels * m * w,
                    ..Cost::default()
                }
            }
            _ => Cost::default(),
        }
    }

    /// For how many of `tokens` a weight is computed.
    fn rows(&self, tokens: f64) -> f64 {
        if self.connection.granularity() == Granularity::Scalar { 1.0 } else { tokens }
    }
}

/// A weighted sum of levels.
fn mixed(levels: f64, tokens: f64, width: f64) -> Cost {
    Cost { operations: 2.0 * levels * tokens * width, ..Cost::default() }
}
