//! Between a published tensor and a parameter of ours.

use weft_weights::{Array, Data};

use super::names::{Entry, Layout};

/// The shape of the whole published tensor of an entry whose parameter has the shape `ours`.
pub(super) fn their_shape(entry: &Entry, ours: &[usize]) -> Vec<usize> {
    let mut shape = match (&entry.shape, entry.layout) {
        (Some(shape), _) => shape.clone(),
        (None, Layout::Same) => ours.to_vec(),
        (None, Layout::Transposed) => ours.iter().rev().copied().collect(),
    };
    if let Some((_, parts)) = entry.part {
        shape[0] *= parts;
    }
    shape
}

/// Our parameter of the shape `ours` out of the published tensor, which has [`their_shape`].
pub(super) fn to_ours(entry: &Entry, theirs: &[f32], ours: &[usize]) -> Vec<f32> {
    let count: usize = ours.iter().product();
    let start = entry.part.map_or(0, |(index, _)| index * count);
    let values = &theirs[start..start + count];
    match entry.layout {
        Layout::Same => values.to_vec(),
        Layout::Transposed => transposed(values, ours[ours.len() - 1]),
    }
}

/// The published tensor of entries that share a name, each with our parameter, in the order of their
/// parts.
pub(super) fn to_theirs(entries: &[(&Entry, &Array)]) -> Array {
    let mut values = Vec::new();
    for (entry, array) in entries {
        let Data::Float(ours) = &array.data else {
            unreachable!("parameters are floats");
        };
        match entry.layout {
            Layout::Same => values.extend_from_slice(ours),
            Layout::Transposed => {
                let outputs = array.shape[array.shape.len() - 1];
                values.extend(transposed(ours, ours.len() / outputs));
            }
        }
    }
    let (first, array) = entries[0];
    Array { shape: their_shape(first, &array.shape), data: Data::Float(values) }
}

/// The transpose of a matrix of `rows` rows.
fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    let column = |column| (0..rows).map(move |row| values[row * columns + column]);
    (0..columns).flat_map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::names::Names;

    #[test]
    fn there_and_back() {
        let mut names = Names::default();
        names.linear("linear", "linear", true);
        names.stacked("in_", &["query".into(), "key".into()]);
        names.reshaped("token", "token", &[2]);
        let numbers = |count| (0..count).map(|x| x as f32).collect::<Vec<_>>();
        for (name, shape) in [("linear.weight", vec![2, 3]), ("token", vec![1, 1, 2])] {
            let entry = names.entries.iter().find(|entry| entry.theirs == name).unwrap();
            let theirs = numbers(shape.iter().product());
            let data = Data::Float(to_ours(entry, &theirs, &shape));
            let back = to_theirs(&[(entry, &Array { shape, data })]);
            assert_eq!(back.data, Data::Float(theirs));
        }
        let stacked: Vec<&Entry> =
            names.entries.iter().filter(|entry| entry.theirs == "in_weight").collect();
        assert_eq!(their_shape(stacked[0], &[3, 2]), [4, 3]);
        let theirs = numbers(12);
        let ours = |entry| Array {
            shape: vec![3, 2],
            data: Data::Float(to_ours(entry, &theirs, &[3, 2])),
        };
        assert_eq!(ours(stacked[1]).data, Data::Float(vec![6.0, 9.0, 7.0, 10.0, 8.0, 11.0]));
        let (query, key) = (ours(stacked[0]), ours(stacked[1]));
        let back = to_theirs(&[(stacked[0], &query), (stacked[1], &key)]);
        assert_eq!(back, Array { shape: vec![4, 3], data: Data::Float(theirs.clone()) });
    }
}
