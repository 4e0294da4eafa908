//! Boxes that a detector found in a picture, each with its features: what MVP's image encoder sees in the
//! place of patches.
//!
//! They come in the files in which the detectors' authors give them away, one row for each picture:
//!
//! | file | columns |
//! | --- | --- |
//! | VinVL (Zhang et al. 2021) | name, number of boxes, features with 6 numbers of the box at their end |
//! | VinVL, for captioning | name, JSON with `num_boxes` and the same `features` |
//! | bottom-up attention (Anderson et al. 2018) | name, width, height, number of boxes, boxes, features |
//!
//! Features and boxes are 32-bit floats, little-endian, in base 64. The 6 numbers of a box are left, top,
//! right, bottom, width and height, as fractions of the picture's; of the second kind of file, whose boxes are
//! left, top, right and bottom in pixels, they are worked out here, so that both give the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{BadRecord, Cause, DataError};
use crate::record::{Picture, Record};
use crate::row_table::RowTable;

/// How many numbers say where a box is.
pub const BOX_NUMBERS: usize = 6;

/// What a model takes of a picture's regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionShape {
    /// Numbers of a region, with the 6 of its box (VinVL: 2,054).
    pub features: usize,
    /// Most regions of a picture (MVPTR: 50): the first ones, as MVPTR takes them.
    pub most: usize,
}

impl RegionShape {
    /// Numbers of a picture.
    pub fn numbers(&self) -> usize {
        self.features * self.most
    }
}

/// Gives the picture of each record its row of `table`, by the record's key or by the picture's name, and says
/// how many have one. Those without are found wanting when their regions are asked for.
///
/// # Errors
///
/// When two pictures have one row.
pub fn attach<'a>(
    table: &mut RowTable,
    records: impl IntoIterator<Item = &'a mut Record>,
) -> Result<u64, DataError> {
    let mut found = 0;
    for record in records {
        let bare = std::mem::replace(&mut record.picture, Picture::Embedded(&[]));
        record.picture = with_row(bare, &[&record.key], table)?;
        found += u64::from(matches!(record.picture, Picture::WithRegions { .. }));
    }
    Ok(found)
}

/// `picture` with its row of `table`, if it has one.
pub(crate) fn with_row(
    picture: Picture,
    known_as: &[&str],
    table: &mut RowTable,
) -> Result<Picture, DataError> {
    Ok(match table.find(known_as, &picture)? {
        Some(row) => Picture::WithRegions { picture: Box::new(picture), row },
        None => picture,
    })
}

/// The regions of `picture`, `[most, features]`: behind the last one there are zeros. `origin` says in errors
/// which picture has none.
///
/// # Errors
///
/// When the picture has no row, or the row holds something else.
pub fn of(picture: &Picture, origin: &str, shape: RegionShape) -> Result<Vec<f32>, BadRecord> {
    let Picture::WithRegions { row, .. } = picture else {
        let detail = match picture {
            Picture::Cropped { .. } => "expected a whole picture: regions cannot be cut to a part",
            _ => "expected a row of the picture in data.regions",
        };
        let (cause, origin) = (Cause::MissingFile, origin.into());
        return Err(BadRecord { cause, origin, detail: detail.into() });
    };
    let mut regions = parse(&row.columns()?, shape.features).map_err(|detail| BadRecord {
        cause: Cause::MalformedRecord,
        origin: row.origin(),
        detail,
    })?;
    regions.resize(shape.numbers(), 0.0);
    Ok(regions)
}

/// A row of VinVL's for captioning.
#[derive(Deserialize)]
struct Described {
    num_boxes: usize,
    features: String,
}

/// All regions of a row, `[regions, features]`, or what was expected of it.
fn parse(columns: &[String], features: usize) -> Result<Vec<f32>, String> {
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let regions = match columns[..] {
        [json] => {
            let described: Described = serde_json::from_str(json)
                .map_err(|error| format!("expected JSON with num_boxes and features: {error}"))?;
            floats(&described.features, described.num_boxes, features, "features")?
        }
        [count, regions] => floats(regions, number(count)?, features, "features")?,
        [width, height, count, boxes, regions] => {
            let [width, height, count] = [number(width)?, number(height)?, number(count)?];
            let own = features.checked_sub(BOX_NUMBERS).filter(|own| *own > 0);
            let own = own.ok_or("expected more features than the 6 numbers of a box")?;
            let boxes = floats(boxes, count, 4, "boxes")?;
            let regions = floats(regions, count, own, "features without the box's 6")?;
            beside(&regions, own, &boxes, [width as f32, height as f32])
        }
        _ => {
            return Err(format!(
                "expected 2 columns (name, JSON), 3 (name, number, features) or 6 (name, width, height, \
                 number, boxes, features), found {}",
                columns.len() + 1
            ));
        }
    };
    check(&regions, features)?;
    Ok(regions)
}

