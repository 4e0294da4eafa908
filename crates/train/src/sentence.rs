//! Sentence embeddings by a published text encoder.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use weft_data::tokenizer::{Encoding, TokenBatch, Tokenizer};
use weft_kernels::l2_normalize;
use weft_model::published::{self, Config, Inputs, PublishedModel};
use weft_weights::{Array, Data};

/// Sentences of one forward pass.
const BATCH: usize = 32;

/// How the states of a sentence's tokens become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    /// Their mean, padding left out.
    Mean,
    /// The first token's.
    First,
}

/// A published text encoder and how its states become an embedding.
pub struct SentenceEncoder {
    model: Box<dyn PublishedModel>,
    tokenizer: Tokenizer,
    pooling: Pooling,
    max_tokens: usize,
    device: Device,
}

impl SentenceEncoder {
    /// Reads a Hugging Face folder with a BERT, RoBERTa or XLM-R and its `tokenizer.json`. Pooling
    /// and length are those of the Sentence Transformers files beside them; without those it is the
    /// mean over all positions that the encoder has.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, a tensor is missing, the pooling is of another kind, or the
    /// embedding goes through a further module, as `Dense`.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let config = Config::read(folder)?;
        let class = config.class()?;
        ensure!(
            ["BertModel", "RobertaModel", "XLMRobertaModel"].contains(&class.as_str()),
            "{}: {class} is no text encoder of BERT's kind",
            folder.display()
        );
        check_modules(folder)?;
        let device = device.clone().without_autodiff();
        let (model, coverage) = published::open(folder, &device)?;
        coverage.complete(folder, &[])?;
        let tokenizer = Tokenizer::load(&folder.join("tokenizer.json"))?;
        // RoBERTa's first positions belong to padding.
        let reserved = match class.as_str() {
            "BertModel" => 0,
            _ => config.optional("pad_token_id", Some(1))?.map_or(0, |id| id + 1),
        };
        let positions = config.number("max_position_embeddings", 512)?.saturating_sub(reserved);
        let length = json(&folder.join("sentence_bert_config.json"))?;
        let length = length.as_ref().and_then(|config| config["max_seq_length"].as_u64());
        let max_tokens = length.map_or(positions, |length| positions.min(length as usize));
        Ok(Self { model, tokenizer, pooling: pooling(folder)?, max_tokens, device })
    }

    /// The embedding of each text, of length one.
    ///
    /// # Errors
    ///
    /// Where a text cannot be tokenised.
    pub fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let encode = |text: &String| self.tokenizer.encode(text, self.max_tokens);
        let encodings = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        // Texts of one length side by side: padding costs as much as words.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|index| encodings[*index].len());
        let mut embeddings = vec![Vec::new(); texts.len()];
        for rows in order.chunks(BATCH) {
            let batch: Vec<Encoding> = rows.iter().map(|row| encodings[*row].clone()).collect();
            let pooled = self.pooled(&self.tokenizer.pad(&batch, 0), rows.len())?;
            let [_, width] = pooled.dims();
            let values: Vec<f32> = pooled.into_data().iter::<f32>().collect();
            for (row, embedding) in rows.iter().zip(values.chunks(width)) {
                embeddings[*row] = embedding.to_vec();
            }
        }
        Ok(embeddings)
    }

    /// `[batch, width]`
    fn pooled(&self, batch: &TokenBatch, count: usize) -> Result<Tensor<2>> {
        let shape = vec![count, batch.tokens];
        let ids = batch.ids.iter().map(|id| i64::from(*id)).collect();
        let seen: Vec<i64> = batch.padding.iter().map(|padding| i64::from(!padding)).collect();
        let weights: Vec<f32> = seen.iter().map(|seen| *seen as f32).collect();
        let array = |data| Array { shape: shape.clone(), data: Data::Int(data) };
        let arrays =
            [("input_ids".to_string(), array(ids)), ("attention_mask".to_string(), array(seen))];
        let outputs = self.model.forward(&Inputs::new(arrays.into(), &self.device))?;
        let states = outputs.get("last_hidden_state").context("the model has no states")?;
        let [batch_size, tokens, width]: [usize; 3] =
            states.shape.clone().try_into().ok().context("states of another shape")?;
        let states: Tensor<3> = states.values.clone().reshape([batch_size, tokens, width]);
        Ok(l2_normalize(match self.pooling {
            Pooling::First => weft_nn::first_token(states),
            Pooling::Mean => {
                let weights = TensorData::new(weights, [batch_size, tokens, 1]);
                let weights = Tensor::<3>::from_data(weights, &self.device);
                let sum = (states * weights.clone()).sum_dim(1);
                (sum / weights.sum_dim(1)).reshape([batch_size, width])
            }
        }))
    }
}

/// Fails where `modules.json` names something that is not done here: its embeddings would be others.
fn check_modules(folder: &Path) -> Result<()> {
    let path = folder.join("modules.json");
    let Some(modules) = json(&path)? else { return Ok(()) };
    let modules = modules.as_array().with_context(|| format!("{}: no list", path.display()))?;
    for module in modules {
        let class = module["type"].as_str().unwrap_or("a module without type");
        let known = ["Transformer", "Pooling", "Normalize"];
        ensure!(
            known.contains(&class.rsplit('.').next().unwrap_or(class)),
            "{}: {class} is not read; expected modules of the kinds {}",
            path.display(),
            known.join(", ")
        );
    }
    Ok(())
}

/// What `1_Pooling/config.json` says.
fn pooling(folder: &Path) -> Result<Pooling> {
    let path = folder.join("1_Pooling/config.json");
    let Some(config) = json(&path)? else {
        return Ok(Pooling::Mean);
    };
    let on = |key: &str| config[key].as_bool().unwrap_or(false);
    match (on("pooling_mode_mean_tokens"), on("pooling_mode_cls_token")) {
        (true, false) => Ok(Pooling::Mean),
        (false, true) => Ok(Pooling::First),
        _ => bail!(
            "{}: expected one of pooling_mode_mean_tokens and pooling_mode_cls_token",
            path.display()
        ),
    }
}

/// A JSON file that may be absent.
fn json(path: &Path) -> Result<Option<Value>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}
