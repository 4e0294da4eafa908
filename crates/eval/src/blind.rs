//! What can be known without looking: the most frequent answer, and the most frequent answer to a
//! question's own words. A model that is not better than these has not looked.

use std::collections::{BTreeMap, HashMap};

use weft_data::tasks::Region;

/// The most frequent answers of a training set: to each text, of each kind, and in all.
///
/// `T` is an answer: a text, a label, a class.
#[derive(Clone, Debug)]
pub struct Prior<T> {
    overall: T,
    by_kind: HashMap<String, T>,
    by_text: HashMap<String, T>,
}

/// Counts of answers.
type Counts<T> = BTreeMap<T, u64>;

impl<T: Ord + Clone> Prior<T> {
    /// From training examples as (text, kind, answer); a question of ten annotators is ten
    /// examples. Of equally frequent answers the first in order is taken. Absent without examples.
    pub fn of<'a>(examples: impl IntoIterator<Item = (&'a str, &'a str, T)>) -> Option<Self> {
        let mut overall = Counts::new();
        let (mut by_kind, mut by_text) = (HashMap::new(), HashMap::new());
        for (text, kind, answer) in examples {
            count(by_kind.entry(kind.to_owned()).or_default(), &answer);
            count(by_text.entry(words(text)).or_default(), &answer);
            count(&mut overall, &answer);
        }
        let overall = most_frequent(&overall)?;
        Some(Prior { overall, by_kind: reduce(by_kind), by_text: reduce(by_text) })
    }

    /// The most frequent answer of all: the baseline `majority`.
    pub fn majority(&self) -> &T {
        &self.overall
    }

    /// The most frequent answer to the same words; to words never met, that of the kind; of a kind
    /// never met, that of all. The baseline `prior`.
    pub fn given(&self, text: &str, kind: &str) -> &T {
        let by_kind = || self.by_kind.get(kind).unwrap_or(&self.overall);
        self.by_text.get(&words(text)).unwrap_or_else(by_kind)
    }
}

fn count<T: Ord + Clone>(counts: &mut Counts<T>, answer: &T) {
    *counts.entry(answer.clone()).or_default() += 1;
}

fn reduce<T: Ord + Clone>(counts: HashMap<String, Counts<T>>) -> HashMap<String, T> {
    let best = |(key, counts)| most_frequent(&counts).map(|answer| (key, answer));
    counts.into_iter().filter_map(best).collect()
}

fn most_frequent<T: Ord + Clone>(counts: &Counts<T>) -> Option<T> {
    let most = *counts.values().max()?;
    counts.iter().find(|(_, count)| **count == most).map(|(answer, _)| answer.clone())
}

/// A text without what does not make it another: case, punctuation, white space.
fn words(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The region that is expected of a phrase without looking: the mean place and size of the training
/// set's, as shares of the picture. The baseline `majority` of grounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TypicalRegion {
    /// Centre across and down, width, height, each from 0 to 1.
    shares: [f64; 4],
}

impl TypicalRegion {
    /// From training regions, each with the width and height of its picture. Absent without
    /// regions.
    pub fn of(regions: impl IntoIterator<Item = (Region, [u32; 2])>) -> Option<Self> {
        let (mut n, mut sums) = (0.0, [0.0; 4]);
        for (Region { x, y, width, height }, size) in regions {
            let [across, down] = size.map(f64::from);
            let [x, y, width, height] = [x, y, width, height].map(f64::from);
            let centre = [(x + width / 2.0) / across, (y + height / 2.0) / down];
            let shares = [centre[0], centre[1], width / across, height / down];
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
            n += 1.0;
        }
        (n > 0.0).then(|| TypicalRegion { shares: sums.map(|sum| sum / n) })
    }

    /// The region in a picture of this width and height.
    pub fn within(&self, size: [u32; 2]) -> Region {
        let [across, down] = size.map(f64::from);
        let [x, y, width, height] = self.shares;
        Region {
            x: ((x - width / 2.0) * across) as f32,
            y: ((y - height / 2.0) * down) as f32,
            width: (width * across) as f32,
            height: (height * down) as f32,
        }
    }
}
