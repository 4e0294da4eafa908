//! The tokens that frame, fill and hide text.

/// How one family of published tokenizers names them.
struct Family {
    name: &'static str,
    pad: &'static str,
    unknown: &'static str,
    cls: &'static str,
    sep: &'static str,
    mask: Option<&'static str>,
}

const FAMILIES: [Family; 3] = [
    Family {
        name: "BERT",
        pad: BERT[0],
        unknown: BERT[1],
        cls: BERT[2],
        sep: BERT[3],
        mask: Some(BERT[4]),
    },
    // And XLM-RoBERTa.
    Family {
        name: "RoBERTa",
        pad: "<pad>",
        unknown: "<unk>",
        cls: "<s>",
        sep: "</s>",
        mask: Some("<mask>"),
    },
    // The end of a text is what fills the rest, too, and what stands for the unknown.
    Family {
        name: "CLIP",
        pad: CLIP_END,
        unknown: CLIP_END,
        cls: "<|startoftext|>",
        sep: CLIP_END,
        mask: None,
    },
];

const CLIP_END: &str = "<|endoftext|>";

/// The special tokens as BERT names them, in the order of their ids in a tokenizer that `weft`
/// trains.
pub(super) const BERT: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The ids of the special tokens of one tokenizer.
#[derive(Debug, Clone)]
pub(super) struct Special {
    pub pad: u32,
    pub unknown: u32,
    pub cls: u32,
    pub sep: u32,
    /// A text encoder that is not trained here needs none.
    pub mask: Option<u32>,
}

impl Special {
    /// Finds the special tokens of a tokenizer whose ids `id_of` tells, or says which are missing.
    pub fn find(id_of: impl Fn(&str) -> Option<u32>) -> Result<Self, String> {
        FAMILIES.iter().find_map(|family| family.find(&id_of)).ok_or_else(|| {
            let lacks: Vec<String> = FAMILIES.iter().map(|family| family.lacks(&id_of)).collect();
            format!("expected the special tokens {}", lacks.join(" or "))
        })
    }
}

impl Family {
    fn find(&self, id_of: impl Fn(&str) -> Option<u32>) -> Option<Special> {
        Some(Special {
            pad: id_of(self.pad)?,
            unknown: id_of(self.unknown)?,
            cls: id_of(self.cls)?,
            sep: id_of(self.sep)?,
            mask: self.mask.and_then(&id_of),
        })
    }

    fn lacks(&self, id_of: impl Fn(&str) -> Option<u32>) -> String {
        let mut missing = vec![self.cls, self.pad, self.unknown, self.sep];
        missing.retain(|token| id_of(token).is_none());
        missing.dedup();
        format!("of {} (without: {})", self.name, missing.join(" "))
    }
}
