//! From token ids to vectors.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_kernels::embedding;
use weft_nn::init::normal;
use weft_nn::{LayerNorm, LayerNormConfig};

/// How positions are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// 0, 1, 2, ..., as BERT.
    #[default]
    Absolute,
    /// `p + 1, p + 2, ...` for the tokens that are no padding and `p` for padding, with `p` the
    /// padding token's id, as RoBERTa.
    AfterPadding,
}

/// Configuration of [`TextEmbeddings`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbeddingsConfig {
    pub vocab_size: usize,
    /// Rows of the position table.
    pub max_tokens: usize,
    /// Kinds of segments; 0 for none.
    pub token_types: usize,
    pub positions: Positions,
    /// Id of the padding token, whose embeddings are not learned.
    pub padding_id: Option<usize>,
    pub width: usize,
    /// Whether the sum is normalised.
    pub norm: bool,
    pub dropout: f64,
    pub norm_epsilon: f64,
}

/// Token ids of a batch of texts.
#[derive(Debug, Clone)]
pub struct TextInput {
    /// `[batch, tokens]`
    pub ids: Tensor<2, Int>,
    /// Segment of each token, `[batch, tokens]`; 0 everywhere where absent.
    pub types: Option<Tensor<2, Int>>,
    /// Rows of the position table, `[batch or 1, tokens]`, in place of what [`Positions`] gives.
    pub positions: Option<Tensor<2, Int>>,
}

impl From<Tensor<2, Int>> for TextInput {
    fn from(ids: Tensor<2, Int>) -> Self {
        Self { ids, types: None, positions: None }
    }
}

/// `norm(word + position + type)` (Devlin et al. 2019, section 3).
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    pub word: Embedding,
    pub position: Param<Tensor<2>>,
    pub token_type: Option<Param<Tensor<2>>>,
    pub norm: Option<LayerNorm>,
    pub dropout: Dropout,
    #[module(skip)]
    positions: Positions,
    #[module(skip)]
    padding_id: Option<usize>,
}

impl TextEmbeddingsConfig {
    pub fn init(&self, device: &Device) -> TextEmbeddings {
        let Self { vocab_size, max_tokens, width, .. } = *self;
        TextEmbeddings {
            word: EmbeddingConfig::new(vocab_size, width).with_initializer(normal()).init(device),
            position: normal().init([max_tokens, width], device),
            token_type: (self.token_types > 0)
                .then(|| normal().init([self.token_types, width], device)),
            norm: self
                .norm
                .then(|| LayerNormConfig { width, epsilon: self.norm_epsilon }.init(device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            positions: self.positions,
            padding_id: self.padding_id,
        }
    }
}

impl TextEmbeddings {
    /// # Shapes
    ///
    /// - `input`: `[batch, tokens]`
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, input: &TextInput) -> Tensor<3> {
        let word = lookup(self.word.weight.val(), input.ids.clone(), self.padding_id);
        let x = match self.types(input) {
            Types::Same(row) => word + (self.position(input) + row),
            Types::Each(rows) => word + self.position(input) + rows,
            Types::None => word + self.position(input),
        };
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        self.dropout.forward(x)
    }

    /// `[batch or 1, tokens, width]`
    fn position(&self, input: &TextInput) -> Tensor<3> {
        let table = self.position.val();
        match (&input.positions, self.positions) {
            (Some(ids), _) => lookup(table, ids.clone(), self.frozen_position()),
            (None, Positions::AfterPadding) => {
                let ids = after_padding(input.ids.clone(), self.padding_id.unwrap_or(0));
                lookup(table, ids, self.frozen_position())
            }
            // A slice, not a lookup, whose backward pass would add every row up.
            (None, Positions::Absolute) => {
                let [_, tokens] = input.ids.dims();
                table.narrow(0, 0, tokens).unsqueeze()
            }
        }
    }

    /// Only where padding has a position of its own is that position not learned.
    fn frozen_position(&self) -> Option<usize> {
        match self.positions {
            Positions::Absolute => None,
            Positions::AfterPadding => self.padding_id,
        }
    }

    fn types(&self, input: &TextInput) -> Types {
        match (&self.token_type, &input.types) {
            (None, _) => Types::None,
            (Some(table), None) => Types::Same(table.val().narrow(0, 0, 1).unsqueeze()),
            (Some(table), Some(ids)) => Types::Each(lookup(table.val(), ids.clone(), None)),
        }
    }
}

/// Type embeddings of a batch.
enum Types {
    None,
    /// `[1, 1, width]`
    Same(Tensor<3>),
    /// `[batch, tokens, width]`
    Each(Tensor<3>),
}

/// The rows `ids` of `table`; no gradient comes back to row `frozen`.
fn lookup(table: Tensor<2>, ids: Tensor<2, Int>, frozen: Option<usize>) -> Tensor<3> {
    let rows = embedding(table, ids.clone());
    let Some(frozen) = frozen else {
        return rows;
    };
    let padding = ids.equal_elem(frozen as i64).unsqueeze_dim::<3>(2).expand(rows.shape());
    rows.clone().mask_where(padding, rows.detach())
}

/// Positions as RoBERTa numbers them, `[batch, tokens]`.
fn after_padding(ids: Tensor<2, Int>, padding: usize) -> Tensor<2, Int> {
    let present = ids.not_equal_elem(padding as i64).int();
    present.clone().cumsum(1) * present + padding as i64
}
