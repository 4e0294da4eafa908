//! The tables and the picture sheet of `docs/guide/scenes.md`:
//!
//! `cargo run --release -p weft-data --example scenes_figures -- docs/images/scenes.jpg`
//!
//! prints the tables as Markdown and writes the sheet.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::replace;
use image::{Rgb, RgbImage};
use weft_data::scenes::split::Split;
use weft_data::scenes::world::Object;
use weft_data::scenes::{
    Scenes, ScenesConfig, contrasts, expressions, hypotheses, pair_statements, questions,
};

/// Pictures of the sheet: a column for each split.
const DOWN: u64 = 3;
const GAP: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected the path of the sheet, a .jpg")?;
    let scenes = Scenes::new(&ScenesConfig::default())?;
    let file = BufWriter::new(File::create(path)?);
    JpegEncoder::new_with_quality(file, 90).encode_image(&sheet(&scenes)?)?;
    splits(&scenes)?;
    attributes(&scenes);
    tasks(&scenes.config)?;
    examples(&scenes.config)?;
    Ok(())
}

/// The first scenes of each split.
fn sheet(scenes: &Scenes) -> Result<RgbImage, Box<dyn Error>> {
    let step = scenes.config.size + GAP;
    let columns = Split::ALL.len() as u32;
    let (width, height) = (columns * step + GAP, DOWN as u32 * step + GAP);
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    println!("First captions of the sheet, row by row:\n");
    for index in 0..DOWN {
        for (column, &split) in Split::ALL.iter().enumerate() {
            let record = scenes.record(split, index);
            let picture = record.picture.decode(&record.key, vec![]).map_err(|b| b.to_string())?;
            let at = |place: u64| i64::from(GAP) + place as i64 * i64::from(step);
            replace(&mut sheet, &picture, at(column as u64), at(index));
            println!("- `{}`: {}", split.name(), record.captions[0]);
        }
    }
    Ok(sheet)
}

fn splits(scenes: &Scenes) -> Result<(), Box<dyn Error>> {
    println!("\n| split | scenes | objects | captions | of them different | words, mean | most |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, records) in &scenes.dataset()?.splits {
        let captions: Vec<&String> = records.iter().flat_map(|record| &record.captions).collect();
        let words: Vec<usize> = captions.iter().map(|text| text.split(' ').count()).collect();
        let split = Split::ALL.iter().find(|split| split.name() == name).ok_or("a split")?;
        let [fewest, most] = split.objects();
        println!(
            "| `{name}` | {} | {fewest}-{most} | {} | {} | {:.1} | {} |",
            records.len(),
            captions.len(),
            captions.iter().collect::<HashSet<_>>().len(),
            words.iter().sum::<usize>() as f64 / words.len() as f64,
            words.iter().max().unwrap_or(&0),
        );
    }
    Ok(())
}

fn attributes(scenes: &Scenes) {
    let count = scenes.config.train as u64;
    let objects: Vec<Object> =
        (0..count).flat_map(|index| scenes.scene(Split::Train, index).objects).collect();
    let share = |name: &str, values: Vec<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
        let total: usize = counts.values().sum();
        let shares: Vec<String> = counts
            .iter()
            .map(|(value, count)| format!("{value} {:.1}", *count as f64 * 100.0 / total as f64))
            .collect();
        println!("| {name} | {} |", shares.join(", "));
    };
    println!("\n| of {} objects in `train` | percent |\n| --- | --- |", objects.len());
    let of = |value: &dyn Fn(&Object) -> String| objects.iter().map(value).collect();
    share("colour", of(&|object| object.colour.word().into()));
    share("shape", of(&|object| object.shape.word().into()));
    share("size", of(&|object| object.size.word().into()));
    share("upside down", of(&|object| if object.upside_down { "yes" } else { "no" }.into()));
    share("inside", of(&|o| o.around.map_or("nothing", |around| around.outline.word()).into()));
    let mut sprites: BTreeMap<usize, usize> = BTreeMap::new();
    objects.iter().for_each(|object| *sprites.entry(object.sprite).or_default() += 1);
    let (least, most) = (sprites.values().min().unwrap_or(&0), sprites.values().max());
    println!("\n{} sprites, each {least} to {} times.", sprites.len(), most.unwrap_or(&0));
}

