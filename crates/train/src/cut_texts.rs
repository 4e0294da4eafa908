//! Texts that are longer than what the text encoder reads.

use weft_data::record::Record;
use weft_data::tokenizer::Tokenizer;

/// Most records that are looked at.
const LOOKED_AT: usize = 10_000;

/// What there is to say of texts of `records` that are cut at `max_tokens`; nothing where none is. Of many records
/// some are looked at, at equal distances. A text that is none counts among the bad records when its turn
/// comes.
pub fn cut_texts(records: &[Record], tokenizer: &Tokenizer, max_tokens: usize) -> Option<String> {
    let distance = records.len().div_ceil(LOOKED_AT).max(1);
    let looked_at = records.iter().step_by(distance).flat_map(|record| &record.captions);
    let over: Vec<(usize, &String)> = looked_at
        .filter_map(|text| Some((tokenizer.cut_off(text, max_tokens).ok()?, text)))
        .collect();
    let cut = over.iter().filter(|(over, _)| *over > 0).count();
    let (most, text) = over.iter().max_by_key(|(over, _)| *over).filter(|(over, _)| *over > 0)?;
    Some(format!(
        "{cut} of {} training texts looked at ({:.2} %) have more than the {max_tokens} tokens that the text encoder \
         reads (model.text.max_tokens), with special tokens and what is kept free for phrases; their ends are cut, at \
         most {most} tokens: {text:?}",
        over.len(),
        100.0 * cut as f64 / over.len() as f64,
    ))
}
