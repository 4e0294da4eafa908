//! Which patches a word attends to, for the report.

use anyhow::Result;
use weft_data::record::Record;
use weft_eval::AttentionMap;
use weft_vision::Grid;

use crate::inference::{Inference, WordAttention};

/// The heat map of one pair, a row of patches for each word of the caption; nothing of a model that sees
/// regions.
pub fn attention_map(
    model: &Inference,
    record: &Record,
    caption: &str,
) -> Result<Option<AttentionMap>> {
    let Some(Grid { rows, columns }) = model.recipe.patch_grid() else { return Ok(None) };
    Ok(Some(AttentionMap {
        picture: record.picture.read().map_err(|bad| anyhow::anyhow!("{bad}"))?,
        caption: caption.to_string(),
        grid: [rows, columns],
        words: words(model.attention(record, caption)?),
    }))
}

/// Puts the tokens of a word together and averages their weights; special tokens are left out.
fn words(tokens: Vec<WordAttention>) -> Vec<(String, Vec<f32>)> {
    let mut words: Vec<(u32, String, Vec<f32>, f32)> = Vec::new();
    for token in tokens {
        let Some(word) = token.word else { continue };
        match words.last_mut() {
            Some((last, text, weights, count)) if *last == word => {
                text.push_str(token.token.trim_start_matches("##"));
                weights.iter_mut().zip(&token.weights).for_each(|(sum, w)| *sum += w);
                *count += 1.0;
            }
            _ => words.push((word, token.token, token.weights, 1.0)),
        }
    }
    let mean = |weights: Vec<f32>, count: f32| weights.into_iter().map(|w| w / count).collect();
    words.into_iter().map(|(_, text, weights, count)| (text, mean(weights, count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_word_are_averaged() {
        let token = |token: &str, word, weight| WordAttention {
            token: token.into(),
            word,
            weights: vec![weight, 1.0 - weight],
        };
        let joined = words(vec![
            token("[CLS]", None, 0.9),
            token("surf", Some(0), 0.25),
            token("##ing", Some(0), 0.75),
            token("now", Some(1), 1.0),
        ]);
        assert_eq!(
            joined,
            vec![("surfing".into(), vec![0.5, 0.5]), ("now".into(), vec![1.0, 0.0])]
        );
    }
}
