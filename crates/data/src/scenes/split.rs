//! Which scenes are in which split, and which words are kept from training.

use rand::seq::SliceRandom;

use super::sprites::Sprite;
use super::world::{Colour, Object, Scene};
use crate::random::addressed;

/// The splits. Each scene is in one at most: the splits have anchors of their own (see
/// [`Lexicon::admits`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Val,
    /// New scenes of what was seen in training.
    TestSeen,
    /// Every sprite on a colour that training keeps from it.
    TestPairs,
    /// Sprites that training never shows or names.
    TestSprites,
    /// More objects than any scene of training has.
    TestObjects,
}

/// Of this many parts of all anchors training has [`TRAIN_PARTS`], every other split one.
const PARTS: u64 = 8;
const TRAIN_PARTS: u64 = 3;
/// Sprites are dealt into groups, and each group is kept from some of the colours.
const GROUPS: usize = 4;
/// One sprite in this many is held out.
const SPRITES_PER_HELD_OUT: usize = 6;

impl Split {
    pub const ALL: &[Split] = &[
        Split::Train,
        Split::Val,
        Split::TestSeen,
        Split::TestPairs,
        Split::TestSprites,
        Split::TestObjects,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::TestSeen => "test_seen",
            Split::TestPairs => "test_pairs",
            Split::TestSprites => "test_sprites",
            Split::TestObjects => "test_objects",
        }
    }

    /// The smallest and the largest number of objects.
    pub fn objects(self) -> [usize; 2] {
        if self == Split::TestObjects { [5, 6] } else { [2, 4] }
    }
}

/// The sprites, and what of them training may see.
#[derive(Debug)]
pub struct Lexicon {
    pub sprites: Vec<Sprite>,
    /// Sprites that training has, in order.
    known: Vec<usize>,
    /// The others.
    held_out: Vec<usize>,
    /// Group of each sprite.
    groups: Vec<usize>,
    /// The colours, in an order of the seed: group `g` is kept from the two from `2 g` on.
    colours: Vec<Colour>,
    seed: u64,
}

impl Lexicon {
    /// Holds out sprites and pairs of sprite and colour, as a function of the seed.
    pub fn new(sprites: Vec<Sprite>, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..sprites.len()).collect();
        order.shuffle(&mut addressed(seed, 0, "", "scenes: sprites"));
        let mut groups = vec![0; sprites.len()];
        for (at, &sprite) in order.iter().enumerate() {
            groups[sprite] = at % GROUPS;
        }
        let (held_out, known) = order.split_at(sprites.len() / SPRITES_PER_HELD_OUT);
        let (mut known, mut held_out) = (known.to_vec(), held_out.to_vec());
        known.sort_unstable();
        held_out.sort_unstable();
        let mut colours = Colour::ALL.to_vec();
        colours.shuffle(&mut addressed(seed, 0, "", "scenes: colours"));
        Lexicon { sprites, known, held_out, groups, colours, seed }
    }

    /// Sprites that training never shows or names.
    pub fn held_out(&self) -> &[usize] {
        &self.held_out
    }

    /// Sprites that training has.
    pub fn known(&self) -> &[usize] {
        &self.known
    }

    /// Sprites of which sentences of `split` speak.
    pub fn sprites_of(&self, split: Split) -> Vec<usize> {
        match split {
            Split::TestSprites => (0..self.sprites.len()).collect(),
            _ => self.known.clone(),
        }
    }

    /// Whether training never has the sprite on this colour.
    pub fn is_held_out_pair(&self, sprite: usize, colour: Colour) -> bool {
        let first = self.groups[sprite] * 2;
        self.colours[first..first + 2].contains(&colour)
    }

    /// The colours on which the sprite stands in `split`.
    pub fn colours_of(&self, split: Split, sprite: usize) -> Vec<Colour> {
        let pairs = split == Split::TestPairs;
        let of_split = |colour: &Colour| self.is_held_out_pair(sprite, *colour) == pairs;
        Colour::ALL.iter().copied().filter(of_split).collect()
    }

    /// Whether sentences of `split` may speak of the sprite on this colour.
    pub fn may_say(&self, split: Split, sprite: usize, colour: Option<Colour>) -> bool {
        let known = split == Split::TestSprites || !self.held_out.contains(&sprite);
        let pair = colour.is_some_and(|colour| self.is_held_out_pair(sprite, colour));
        known && (split == Split::TestPairs || !pair)
    }

    /// Whether `split` may have the scene: by its anchor, the number of its objects and what they
    /// are. No scene is admitted by two splits.
    pub fn admits(&self, split: Split, scene: &Scene) -> bool {
        self.owns(split, scene.anchor())
            && scene.objects.len() <= split.objects()[1]
            && scene.objects.iter().all(|object| self.admits_object(split, object))
    }

    fn admits_object(&self, split: Split, object: &Object) -> bool {
        self.may_say(split, object.sprite, None)
            && self.is_held_out_pair(object.sprite, object.colour) == (split == Split::TestPairs)
    }

    /// Whether scenes with this anchor belong to `split`.
    pub fn owns(&self, split: Split, [x, y]: [i32; 2]) -> bool {
        let part = mixed(self.seed ^ ((x as u64) << 32) ^ ((y as u64) << 16)) % PARTS;
        match split {
            Split::Train => part < TRAIN_PARTS,
            Split::Val => part == TRAIN_PARTS,
            Split::TestSeen => part == TRAIN_PARTS + 1,
            Split::TestPairs => part == TRAIN_PARTS + 2,
            Split::TestSprites => part == TRAIN_PARTS + 3,
            Split::TestObjects => part == TRAIN_PARTS + 4,
        }
    }
}

/// The output function of SplitMix64: as good as random for consecutive arguments.
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