/// Number of examples, share of the most frequent answer, and how often words alone give the right
/// one, by task and kind.
fn tasks(config: &ScenesConfig) -> Result<(), Box<dyn Error>> {
    let config = ScenesConfig { train: 6_000, val: 0, test: 0, ..config.clone() };
    println!("\n| task | kind | examples | answers | most frequent | words alone |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut rows: BTreeMap<(&str, String), Vec<(String, String)>> = BTreeMap::new();
    let mut add = |task: &'static str, kind: &str, text: &str, answer: String| {
        rows.entry((task, kind.into())).or_default().push((text.into(), answer));
    };
    for question in &questions(&config, 5)?.splits["train"] {
        add("question", &question.kind, &question.text, question.answers[0].clone());
    }
    for pair in &pair_statements(&config, 2)?.splits["train"] {
        add("pair statement", "", &pair.text, format!("{:?}", pair.label));
    }
    for hypothesis in &hypotheses(&config, 4)?.splits["train"] {
        add("hypothesis", "", &hypothesis.text, format!("{:?}", hypothesis.label));
    }
    for ((task, kind), examples) in &rows {
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        examples.iter().for_each(|(_, answer)| *answers.entry(answer).or_default() += 1);
        let percent = |count: usize, of: usize| count as f64 * 100.0 / of as f64;
        println!(
            "| {task} | {kind} | {} | {} | {:.1} % | {:.1} % |",
            examples.len(),
            answers.len(),
            percent(*answers.values().max().unwrap_or(&0), examples.len()),
            by_words(examples) * 100.0,
        );
    }
    Ok(())
}

/// Share of the last fifth of the examples that naive Bayes on words and pairs of words, trained on
/// the others, gets right.
fn by_words(examples: &[(String, String)]) -> f64 {
    let features = |text: &str| -> HashSet<String> {
        let words: Vec<&str> = text.split(' ').collect();
        let pairs = words.windows(2).map(|pair| pair.join(" "));
        words.iter().map(ToString::to_string).chain(pairs).collect()
    };
    let (known, asked) = examples.split_at(examples.len() * 4 / 5);
    let mut classes: BTreeMap<&str, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for (text, answer) in known {
        let (count, words) = classes.entry(answer).or_default();
        *count += 1;
        features(text).into_iter().for_each(|word| *words.entry(word).or_default() += 1);
    }
    let right = asked.iter().filter(|(text, answer)| {
        let features = features(text);
        let score = |(count, words): &(usize, BTreeMap<String, usize>)| -> f64 {
            let seen = |word| *words.get(word).unwrap_or(&0) as f64 + 1.0;
            let share = |word| (seen(word) / (*count as f64 + 2.0)).ln();
            (*count as f64).ln() + features.iter().map(share).sum::<f64>()
        };
        let best = classes.iter().max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
        best.is_some_and(|(best, _)| best == answer)
    });
    right.count() as f64 / asked.len() as f64
}

/// A few examples of each task.
fn examples(config: &ScenesConfig) -> Result<(), Box<dyn Error>> {
    let config = ScenesConfig { train: 0, val: 12, test: 0, ..config.clone() };
    println!("\n| task | kind | text | answer |\n| --- | --- | --- | --- |");
    for question in &questions(&config, 1)?.splits["val"] {
        println!("| question | {} | {} | {} |", question.kind, question.text, question.answers[0]);
    }
    for pair in pair_statements(&config, 2)?.splits["val"].iter().step_by(4) {
        println!("| pair statement | | {} | |", pair.text);
    }
    for hypothesis in &hypotheses(&config, 1)?.splits["val"] {
        println!("| hypothesis | | {} | {:?} |", hypothesis.text, hypothesis.label);
    }
    for expression in expressions(&config, 1)?.splits["val"].iter().take(4) {
        println!("| expression | | {} | |", expression.text);
    }
    for contrast in contrasts(&config, 1)?.splits["val"].iter().take(7) {
        let [first, second] = &contrast.captions;
        println!("| contrast | {} | {first} | not: {second} |", contrast.kind);
    }
    Ok(())
}