/// Each region's `own` features with the 6 numbers of its box behind them; `boxes` are left, top, right and
/// bottom in pixels of a picture of this width and height.
fn beside(regions: &[f32], own: usize, boxes: &[f32], [width, height]: [f32; 2]) -> Vec<f32> {
    let mut all = Vec::with_capacity(regions.len() / own * (own + BOX_NUMBERS));
    for (region, corners) in regions.chunks(own).zip(boxes.chunks(4)) {
        let (left, top) = (corners[0] / width, corners[1] / height);
        let (right, bottom) = (corners[2] / width, corners[3] / height);
        all.extend(region);
        all.extend([left, top, right, bottom, right - left, bottom - top]);
    }
    all
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("expected a number above 0, found \"{text}\""))
}

/// `count` rows of `each` numbers.
fn floats(text: &str, count: usize, each: usize, of: &str) -> Result<Vec<f32>, String> {
    let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("{of}: {error}"))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || Some(numbers.len()) != count.checked_mul(each) {
        return Err(format!(
            "{of}: expected {count} x {each} numbers of 4 bytes, found {} bytes",
            bytes.len()
        ));
    }
    Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Zeros alone stand for no region, so none may be made of them.
fn check(regions: &[f32], features: usize) -> Result<(), String> {
    if regions.is_empty() {
        return Err("no region; expected at least one".into());
    }
    for (at, region) in regions.chunks(features).enumerate() {
        if region.iter().any(|number| !number.is_finite()) {
            return Err(format!("region {at} has a number that is not finite"));
        }
        if region.iter().all(|number| *number == 0.0) {
            return Err(format!("region {at} is nothing but zeros"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(numbers: &[f32]) -> String {
        STANDARD.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
    }

    fn row(columns: &[&str], features: usize) -> Result<Vec<f32>, String> {
        parse(&columns.iter().map(|column| column.to_string()).collect::<Vec<_>>(), features)
    }

    #[test]
    fn both_kinds_of_file_give_the_same() {
        // A region of two features, in a picture of 200 x 100 at (20, 10) to (120, 60).
        let vinvl = encoded(&[0.5, 1.5, 0.1, 0.1, 0.6, 0.6, 0.5, 0.5]);
        let (boxes, features) = (encoded(&[20.0, 10.0, 120.0, 60.0]), encoded(&[0.5, 1.5]));
        let of_vinvl = row(&["1", &vinvl], 8).unwrap();
        let described = format!(r#"{{"num_boxes": 1, "features": "{vinvl}"}}"#);
        assert_eq!(row(&[&described], 8).unwrap(), of_vinvl);
        let of_anderson = row(&["200", "100", "1", &boxes, &features], 8).unwrap();
        assert_eq!(of_vinvl.len(), 8);
        for (a, b) in of_vinvl.iter().zip(&of_anderson) {
            assert!((a - b).abs() < 1e-6, "{of_vinvl:?} {of_anderson:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said() {
        let two = encoded(&[1.0; 16]);
        let (zeros, infinite) = (encoded(&[0.0; 8]), encoded(&[f32::INFINITY; 8]));
        for (columns, expected) in [
            (vec!["2", &two, "more", ""], "6 (name"),
            (vec!["no JSON"], "num_boxes"),
            (vec![r#"{"num_boxes": 0, "features": ""}"#], "no region"),
            (vec!["0", &two], "above 0"),
            (vec!["many", &two], "found \"many\""),
            (vec!["3", &two], "3 x 8 numbers"),
            (vec!["2", "?"], "features: "),
            (vec!["1", &zeros], "region 0 is nothing but zeros"),
            (vec!["1", &infinite], "not finite"),
            (vec!["18446744073709551615", &two], "numbers of 4 bytes"),
            (vec!["9", "9", "2", &two, &two], "boxes: expected 2 x 4"),
        ] {
            let problem = row(&columns, 8).unwrap_err();
            assert!(problem.contains(expected), "{columns:?}: {problem}");
        }
        assert!(row(&["9", "9", "1", "", ""], 6).unwrap_err().contains("more features"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec(0.1f32..10.0, 1..60)) {
            let count = numbers.len().div_ceil(3);
            let numbers = [numbers, vec![1.0; 3]].concat()[..count * 3].to_vec();
            let text = encoded(&numbers);
            prop_assert_eq!(row(&[&count.to_string(), &text], 3).unwrap(), numbers);
        }

        #[test]
        fn no_row_makes_it_panic(columns in prop::collection::vec("[0-9A-Za-z+/=]{0,40}", 0..7), n in 1usize..9) {
            _ = row(&columns.iter().map(String::as_str).collect::<Vec<_>>(), n);
        }
    }
}
