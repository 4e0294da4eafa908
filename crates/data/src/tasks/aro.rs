//! The parts of ARO that come from Visual Genome (Yuksekgonul et al., "When and why vision-language
//! models behave like bags-of-words", ICLR 2023): is the dog behind the tree or the tree behind the
//! dog?
//!
//! `visual_genome_relation.json` and `visual_genome_attribution.json` are arrays of objects with
//! `image_path`, `bbox_x`, `bbox_y`, `bbox_w`, `bbox_h`, `true_caption`, `false_caption`, and
//! `relation_name` or `attributes` (two of them). The picture is cut to the box, as the official
//! loader does, in pixels as they are stored; the pictures lie in `images/`. Everything is one split, `test`.
//!
//! The kind is `relation/{relation_name}` or `attribution/{first}_{second}`. An example has no
//! number of its own: its key is `relation/{place in the file}`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::{Checked, Fault, Gathering, Lenient, Pictures, Place, name, read_json, text};
use super::{Contrast, TaskData, TaskSource};
use crate::error::{Cause, DataError};
use crate::record::{OVERHANG, Picture};

/// The files, with the part of ARO that each is.
const FILES: [(&str, &str); 2] = [
    ("visual_genome_relation.json", "relation"),
    ("visual_genome_attribution.json", "attribution"),
];
const ENTRY: &str = "{\"image_path\": text, \"bbox_x\": number, \"bbox_y\": number, \"bbox_w\": \
     number, \"bbox_h\": number, \"true_caption\": text, \"false_caption\": text}";

#[derive(Deserialize)]
struct Entry {
    image_path: String,
    bbox_x: f64,
    bbox_y: f64,
    bbox_w: f64,
    bbox_h: f64,
    true_caption: String,
    false_caption: String,
    relation_name: Option<String>,
    attributes: Option<Vec<String>>,
}

pub(super) fn files(place: &Place) -> Result<Vec<PathBuf>, DataError> {
    place.files(|name| part_of(name).is_some())
}

fn part_of(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, part)| *part)
}

pub(super) fn open(
    source: &TaskSource,
    place: &Place,
    looked_for: &str,
) -> Result<TaskData<Contrast>, DataError> {
    source.gather(place, looked_for, files(place)?, read_part)
}

fn read_part(
    path: &Path,
    pictures: &mut Pictures,
    gathering: &mut Gathering<Contrast>,
) -> Result<(), DataError> {
    let part = part_of(&name(path)).expect("only such files are read");
    let entries: Vec<Lenient<Entry>> = read_json(path, &format!("[{ENTRY}]"))?;
    for (index, entry) in entries.into_iter().enumerate() {
        let key = format!("{part}/{index}");
        let contrast = entry.good(ENTRY).and_then(|entry| contrast(&key, part, entry, pictures));
        gathering.add("test", &key, format!("{}: [{index}]", path.display()), contrast);
    }
    Ok(())
}

fn contrast(key: &str, part: &str, entry: Entry, pictures: &mut Pictures) -> Checked<Contrast> {
    let captions =
        [text(&entry.true_caption, "true_caption")?, text(&entry.false_caption, "false_caption")?];
    let what = match (&entry.relation_name, entry.attributes.as_deref()) {
        (Some(relation), _) => relation.clone(),
        (None, Some([first, second])) => format!("{first}_{second}"),
        _ => {
            let detail = "expected a relation_name or two attributes";
            return Err(Fault::new(Cause::MalformedRecord, detail));
        }
    };
    let region = region(&entry)?;
    let path = &entry.image_path;
    let whole = pictures.find(&[format!("images/{path}"), path.clone()])?;
    let picture = Picture::Cropped { whole: Box::new(whole.unturned(None)), region };
    let kind = format!("{part}/{what}");
    Ok(Contrast { key: key.to_owned(), kind, captions, picture, other: None })
}

/// The box, by its corners: a width that is rounded by itself may end a pixel further. That it lies in the
/// picture is seen when the picture is read.
fn region(entry: &Entry) -> Checked<[u32; 4]> {
    let [x, y, width, height] = [entry.bbox_x, entry.bbox_y, entry.bbox_w, entry.bbox_h];
    if let (Some([left, across]), Some([top, down])) = (span(x, width), span(y, height)) {
        return Ok([left, top, across, down]);
    }
    let detail = format!("{width} x {height} at {x}, {y}: inverted, empty or outside");
    Err(Fault::new(Cause::BadRegion, detail))
}

/// The first of the whole pixels from `start` to `start + length`, and how many there are; `None` where there
/// is none, or where more than [`OVERHANG`] lies before the picture.
fn span(start: f64, length: f64) -> Option<[u32; 2]> {
    let end = start + length;
    if start < -f64::from(OVERHANG) || end > f64::from(u32::MAX) {
        return None;
    }
    let [first, end] = [start, end].map(|at| at.round().max(0.0) as u32);
    (first < end).then(|| [first, end - first])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn corners_are_rounded_and_an_overhang_is_cut_off() {
        for (start, length, expected) in [
            (3.0, 4.0, Some([3, 4])),
            // By itself either is rounded up, to an end at 11.
            (2.5, 7.5, Some([3, 7])),
            (0.4, 9.4, Some([0, 10])),
            (-1.0, 5.0, Some([0, 4])),
            (-1.2, 5.0, None),
            (0.1, 0.2, None),
            (3.0, 0.0, None),
            (3.0, -2.0, None),
            (1.0, 4_294_967_295.0, None),
        ] {
            assert_eq!(span(start, length), expected, "{length} at {start}");
        }
    }

    proptest! {
        #[test]
        fn a_span_ends_within_half_a_pixel_of_its_end(start in -1.0f64..2000.0, length in -5.0f64..2000.0) {
            match span(start, length) {
                Some([first, count]) => {
                    prop_assert!((f64::from(first) - start.max(0.0)).abs() <= 0.5);
                    prop_assert!((f64::from(first + count) - (start + length)).abs() <= 0.5);
                }
                None => prop_assert!(length <= 1.5),
            }
        }
    }
}
