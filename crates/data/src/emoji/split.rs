//! Splits that ask for more than memory: concepts never seen, and compositions never seen of parts
//! that were.

use std::collections::{BTreeMap, BTreeSet};

use emojis::Group;
use rand::Rng;

use super::catalogue::Entry;
use super::groups::{sibling_group, undirected};
use crate::random::addressed;

pub const TRAIN: &str = "train";
/// Held-out compositions to choose checkpoints by.
pub const VAL: &str = "val";
/// Whole sibling groups that no other split has.
pub const TEST_CONCEPTS: &str = "test_concepts";
/// Held-out pairs of (person or gesture, skin tones), each part of which is in `train`.
pub const TEST_COMPOSITIONS: &str = "test_compositions";

/// Pictures in `test_concepts`, of which at most so many show people and come in many variants.
const CONCEPT_PICTURES: usize = 140;
const CONCEPT_PEOPLE: usize = 60;
/// A group of more pictures would be most of the test by itself.
const LARGEST_GROUP: usize = 20;
const COMPOSITION_PICTURES: usize = 300;
const VAL_PICTURES: usize = 150;
/// Of each hundred held-out compositions, at most so many have two tones.
const COUPLES_PERCENT: usize = 15;
/// Tones in which a person or gesture must stay in `train` for another to be held out.
const TONES_LEFT: usize = 2;

/// The split of each entry.
pub fn assign(entries: &[Entry], seed: u64) -> Vec<&'static str> {
    let mut splits = vec![TRAIN; entries.len()];
    hold_out_concepts(entries, seed, &mut splits);
    let order = shuffled(compositions(entries, &splits), seed, "composition");
    let mut left = Left::count(entries, &splits);
    let mut order = order.into_iter();
    hold_out_compositions(
        entries,
        &mut order,
        &mut left,
        (TEST_COMPOSITIONS, COMPOSITION_PICTURES),
        &mut splits,
    );
    hold_out_compositions(entries, &mut order, &mut left, (VAL, VAL_PICTURES), &mut splits);
    splits
}

/// Items in an order that depends on the seed and their names alone.
fn shuffled<T>(items: BTreeMap<String, T>, seed: u64, purpose: &str) -> Vec<T> {
    let mut items: Vec<(u64, String, T)> = items
        .into_iter()
        .map(|(name, item)| (addressed(seed, 0, &name, purpose).next_u64(), name, item))
        .collect();
    items.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    items.into_iter().map(|(_, _, item)| item).collect()
}

/// Takes groups until the test is full. Flags of places are left out: nobody can guess one that
/// they have not seen.
fn hold_out_concepts(entries: &[Entry], seed: u64, splits: &mut [&'static str]) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_flag()) {
        groups.entry(sibling_group(entry)).or_default().push(index);
    }
    let (mut taken, mut people) = (0, 0);
    for members in shuffled(groups, seed, "concept") {
        let shows_people = entries[members[0]].emoji.group() == Group::PeopleAndBody;
        let too_many = members.len() > LARGEST_GROUP
            || taken + members.len() > CONCEPT_PICTURES
            || (shows_people && people + members.len() > CONCEPT_PEOPLE);
        if too_many {
            continue;
        }
        taken += members.len();
        people += if shows_people { members.len() } else { 0 };
        for index in members {
            splits[index] = TEST_CONCEPTS;
        }
    }
}

/// The pictures of each composition (who or what, in which tones) that is not held out yet.
///
/// Mirror images are one composition: a picture of somebody walking to the right gives away the one
/// walking to the left.
fn compositions(entries: &[Entry], splits: &[&'static str]) -> BTreeMap<String, Vec<usize>> {
    let mut compositions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if splits[index] == TRAIN && !entry.tones.is_empty() {
            let name = format!("{} / {}", undirected(&entry.base), entry.tone());
            compositions.entry(name).or_default().push(index);
        }
    }
    compositions
}

/// What `train` still has of each part.
struct Left<'a> {
    tones_of: BTreeMap<&'a str, BTreeSet<String>>,
    uses_of: BTreeMap<String, usize>,
}

impl<'a> Left<'a> {
    fn count(entries: &'a [Entry], splits: &[&'static str]) -> Self {
        let mut left = Left { tones_of: BTreeMap::new(), uses_of: BTreeMap::new() };
        for (entry, split) in entries.iter().zip(splits) {
            if *split == TRAIN && !entry.tones.is_empty() {
                left.tones_of.entry(&entry.base).or_default().insert(entry.tone());
                *left.uses_of.entry(entry.tone()).or_default() += 1;
            }
        }
        left
    }

    /// Whether every part would still be in `train` without these pictures of one composition.
    fn can_spare(&self, entries: &[Entry], members: &[usize]) -> bool {
        members.iter().all(|&index| {
            let (base, tone) = (entries[index].base.as_str(), entries[index].tone());
            self.tones_of.get(base).is_some_and(|tones| tones.len() > TONES_LEFT)
                && self.uses_of.get(&tone).is_some_and(|uses| *uses > members.len())
        })
    }

    fn take(&mut self, entry: &Entry) {
        let tone = entry.tone();
        if let Some(tones) = self.tones_of.get_mut(entry.base.as_str()) {
            tones.remove(&tone);
        }
        if let Some(uses) = self.uses_of.get_mut(&tone) {
            *uses -= 1;
        }
    }
}

/// Takes compositions in order until the split has its pictures.
fn hold_out_compositions(
    entries: &[Entry],
    order: &mut impl Iterator<Item = Vec<usize>>,
    left: &mut Left<'_>,
    (split, pictures): (&'static str, usize),
    splits: &mut [&'static str],
) {
    let (mut taken, mut couples) = (0, 0);
    while taken < pictures {
        let Some(members) = order.next() else { break };
        let two_tones = entries[members[0]].tones.len() > 1;
        let too_many_couples = two_tones && couples * 100 >= pictures * COUPLES_PERCENT;
        if too_many_couples || !left.can_spare(entries, &members) {
            continue;
        }
        taken += members.len();
        couples += if two_tones { members.len() } else { 0 };
        for index in members {
            left.take(&entries[index]);
            splits[index] = split;
        }
    }
}
