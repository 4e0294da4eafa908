//! Writes `report.html` and `search.html` with made-up figures: what a report looks like.
//!
//! `cargo run -p weft-eval --example report -- FOLDER` (default: the current one)

use std::collections::BTreeMap;
use std::path::PathBuf;

use twemoji_assets::png::PngTwemojiAsset;
use weft_eval::{AttentionMap, Curve, Hit, Query, Report, TaskResult, Truth, chance, search_page};

const EMOJI: [(&str, &str); 8] = [
    ("🐦", "a small red bird"),
    ("🍎", "a red apple with a leaf"),
    ("🚗", "a red car seen from the side"),
    ("🌻", "a sunflower on its stem"),
    ("🏠", "a house with a garden"),
    ("🐙", "an octopus"),
    ("⛵", "a sailing boat on the water"),
    ("🎻", "a violin with its bow"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(PathBuf::new, PathBuf::from);
    let queries = (0..4).map(|at| Query {
        text: EMOJI[at].1.to_owned(),
        split: "test".to_owned(),
        hits: hits(at, 2 * at),
    });
    let report = Report {
        title: "weft report: made-up run".to_owned(),
        facts: facts(),
        curves: vec![
            curve("total", 9.0),
            curve("itc", 4.2),
            curve("itm", 0.69),
            curve("mlm", 7.1),
            Curve {
                name: "learning rate".to_owned(),
                points: (0..2000).map(|i| (f64::from(i), learning_rate(f64::from(i)))).collect(),
            },
        ],
        results: vec![result("validation", 400)?, result("test", 400)?],
        gallery: queries.collect(),
        examples: vec![],
        attention: (0..2).map(attention).collect(),
        notes: vec!["All figures on this page are made up.".to_owned()],
        credit: vec!["Pictures: Twemoji, CC BY 4.0.".to_owned()],
    };
    std::fs::write(folder.join("report.html"), report.html()?)?;
    std::fs::write(
        folder.join("search.html"),
        search_page("something that swims", &hits(5, 9), &[]),
    )?;
    Ok(())
}

fn facts() -> Vec<(String, String)> {
    let facts = [
        ("recipe", "recipes/made-up.toml"),
        ("parameters", "12.3 M"),
        ("device", "CPU, 8 cores"),
        ("steps", "2000 of batch 64"),
        ("time", "6 min 12 s"),
    ];
    facts.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

fn picture(emoji: &str) -> Vec<u8> {
    PngTwemojiAsset::from_emoji(emoji).map(|asset| asset.data.0.to_vec()).unwrap_or_default()
}

/// Five pictures with the right one, number `own`, in place `place` (from 0; not there if past 4).
fn hits(own: usize, place: usize) -> Vec<Hit> {
    let mut order: Vec<usize> = (0..EMOJI.len()).filter(|&other| other != own).collect();
    order.insert(place.min(order.len()), own);
    let hit = |(at, &which): (usize, &usize)| {
        let (emoji, caption) = EMOJI[which];
        Hit {
            picture: picture(emoji),
            caption: caption.to_owned(),
            score: 0.91 - 0.13 * at as f32,
            correct: which == own,
        }
    };
    order.iter().take(5).enumerate().map(hit).collect()
}

fn curve(name: &str, start: f64) -> Curve {
    let value = |i: f64| start * (0.2 + 0.8 * (-i / 400.0).exp()) * (1.0 + 0.05 * (i * 1.7).sin());
    Curve {
        name: name.to_owned(),
        points: (0..2000).map(|i| (f64::from(i), value(f64::from(i)))).collect(),
    }
}

fn learning_rate(step: f64) -> f64 {
    let warm = (step / 200.0).min(1.0);
    3e-4 * warm * (0.5 + 0.5 * (std::f64::consts::PI * step / 2000.0).cos())
}

fn result(split: &str, n: usize) -> Result<TaskResult, weft_eval::EvalError> {
    let truth = Truth::from_counts(&vec![2; n])?;
    let mut result = TaskResult {
        task: "retrieval".to_owned(),
        split: split.to_owned(),
        n,
        metrics: BTreeMap::new(),
        recipe: "recipes/made-up.toml".to_owned(),
        checkpoint: "runs/made-up/checkpoints/2000".to_owned(),
        seed: 1,
        seconds: 3.2,
    };
    let mut figures = chance(&truth);
    result.add_chance(&figures);
    (figures.i2t_r1, figures.i2t_r5, figures.i2t_r10) = (31.2, 64.0, 77.5);
    (figures.t2i_r1, figures.t2i_r5, figures.t2i_r10) = (28.9, 61.4, 75.0);
    result.add_retrieval(&figures);
    (figures.i2t_r1, figures.t2i_r1) = (38.0, 35.1);
    result.add_reranked(&figures);
    Ok(result)
}

fn attention(at: usize) -> AttentionMap {
    let (emoji, caption) = EMOJI[at];
    let word = |(i, word): (usize, &str)| {
        let (cy, cx) = (2.0 + i as f32, 6.0 - i as f32);
        let weight = |patch: usize| {
            let (y, x) = ((patch / 8) as f32, (patch % 8) as f32);
            (-((y - cy).powi(2) + (x - cx).powi(2)) / 6.0).exp()
        };
        (word.to_owned(), (0..64).map(weight).collect())
    };
    AttentionMap {
        picture: picture(emoji),
        caption: caption.to_owned(),
        grid: [8, 8],
        words: caption.split(' ').enumerate().map(word).collect(),
    }
}
