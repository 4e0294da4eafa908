//! Parts of a split whose pictures are on the device together.

/// Examples of a part.
const CHUNK: usize = 256;

/// The least that a last part has, where there are others. The blind baselines take another example's picture or text
/// from the same part, half of the part away. Of a part of one that would be its own, and a few neighbours may be of one
/// scene (`scenes::EXAMPLES_PER_SCENE`), half a part of 8 is not. The other parts stay as they are, rather than
/// taking partners from the whole split, so that figures are comparable with those from before.
const LEAST: usize = 8;

/// `examples` in their order, in parts of 256; a last one of fewer than 8 is put to the part before it.
pub fn chunks<T>(examples: &[T]) -> Vec<&[T]> {
    let rest = examples.len() % CHUNK;
    let whole = examples.len() - rest;
    // Where the rest is put to a whole part, that begins a part earlier.
    let last = if (1..LEAST).contains(&rest) { whole.saturating_sub(CHUNK) } else { whole };
    let mut chunks: Vec<&[T]> = examples[..last].chunks(CHUNK).collect();
    chunks.extend(Some(&examples[last..]).filter(|rest| !rest.is_empty()));
    chunks
}

/// Another example of `count`: half of them away, for a neighbour may be of the same picture. Nothing where there is
/// only one.
pub fn partner(at: usize, count: usize) -> Option<usize> {
    (count > 1).then(|| (at + count / 2) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_is_too_small_for_a_partner_of_another_scene() {
        let sizes = |count: usize| -> Vec<usize> {
            let examples: Vec<usize> = (0..count).collect();
            let chunks = chunks(&examples);
            assert_eq!(chunks.concat(), examples);
            chunks.iter().map(|chunk| chunk.len()).collect()
        };
        let none: [usize; 0] = [];
        assert_eq!(sizes(0), none);
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(7), [7]);
        assert_eq!(sizes(256), [256]);
        assert_eq!(sizes(257), [257]);
        assert_eq!(sizes(519), [256, 263]);
        assert_eq!(sizes(520), [256, 256, 8]);
        // As the test splits of the tables are.
        assert_eq!(sizes(4000), [vec![256; 15], vec![160]].concat());
    }

    #[test]
    fn nobody_is_a_partner_of_its_own() {
        assert_eq!(partner(0, 1), None);
        for count in 2..20 {
            for at in 0..count {
                assert!(partner(at, count).is_some_and(|other| other != at && other < count));
            }
        }
        assert_eq!(partner(3, 8), Some(7));
    }
}
