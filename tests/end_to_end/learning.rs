//! The evaluation knows a model that has learned from one that has not.

mod common;

use std::path::Path;

use common::{succeed, summary, train};

const SPLITS: [(&str, f64); 2] = [("test_compositions", 300.0), ("test_concepts", 140.0)];

/// Percent of recall that a ranking by chance passes in fewer than one of 10,000 evaluations: the
/// number of hits is Poisson-distributed, or a little narrower.
fn ceiling(chance: f64, n: f64) -> f64 {
    let mean = chance / 100.0 * n;
    let (mut hits, mut term) = (0.0, (-mean).exp());
    let mut above = 1.0 - term;
    while above > 1e-4 {
        hits += 1.0;
        term *= mean / hits;
        above -= term;
    }
    100.0 * hits / n
}

fn assert_at_chance(run: &Path) {
    let summary = summary(run);
    for (split, n) in SPLITS {
        for name in ["i2t_r1", "t2i_r1", "i2t_r10", "t2i_r10"] {
            let chance = summary["chance"][split][name].as_f64().expect("chance is there");
            for name in [name.to_string(), format!("{name}_reranked")] {
                let found = summary["metrics"][split][&name].as_f64().expect("a metric is there");
                assert!(found <= ceiling(chance, n), "{split} {name}: {found}, chance {chance}");
            }
        }
    }
}

/// Large enough to learn to retrieve in 300 steps of contrast and matching.
const LONG: [&str; 14] = [
    "train.batch_size=32",
    "train.checkpoint_every=1000",
    "optimizer.lr=1e-3",
    "optimizer.warmup_steps=20",
    "eval.rerank=10",
    "tokenizer.vocab_size=600",
    "model.vision.image_size=36",
    "model.vision.patch_size=12",
    "model.vision.transformer.width=64",
    "model.vision.transformer.depth=2",
    "model.text.transformer.width=64",
    "objectives.mlm.weight=0.0",
    "objectives.mrm.weight=0.0",
    "objectives.mim.weight=0.0",
];

#[test]
fn untrained_and_wrongly_paired_models_are_at_chance_and_a_trained_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, steps, more: &[&str]| {
        let run = folder.path().join(name);
        let settings: Vec<&str> = LONG.iter().chain(more).copied().collect();
        succeed(train(&run, steps, &settings));
        run
    };
    let still = ["optimizer.lr=0.0", "optimizer.warmup_lr=0.0", "optimizer.final_lr=0.0"];
    assert_at_chance(&run("untrained", 1, &still));
    assert_at_chance(&run("shuffled", 300, &["train.shuffle_pairs=true"]));

    let summary = summary(&run("trained", 300, &[]));
    let (split, n) = SPLITS[0];
    let chance = summary["chance"][split]["t2i_r10"].as_f64().unwrap();
    let found = summary["metrics"][split]["t2i_r10"].as_f64().unwrap();
    assert!(found > 1.5 * ceiling(chance, n), "{found} with the right pairs, chance {chance}");
}
