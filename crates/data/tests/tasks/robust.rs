//! Whatever the files hold, a reader counts or refuses it and does not panic.

use proptest::prelude::*;
use weft_data::tasks::{
    open_contrasts, open_expressions, open_hypotheses, open_pair_statements, open_questions,
};

use super::*;

/// Names of files that the readers look for.
const NAMES: [&str; 9] = [
    "v2_OpenEnded_mscoco_train2014_questions.json",
    "train/questions.json",
    "dev.json",
    "snli_ve_dev.jsonl",
    "refs(unc).json",
    "refs(unc).p",
    "examples.jsonl",
    "swap_obj.json",
    "visual_genome_relation.json",
];

/// JSON-like texts made of the words that the readers know.
fn content() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\n",
        "1",
        "-7",
        "1e400",
        "null",
        "true",
        "\"questions\"",
        "\"question_id\"",
        "\"image_id\"",
        "\"question\"",
        "\"identifier\"",
        "\"sentence\"",
        "\"pairID\"",
        "\"sentences\"",
        "\"0\"",
        "\"caption\"",
        "(lp0\n",
        "S'a'\n",
        "I1\n",
        "a.",
        "\u{80}",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_reader_panics(contents in prop::collection::vec(content(), NAMES.len())) {
        let dir = folder(&[("instances.json", r#"{"images": [], "annotations": []}"#)]);
        for (name, content) in NAMES.iter().zip(&contents) {
            write(dir.path(), name, content.as_bytes());
            let source = lenient(dir.path().join(name));
            _ = open_questions(&source);
            _ = open_pair_statements(&source);
            _ = open_hypotheses(&source);
            _ = open_expressions(&source);
            _ = open_contrasts(&source);
        }
        _ = open_questions(&lenient(&dir));
    }

    /// Each line is an example or a named fault: nothing vanishes.
    #[test]
    fn every_line_is_counted(lines in prop::collection::vec("\\PC{1,20}", 1..20)) {
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
        prop_assume!(!lines.is_empty());
        let good = r#"{"Flickr30K_ID": "1", "sentence2": "s", "gold_label": "neutral", "pairID": "p"}"#;
        let dir = folder(&[("snli_ve_dev.jsonl", &format!("{good}\n{}", lines.join("\n"))), ("1.jpg", "p")]);
        let data = open_hypotheses(&lenient(&dir)).unwrap();
        prop_assert_eq!(data.ledger.total(), lines.len());
        prop_assert_eq!(data.splits["val"].len(), 1);
    }
}
