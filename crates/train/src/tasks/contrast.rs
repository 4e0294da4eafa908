//! Minimal pairs: captions that differ in one respect, told apart by a pre-trained model as it is.

use std::time::Instant;

use anyhow::Result;
use weft_data::dataset::SourceConfig;
use weft_data::error::Ledger;
use weft_data::record::Record;
use weft_data::scenes;
use weft_data::tasks::{Contrast, TaskData, open_contrasts};
use weft_eval::{Answerer, CAPTION_CHANCE, CONTRAST_CHANCE, TaskResult, caption_choice, contrast};

use super::chunks::{chunks, partner};
use super::{result, total};
use crate::inference::{Images, Inference, Texts};

/// The minimal pairs of a data set.
pub fn open(config: &SourceConfig) -> Result<TaskData<Contrast>> {
    Ok(if config.source == scenes::NAME {
        scenes::contrasts(&config.scenes, scenes::EXAMPLES_PER_SCENE)?
    } else {
        open_contrasts(&config.of_tasks())?
    })
}

/// Scores of one example's two captions.
#[derive(Clone, Copy)]
struct Scores {
    first: [f32; 2],
    /// With the second picture, where there is one.
    second: Option<[f32; 2]>,
    /// With another example's picture, where there is another example.
    other: Option<[f32; 2]>,
}

/// Which score orders captions and pictures.
#[derive(Clone, Copy)]
enum By {
    /// Similarity of the dual encoders' embeddings.
    Dual,
    /// The matching head's odds together with the similarity, as in re-ranking.
    Match,
}

/// Evaluates one split. Metrics: `caption` (the true caption scores higher than the false one, of all
/// examples), and of those with two pictures `text`, `image` and `group`; by the matching head where it
/// was trained, and with `dual_` before the name by the dual encoders alone. `_text_only` is `caption`
/// with another example's picture: what the words alone give away. Without another example there is none.
///
/// # Errors
///
/// When too many pictures cannot be read.
pub fn evaluate(
    model: &Inference,
    data: &TaskData<Contrast>,
    split: &str,
    checkpoint: &str,
) -> Result<TaskResult> {
    let begun = Instant::now();
    let examples = data.split(split)?;
    // What was wrong when they were opened was held against the budget there.
    let mut ledger = Ledger::default();
    let mut kinds = Vec::new();
    let mut found: [Vec<Scores>; 2] = Default::default();
    let ways: &[By] = if model.matches_pairs() { &[By::Dual, By::Match] } else { &[By::Dual] };
    for examples in chunks(examples) {
        let Some(read) = Read::new(model, examples, &mut ledger)? else { continue };
        kinds.extend(read.examples.iter().map(|example| example.kind.as_str()));
        for by in ways {
            found[*by as usize].extend(read.scores(model, *by)?);
        }
    }
    ledger.check(model.recipe.data.bad_budget, total(data))?;
    let mut result = result(model, "contrast", split, checkpoint, kinds.len());
    for by in ways {
        add(&mut result, *by, &kinds, &found[*by as usize])?;
    }
    result.seconds = begun.elapsed().as_secs_f64();
    Ok(result)
}

fn add(result: &mut TaskResult, by: By, kinds: &[&str], scores: &[Scores]) -> Result<()> {
    let prefix = match by {
        By::Dual => "dual_",
        By::Match => "",
    };
    let caption = format!("{prefix}caption");
    let own: Vec<_> = kinds.iter().copied().zip(scores.iter().map(|scores| scores.first)).collect();
    result.add_by_kind(&caption, Answerer::Model, &caption_choice(own)?);
    let others = kinds.iter().zip(scores);
    let others: Vec<_> = others.filter_map(|(kind, scores)| Some((*kind, scores.other?))).collect();
    if !others.is_empty() {
        result.add_by_kind(&caption, Answerer::TextOnly, &caption_choice(others)?);
    }
    result.add_figure(&caption, Answerer::Chance, CAPTION_CHANCE);
    let pairs: Vec<_> = kinds
        .iter()
        .zip(scores)
        .filter_map(|(kind, scores)| {
            let (first, second) = (scores.first, scores.second?);
            Some((*kind, [[first[0], second[0]], [first[1], second[1]]]))
        })
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let scores = contrast(pairs)?;
    let all = [("text", &scores.text), ("image", &scores.image), ("group", &scores.group)];
    for ((name, scores), chance) in all.into_iter().zip(CONTRAST_CHANCE) {
        let name = format!("{prefix}{name}");
        result.add_by_kind(&name, Answerer::Model, scores);
        result.add_figure(&name, Answerer::Chance, chance);
    }
    Ok(())
}

/// Examples whose pictures could be read, encoded.
struct Read<'a> {
    examples: Vec<&'a Contrast>,
    images: Images,
    /// Of each example the place of its first picture and of its second.
    places: Vec<(usize, Option<usize>)>,
    /// The captions of example `i` are texts `2 i` and `2 i + 1`.
    texts: Texts,
}

impl<'a> Read<'a> {
    fn new(
        model: &Inference,
        examples: &'a [Contrast],
        ledger: &mut Ledger,
    ) -> Result<Option<Self>> {
        let mut records = Vec::new();
        for example in examples {
            let record = |key: String, picture| Record::new(key, Vec::new(), picture);
            records.push(record(example.key.clone(), example.picture.clone()));
            if let Some(other) = &example.other {
                records.push(record(format!("{}, second", example.key), other.clone()));
            }
        }
        let Some((images, readable)) = model.images(&records, ledger)? else { return Ok(None) };
        let place = |row: usize| readable.binary_search(&row).ok();
        let (mut kept, mut places, mut captions) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        for example in examples {
            let first = place(row);
            let second = example.other.as_ref().map(|_| place(row + 1));
            row += 1 + usize::from(example.other.is_some());
            // An example one of whose pictures cannot be read is in the ledger.
            let (Some(first), Some(second)) = (first, second.map_or(Some(None), |x| x.map(Some)))
            else {
                continue;
            };
            kept.push(example);
            places.push((first, second));
            captions.extend(example.captions.iter().cloned());
        }
        if kept.is_empty() {
            return Ok(None);
        }
        let texts = model.texts(&captions)?;
        Ok(Some(Self { examples: kept, images, places, texts }))
    }

    /// Of each example the scores with its own pictures, and with another example's.
    fn scores(&self, model: &Inference, by: By) -> Result<Vec<Scores>> {
        let count = self.examples.len();
        let mut pairs = Vec::new();
        for (number, (first, second)) in self.places.iter().enumerate() {
            // Three pictures of every example, lest pairs be in other batches where one has fewer.
            let other = partner(number, count).map_or(*first, |other| self.places[other].0);
            for picture in [*first, second.unwrap_or(*first), other] {
                pairs.extend([(picture, 2 * number), (picture, 2 * number + 1)]);
            }
        }
        let scores = match by {
            By::Dual => model.similarities(&self.images, &self.texts, &pairs),
            By::Match => {
                let mut scores = Vec::with_capacity(pairs.len());
                for pairs in pairs.chunks(model.recipe.eval.batch_size) {
                    scores.extend(model.pair_scores(&self.images, &self.texts, pairs)?);
                }
                scores
            }
        };
        let of = |(six, (_, second)): (&[f32], &(usize, Option<usize>))| Scores {
            first: [six[0], six[1]],
            second: second.map(|_| [six[2], six[3]]),
            other: (count > 1).then_some([six[4], six[5]]),
        };
        Ok(scores.chunks(6).zip(&self.places).map(of).collect())
    }
}
